"""Health: alive, ready with the names of what is missing, and numbers for Prometheus."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

from api.deps import Wired
from api.errors import Problem
from api.front_door import FrontDoor
from api.metrics import MEDIA_TYPE
from api.readiness import Readiness, Standing

router = APIRouter(tags=["health"])
numbers = APIRouter(tags=["health"])

_scraper = HTTPBearer(
    auto_error=False,
    scheme_name="MetricsToken",
    description="The token of `CAAS_API__METRICS_TOKEN`, which Prometheus is configured with.",
)


class Ready(BaseModel):
    """Which dependencies answer."""

    ready: bool = Field(description="Whether applications can be taken.")
    degraded: bool = Field(description="Whether something is away that can be done without.")
    database: Standing = Field(description="PostgreSQL; without it the answer is 503.")
    temporal: Standing = Field(
        description="Temporal; without it applications are taken and start later."
    )
    cache: Standing = Field(
        description="Valkey; without it each process counts rate limits by itself."
    )
    missing: list[str] = Field(description="The names of those that are away.")


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
async def ready(request: Request, wired: Wired, response: Response) -> Ready:
    """Whether applications can be taken, and what is missing."""
    door: FrontDoor = request.app.state.front_door
    if door.readiness is None:
        door.readiness = Readiness(
            {
                "database": wired.database.ready,
                "temporal": wired.messages.ready,
                "cache": wired.quotas.ready if door.has_cache and wired.quotas else None,
            }
        )
    standings = await door.readiness.now()
    missing = [name for name, standing in standings.items() if standing is Standing.AWAY]
    can_serve = "database" not in missing
    if not can_serve:
        response.status_code = 503
        response.headers["retry-after"] = "2"
    return Ready(
        ready=can_serve, degraded=can_serve and bool(missing), missing=missing, **standings
    )


@numbers.get(
    "/metrics",
    response_class=Response,
    summary="Read the numbers of this process",
    response_description="Prometheus's text format.",
    responses={
        200: {
            "content": {
                "text/plain": {
                    "schema": {"type": "string", "title": "Metrics"},
                    "example": 'gateway_limit_hits_total{limit="RATE_LIMITED"} 3.0\n',
                }
            }
        }
    },
)
async def metrics(
    request: Request,
    token: Annotated[HTTPAuthorizationCredentials | None, Depends(_scraper)],
) -> Response:
    """Requests, latencies, limits that were met and the database's pool; for the token's holder."""
    door: FrontDoor = request.app.state.front_door
    if door.metrics_token is None:
        raise Problem(404, "NOT_FOUND", "There is nothing here.")
    shown = token.credentials.encode("utf-8") if token is not None else b""
    if not hmac.compare_digest(shown, door.metrics_token):
        raise Problem(
            401,
            "UNAUTHENTICATED",
            "A valid access token is needed.",
            {"WWW-Authenticate": 'Bearer error="invalid_token"'},
        )
    return Response(door.metrics.text(), media_type=MEDIA_TYPE)
