"""What surrounds every request: its size, its id, the headers of its answer, its last resort."""

from __future__ import annotations

import re
from typing import Final
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import HTTP_REFUSALS, problem_response

log = structlog.get_logger()

_REQUEST_ID = re.compile(r"^[A-Za-z0-9._\-]{8,64}$")

# An API answer is data: nothing may frame it, script it or sniff it into something else.
_SECURITY_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
_PAGE_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'"
)
_PAGES: Final = ("/docs", "/console")


class BodyTooLarge(HTTPException):
    """More bytes than any request of ours needs.

    An HTTP error, because the framework turns any other one it meets while reading into a 400.
    """

    def __init__(self) -> None:
        super().__init__(413)


class RequestFrame:
    """Bounds the body, names the request in logs and answer, and sets security headers."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = False

        async def framed_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _add_headers(MutableHeaders(scope=message), scope["path"], request_id)
            await send(message)

        try:
            if _declared_length(headers) > self._max_body_bytes:
                raise BodyTooLarge
            await self._app(scope, self._bounded(receive), framed_send)
        except BodyTooLarge:
            if not started:
                answer = problem_response(413, *HTTP_REFUSALS[413])
                await answer(scope, receive, framed_send)
        except Exception as error:
            # Here rather than in a handler of the framework's, which would answer outside this
            # frame: without the headers, and logging without the request's name.
            log.error("unhandled_error", error=type(error).__name__, exc_info=error)
            if started:
                raise
            answer = problem_response(500, "INTERNAL_ERROR", "Something went wrong on our side.")
            await answer(scope, receive, framed_send)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")

    def _bounded(self, receive: Receive) -> Receive:
        received = 0

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_body_bytes:
                raise BodyTooLarge
            return message

        return bounded


def _declared_length(headers: Headers) -> int:
    text = headers.get("content-length", "0")
    # A length that is no number is the server's to refuse; here it only must not pass as small.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 2**63


def _add_headers(headers: MutableHeaders, path: str, request_id: str) -> None:
    for name, value in _SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    if path.startswith(_PAGES):
        headers["content-security-policy"] = _PAGE_CSP
    headers["x-request-id"] = request_id
