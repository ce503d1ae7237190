"""A line between an adapter and its counterparty, on which everything can go wrong.

Real sockets on loopback. What passes is left alone until a fault is put on the line; then the fault
decides what becomes of each request that it is meant for (faults.py). All lines are served by a
thread of their own: an adapter that blocks its event loop cannot keep a fault from happening.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import h11
import httpx

from sandbox.services.ports import LOOPBACK

T = TypeVar("T")

_READ: Final = 65_536
_UPSTREAM_S: Final = 20.0
_CLOSED_WITHIN_S: Final = 5.0
# Headers that belong to one connection, not to the message (RFC 9110 §7.6.1), and its length.
_OF_THE_CONNECTION: Final = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came over the line; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it is sent; its length follows from the body."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})

    def head(self, length: int | None = None, *, connection: str = "close") -> bytes:
        """The status line and headers; `length` is what is promised instead of what is sent."""
        promised = len(self.body) if length is None else length
        lines = [f"HTTP/1.1 {self.status} {httpx.codes.get_reason_phrase(self.status) or 'Odd'}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines += [f"content-length: {promised}", f"connection: {connection}", "", ""]
        return "\r\n".join(lines).encode("latin-1")


class Passing:
    """One request on its way, in the hands of a fault."""

    def __init__(
        self,
        asked: Asked,
        forward: Callable[[], Awaitable[Reply]],
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self.asked = asked
        self.forward = forward
        self._reader, self._writer = streams

    async def send(self, raw: bytes) -> None:
        """Bytes to the adapter; ConnectionError once it has hung up."""
        self._writer.write(raw)
        await self._writer.drain()

    async def answer(self, reply: Reply) -> None:
        """A whole answer."""
        await self.send(reply.head() + reply.body)

    async def wait(self, seconds: float) -> None:
        """Time passes, or the adapter hangs up."""
        try:
            async with asyncio.timeout(seconds):
                while await self._reader.read(_READ):
                    pass
        except TimeoutError:
            return
        raise ConnectionResetError("the adapter hung up")

    def reset(self) -> None:
        """Break the connection as a crashed peer does: RST, nothing is said."""
        raw: socket.socket = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Fault = Callable[[Passing], Awaitable[None]]
"""What becomes of a request."""


class Line:
    """One adapter's way to its counterparty; `url` is the address the adapter is told."""

    def __init__(self, wire: Wire, upstream: str) -> None:
        self._wire = wire
        self._upstream = upstream
        self._server: asyncio.Server | None = None
        self._fault: tuple[Fault, Callable[[Asked], bool]] | None = None
        self.url = ""
        self.asked: list[Asked] = []
        self.faulted = 0

    def break_with(self, fault: Fault, when: Callable[[Asked], bool] = lambda _: True) -> None:
        """From now on, requests of this kind are in the hands of the fault."""
        self._fault, self.faulted = (fault, when), 0

    def mend(self) -> None:
        """From now on, everything passes."""
        self._fault = None

    def cut(self) -> None:
        """Nobody listens at the address any more."""
        self._wire.do(self._cut())

    async def open(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://{LOOPBACK}:{port}"

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await _request(reader)
            if asked is not None:
                await self._pass(asked, reader, writer)
        except (ConnectionError, httpx.TransportError, h11.RemoteProtocolError):
            pass  # what the adapter makes of it is what is being watched
        finally:
            writer.close()

    async def _pass(
        self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.asked.append(asked)
        # Little is buffered: what was sent is, nearly, what the adapter has read.
        writer.transport.set_write_buffer_limits(high=_READ)
        passing = Passing(asked, lambda: self._forwarded(asked), (reader, writer))
        if self._fault is not None and self._fault[1](asked):
            self.faulted += 1
            await self._fault[0](passing)
        else:
            await passing.answer(await passing.forward())

    async def _forwarded(self, asked: Asked) -> Reply:
        headers = {k: v for k, v in asked.headers.items() if k not in _OF_THE_CONNECTION}
        answer = await self._wire.client.request(
            asked.method, self._upstream + asked.target, headers=headers, content=asked.body
        )
        kept = {k: v for k, v in answer.headers.items() if k not in _OF_THE_CONNECTION}
        return Reply(answer.status_code, answer.content, kept)


class Wire:
    """Serves lines in a thread of its own, from entering to leaving it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="wire")
        self.client = httpx.AsyncClient(
            trust_env=False, follow_redirects=False, timeout=_UPSTREAM_S, verify=False
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLOSED_WITHIN_S)
        self._loop.close()

    def line(self, upstream: str) -> Line:
        """A new line to the server at this address."""
        line = Line(self, upstream)
        self.do(line.open())
        return line

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something where the lines are served, from any other thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_UPSTREAM_S)

    async def _close(self) -> None:
        own = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not own]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self.client.aclose()


async def _request(reader: asyncio.StreamReader) -> Asked | None:
    """The next request of a connection; None if it was closed without one."""
    parser = h11.Connection(h11.SERVER)
    asked: h11.Request | None = None
    body = bytearray()
    while True:
        event = parser.next_event()
        if event is h11.NEED_DATA:
            raw = await reader.read(_READ)
            if not raw and asked is None:
                return None
            parser.receive_data(raw)
        elif isinstance(event, h11.Request):
            asked = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert asked is not None
            headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in asked.headers}
            target = asked.target.decode("latin-1")
            return Asked(asked.method.decode("ascii"), target, headers, bytes(body))
        else:
            return None
