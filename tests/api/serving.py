"""The application behind the real web server, and clients that write what they like."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from api.server import server_config
from settings import APISettings

# Only a server that hangs takes so long.
PATIENCE_S = 20


@asynccontextmanager
async def served(
    app: Any, api: APISettings, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """The port of a running server; the application's lifespan is the test's own affair."""
    config = server_config(api, tls, app)
    config.lifespan = "off"
    config.timeout_graceful_shutdown = 1
    config.ws = "websockets-sansio"
    # The loop is the test's, and so are signals.
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve([listening]))
    while not server.started:
        assert not running.done(), running
        await asyncio.sleep(0.005)
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await running
        listening.close()


class Wire:
    """A connection that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, port: int, tls: ssl.SSLContext | None = None) -> Wire:
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=tls))

    async def say(self, raw: bytes) -> None:
        """Send these bytes; who is gone hears nothing."""
        self._writer.write(raw)
        try:
            await self._writer.drain()
        except ConnectionError:
            return

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer: status, headers, body; 0 when the connection ends instead."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                head = await self._reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return 0, {}, b""
            first, *lines = head.decode("latin-1").rstrip().split("\r\n")
            headers = {
                name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
            }
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
            return int(first.split()[1]), headers, body

    async def ended(self) -> bool:
        """Whether the server closes the connection without another word."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self._reader.read(1) == b""
            except ConnectionError:
                return True

    async def rest(self, ending: bytes = b"0\r\n\r\n") -> bytes:
        """What else is said, up to and with this."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._reader.readuntil(ending)

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            return


async def ask(port: int, raw: bytes) -> tuple[int, dict[str, str], bytes]:
    """The answer to these bytes."""
    wire = await Wire.to(port)
    await wire.say(raw)
    try:
        return await wire.answer()
    finally:
        await wire.close()


def refused(answer: tuple[int, dict[str, str], bytes], status: int, code: str) -> None:
    """A problem document with the headers of every answer, and no word of who serves."""
    given, headers, body = answer
    assert given == status, answer
    assert json.loads(body)["code"] == code
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers
