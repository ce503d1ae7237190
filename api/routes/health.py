"""Health: alive, and ready with the name of what is missing."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel

from api.deps import Wired

router = APIRouter(tags=["health"])


class Ready(BaseModel):
    """Which dependencies answer."""

    ready: bool
    database: bool
    temporal: bool


@router.get("/healthz", status_code=204, response_class=Response)
async def alive() -> Response:
    """The process is alive."""
    return Response(status_code=204)


@router.get("/readyz", response_model=Ready, responses={503: {"model": Ready}})
async def ready(wired: Wired, response: Response) -> Ready:
    """Whether applications can be taken; without Temporal they are taken and start later."""
    database, temporal = await wired.database.ready(), await wired.messages.ready()
    if not database:
        response.status_code = 503
    return Ready(ready=database, database=database, temporal=temporal)
