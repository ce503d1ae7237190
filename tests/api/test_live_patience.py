"""A WebSocket outlives the time a client has to send a request's head."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI
from websockets.asyncio.client import connect

from api.live.transport import LiveProtocol
from api.protocol import limited
from tests.api.test_live import QuietServer


async def test_it_is_not_closed_as_an_idle_connection(
    app: FastAPI, bearer: Callable[..., dict[str, str]]
) -> None:
    """The hub is not run here: what is said and answered needs no event."""
    listening = socket.create_server(("127.0.0.1", 0))
    http = limited(header_timeout_s=0.2, body_timeout_s=0.2)
    config = uvicorn.Config(
        app, lifespan="off", log_level="critical", http=http, ws=LiveProtocol,
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = QuietServer(config)
    task = asyncio.create_task(server.serve([listening]))
    url = f"ws://127.0.0.1:{listening.getsockname()[1]}/api/v1/live"
    try:
        async with connect(url, additional_headers=bearer("support"), proxy=None) as client:
            await client.send('{"type": "subscribe"}')
            assert "subscribed" in str(await client.recv())
            for _ in range(4):
                await asyncio.sleep(0.15)
                await client.send('{"type": "ping"}')
                assert await client.recv() == '{"type":"pong"}'
    finally:
        server.should_exit = True
        await task
