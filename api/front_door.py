"""The layers around the routes, put together: limits, headers, cross-origin calls, counting."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import FastAPI

from api.cors import Origins
from api.deps import MemoryTokenStore, Services
from api.limits import RequestFrame
from api.metrics import FrontDoorMetrics
from api.rate_limits import RateLimiter
from api.readiness import Readiness
from settings import Settings


@dataclass(slots=True)
class FrontDoor:
    """What the layers and the health routes share."""

    limiter: RateLimiter
    metrics: FrontDoorMetrics
    metrics_token: bytes | None
    has_cache: bool
    readiness: Readiness | None = None

    @classmethod
    def surround(cls, app: FastAPI, settings: Settings) -> FrontDoor:
        """Put the layers around the application: outermost the frame, within it the origins.

        Layers that were added before lie within both.
        """
        token = settings.api.metrics_token
        door = cls(
            RateLimiter(settings.rate_limit, MemoryTokenStore()),
            FrontDoorMetrics(),
            token.get_secret_value().encode("utf-8") if token else None,
            settings.cache is not None,
        )
        app.state.front_door = door
        app.add_middleware(
            Origins, cors=settings.api.cors, codec_origin=settings.temporal.ui_origin
        )
        app.add_middleware(
            RequestFrame, settings=settings.api, limiter=door.limiter, metrics=door.metrics
        )
        return door

    def open(self, services: Services) -> None:
        """Count where the running process counts, now that it is connected."""
        if services.quotas is not None:
            self.limiter.use(services.quotas)
        pool = services.database.pool_use
        self.metrics.watch_pool(lambda: pool()[0], lambda: pool()[1])
        self.metrics.more = services.more_numbers
