"""Cross-origin calls: the configured pages may call the API, the Temporal Web UI the codec."""

from __future__ import annotations

from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from settings import CORSSettings

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ASKED: Final = (
    "authorization", "content-type", "idempotency-key", "api-version", "last-event-id",
    "x-correlation-id", "x-request-id", "traceparent",
)  # fmt: skip
_SHOWN: Final = (
    "location", "retry-after", "ratelimit", "ratelimit-policy", "x-correlation-id", "x-request-id",
    "api-version", "deprecation", "sunset", "link", "www-authenticate",
)  # fmt: skip
_OPERATORS: Final = ("/console", "/docs", "/metrics")


class Origins:
    """Answers preflights and names the origins that may read an answer; nobody, by default.

    The codec has one page of its own, which comes with the operator's cookie. Operators' pages and
    numbers are for no other origin.
    """

    def __init__(self, app: ASGIApp, cors: CORSSettings, codec_origin: str | None) -> None:
        self._app = app
        self._codec = CORSMiddleware(
            app,
            allow_origins=[codec_origin] if codec_origin else [],
            allow_credentials=True,
            allow_methods=["POST"],
            allow_headers=["content-type", "x-namespace", "authorization"],
        )
        self._api = app
        if cors.origins:
            self._api = CORSMiddleware(
                app,
                allow_origins=list(cors.origins),
                allow_credentials=cors.credentials,
                allow_methods=list(_METHODS),
                allow_headers=list(_ASKED),
                expose_headers=list(_SHOWN),
                max_age=cors.max_age_s,
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path.startswith("/codec/"):
            await self._codec(scope, receive, send)
        elif path.startswith(_OPERATORS):
            await self._app(scope, receive, send)
        else:
            await self._api(scope, receive, send)
