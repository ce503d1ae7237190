"""One WebSocket: who it is, what it follows, and how it ends without anybody else noticing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing, suppress
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.websockets import WebSocket, WebSocketDisconnect

from api.auth import Principal
from api.errors import Problem
from api.live.hub import Beat, LiveHub
from api.live.protocol import (
    BEARER,
    FOREIGN_ORIGIN,
    MALFORMED,
    MAX_MESSAGE_BYTES,
    NOT_ALLOWED,
    NOT_SUBSCRIBED,
    SUBPROTOCOL,
    TOO_LARGE,
    TOO_MANY_MESSAGES,
    UNAUTHENTICATED,
    Ended,
    Ending,
    event_id,
    wanted_from,
)
from api.live.subscription import Subscription
from api.roles import Action

# A client says what it follows and may ask for a sign of life now and then.
MESSAGES: Final = 20
MESSAGES_WITHIN_S: Final = 10.0
# Who does not take the closing frame within this time is cut off.
FAREWELL_S: Final = 2.0
# What our server's protocol (api/live/transport.py) lends: it cuts the connection off.
ABORT: Final = "caas.abort"

Identify = Callable[[str], Awaitable[Principal]]
Parse = Callable[[bytes], dict[str, Any]]


class Connection:
    """A WebSocket from its handshake to its end."""

    def __init__(
        self,
        websocket: WebSocket,
        hub: LiveHub,
        *,
        identify: Identify,
        parse: Parse,
        origins: frozenset[str],
    ) -> None:
        self._websocket = websocket
        self._hub = hub
        self._identify = identify
        self._parse = parse
        self._origins = origins
        self._recent: list[float] = []

    async def run(self) -> None:
        """Serve it; a refusal is a close code, which pages can read, unlike a failed handshake."""
        offered = self._websocket.scope["subprotocols"]
        await self._websocket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
        # Who left is told nothing. Servers say it in ways of their own, all of them OSErrors.
        with suppress(WebSocketDisconnect, OSError):
            try:
                await self._serve()
            except Ended as end:
                await self._close(end.ending)

    async def _serve(self) -> None:
        if not self._origin_allowed():
            raise Ended(FOREIGN_ORIGIN)
        principal = await self._principal()
        if not principal.may(Action.READ_EVENTS):
            raise Ended(NOT_ALLOWED)
        with self._hub.seat(principal):
            try:
                async with asyncio.timeout(self._hub.limits.subscribe_within_s):
                    message = await self._receive()
            except TimeoutError:
                raise Ended(NOT_SUBSCRIBED) from None
            wanted = wanted_from(message, principal.tenant_id)
            async with self._hub.joined(principal, wanted) as subscription:
                await _first(self._send(subscription), self._listen(), _until_ended(subscription))

    def _origin_allowed(self) -> bool:
        """Browsers say which page asks; a page of this host may, and those that are configured."""
        headers = self._websocket.headers
        origin = headers.get("origin")
        if origin is None:
            return True
        return origin in self._origins or _host_of(origin) == headers.get("host", "").lower()

    async def _principal(self) -> Principal:
        scheme, _, token = self._websocket.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            offered: list[str] = self._websocket.scope["subprotocols"]
            token = next((each[len(BEARER) :] for each in offered if each.startswith(BEARER)), "")
        if not token:
            raise Ended(UNAUTHENTICATED)
        try:
            return await self._identify(token.strip())
        except Problem as problem:
            raise Ended(UNAUTHENTICATED) from problem

    async def _send(self, subscription: Subscription) -> None:
        said = "subscribed"
        async with aclosing(self._hub.follow(subscription)) as frames:
            async for frame in frames:
                if isinstance(frame, Beat):
                    text = f'{{"type":"{said}","id":"{event_id(frame.seq)}"}}'
                    said = "heartbeat"
                else:
                    text = frame.message
                await self._websocket.send_text(text)

    async def _listen(self) -> None:
        """Answer signs of life; a connection follows one thing, so nothing else is expected."""
        while True:
            message = await self._receive()
            if message != {"type": "ping"}:
                raise Ended(MALFORMED)
            await self._websocket.send_text('{"type":"pong"}')

    async def _receive(self) -> dict[str, Any]:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        now = time.monotonic()
        self._recent = [each for each in self._recent if each > now - MESSAGES_WITHIN_S] + [now]
        if len(self._recent) > MESSAGES:
            raise Ended(TOO_MANY_MESSAGES)
        text = message.get("text")
        if text is None:
            raise Ended(MALFORMED)
        body = text.encode("utf-8", "surrogatepass")
        if len(body) > MAX_MESSAGE_BYTES:
            raise Ended(TOO_LARGE)
        try:
            return self._parse(body)
        except ValueError:
            raise Ended(MALFORMED) from None

    async def _close(self, ending: Ending) -> None:
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._websocket.close(ending.code, ending.reason)
        except TimeoutError:
            abort = self._websocket.scope.get("extensions", {}).get(ABORT)
            if abort is not None:
                abort()


async def _until_ended(subscription: Subscription) -> None:
    """A client that takes nothing keeps its sender waiting: its end must not wait for that."""
    await subscription.ended.wait()
    subscription.refuse_if_ended()


async def _first(*works: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends, which is what happens; the others are stopped."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    # Of several reasons the one that has a name is told.
    errors = [error for task in done if (error := task.exception()) is not None]
    for error in sorted(errors, key=lambda each: not isinstance(each, Ended)):
        raise error


def _host_of(origin: str) -> str | None:
    parts = urlsplit(origin)
    return parts.netloc.lower() if parts.scheme in ("http", "https") else None
