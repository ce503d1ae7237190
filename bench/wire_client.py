"""An HTTP/1.1 client that costs next to nothing: prepared bytes out, status and body back.

A load generator that shares two cores with what it measures must not be what is measured. So it
speaks only what our server answers with: a status line, `content-length`, no chunks, keep-alive.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import orjson

_HEAD_ENDS: Final = b"\r\n\r\n"
_LENGTH: Final = b"\ncontent-length:"
NO_CONTENT: Final = 204


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `status` 0 stands for a connection that broke before it did."""

    status: int
    head: bytes
    body: bytes

    def document(self) -> Any:
        """The body, read as JSON."""
        return orjson.loads(self.body)


BROKEN: Final = Answer(0, b"", b"")


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._received = b""
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio's by what they do, not by their class.
        self._transport, self.open = cast("asyncio.Transport", transport), True

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.open = False
        self._answered(BROKEN)

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        """Send a request; the future never fails, it may say BROKEN."""
        waiting = self._waiting = asyncio.get_running_loop().create_future()
        self._received = b""
        if self._transport is not None and self.open:
            self._transport.write(request)
        else:
            self._answered(BROKEN)
        return waiting

    def data_received(self, data: bytes) -> None:
        self._received = received = self._received + data
        ends = received.find(_HEAD_ENDS)
        if ends < 0:
            return
        status, head = int(received[9:12]), received[:ends]
        length = 0 if status == NO_CONTENT else _length(head)
        body = received[ends + len(_HEAD_ENDS) :]
        if len(body) >= length:
            self._answered(Answer(status, head, body))

    def close(self) -> None:
        """Give the connection back."""
        if self._transport is not None:
            self._transport.close()

    def _answered(self, answer: Answer) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)


class Wire:
    """As many connections to one server as there are requests at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._at = (host, port)
        self._idle: deque[Connection] = deque()
        self.opened = 0

    async def ask(self, request: bytes) -> Answer:
        """The answer to a request, over whichever connection has been idle the longest.

        So none idles for as long as the server keeps one.
        """
        connection = await self._connection()
        answer = await connection.ask(request)
        self._idle.append(connection)
        return answer

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().close()

    async def _connection(self) -> Connection:
        while self._idle:
            known = self._idle.popleft()
            if known.open:
                return known
        loop = asyncio.get_running_loop()
        self.opened += 1
        try:
            _, connection = await loop.create_connection(Connection, *self._at)
        except OSError:
            return Connection()
        return connection


def request_bytes(
    method: str, path: str, headers: Mapping[str, str], document: Any = None
) -> bytes:
    """A request as it travels; with a document, its body is that as JSON."""
    lines = [f"{method} {path} HTTP/1.1", "host: gateway"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    body = b""
    if document is not None:
        body = orjson.dumps(document)
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _length(head: bytes) -> int:
    """The announced length of the body; ValueError for an answer that announces none."""
    lowered = head.lower()
    begins = lowered.index(_LENGTH) + len(_LENGTH)
    ends = lowered.find(b"\r\n", begins)
    return int(lowered[begins : ends if ends >= 0 else None])
