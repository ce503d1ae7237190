"""How an HTTP server misbehaves when told to: what any counterparty can do wrong alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.counterparties.steering import Directives

Answered = Callable[[Request], Awaitable[Response]]

_CHUNK: Final = b"x" * 65_536
_TRANSPORT: Final = "sandbox.transport"


async def answer_as_told(do: Directives, request: Request, answered: Answered) -> Response:
    """The endpoint's answer, late, missing or spoiled as told.

    `slow_s`, `hang_s` and `status` come before anything is done; the others after it, so whoever
    asked cannot know that it was done.
    """
    if do.slow_s is not None:
        await asyncio.sleep(do.slow_s)
    if do.hang_s is not None:
        return _HungUp(after_s=do.hang_s)
    if do.status is not None:
        headers = {} if do.retry_after_s is None else {"retry-after": str(do.retry_after_s)}
        return JSONResponse({"code": "AS_TOLD"}, do.status, headers=headers)
    request.state.directives = do
    return _spoiled(do, await answered(request))


def _spoiled(do: Directives, answer: Response) -> Response:
    """The answer, or what becomes of it; the first in this order if several are told."""
    if do.swallow_reply or do.hang_reply_s is not None:
        return _HungUp(after_s=do.hang_reply_s or 0)
    if do.cut_reply:
        return _HungUp(after_s=0, said=answer)
    return _garbled(do, answer)


def _garbled(do: Directives, answer: Response) -> Response:
    body, status = bytes(answer.body), answer.status_code
    if do.huge_bytes is not None:
        return StreamingResponse(_huge(do.huge_bytes), 200, media_type="application/json")
    if do.drip_s is not None:
        headers = {"content-length": str(len(body)), "content-type": "application/json"}
        return StreamingResponse(_drops(body, do.drip_s), status, headers)
    if do.malformed:
        return Response(body[: len(body) // 2], status, media_type="application/json")
    return answer


async def _huge(size: int) -> AsyncIterator[bytes]:
    """A JSON object of `size` bytes, in pieces."""
    opening, closing = b'{"padding":"', b'"}'
    yield opening
    left = max(0, size - len(opening) - len(closing))
    while left > 0:
        yield _CHUNK[:left]
        left -= len(_CHUNK)
    yield closing


async def _drops(body: bytes, pause_s: float) -> AsyncIterator[bytes]:
    for each in body:
        yield bytes([each])
        await asyncio.sleep(pause_s)


class _HungUp(Response):
    """No answer, or half of one; the connection is closed after `after_s`, or by the caller."""

    def __init__(self, *, after_s: float, said: Response | None = None) -> None:
        super().__init__()
        self._after_s = after_s
        self._said = said

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the connection under the server's hands."""
        if self._said is not None:
            body = bytes(self._said.body)
            start = {"type": "http.response.start", "status": self._said.status_code}
            await send({**start, "headers": self._said.raw_headers})
            half = body[: len(body) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
        try:
            async with asyncio.timeout(self._after_s):
                await _closed(receive)
        except TimeoutError:
            transport: asyncio.Transport = scope[_TRANSPORT]
            transport.close()  # what was said before is still sent
            await _closed(receive)


async def _closed(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def connection_at_hand(app: ASGIApp) -> ASGIApp:
    """The application, able to hang up.

    ASGI has no word for it, so the connection is taken from the server: uvicorn's `send` is a
    method of the object that holds it.
    """

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        cycle: Any = getattr(send, "__self__", None)
        transport = getattr(cycle, "transport", None)
        await app({**scope, _TRANSPORT: transport} if transport else scope, receive, send)

    return served
