"""Health: alive, and ready with the name of what is missing."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from api.deps import Wired

router = APIRouter(tags=["health"])


class Ready(BaseModel):
    """Which dependencies answer."""

    ready: bool = Field(description="Whether applications can be taken.")
    database: bool = Field(description="Whether PostgreSQL answers; without it the answer is 503.")
    temporal: bool = Field(
        description="Whether Temporal answers; without it applications are taken and start later."
    )


@router.get(
    "/healthz",
    status_code=204,
    response_class=Response,
    summary="Ask whether the process is alive",
    response_description="It is.",
)
async def alive() -> Response:
    """The process is alive."""
    return Response(status_code=204)


@router.get(
    "/readyz",
    response_model=Ready,
    responses={503: {"model": Ready, "description": "Applications cannot be taken."}},
    summary="Ask whether applications can be taken",
    response_description="They can.",
)
async def ready(wired: Wired, response: Response) -> Ready:
    """Whether applications can be taken; without Temporal they are taken and start later."""
    database, temporal = await wired.database.ready(), await wired.messages.ready()
    if not database:
        response.status_code = 503
    return Ready(ready=database, database=database, temporal=temporal)
