"""How long an event takes to a thousand WebSocket clients of one process, a stuck one beside."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from typing import Final
from urllib.parse import urlsplit

from adapters.postgres.database import Database
from adapters.vault import Keyring, new_key
from bench.figure import Figure
from sandbox.services.state_dir import hold
from sandbox.stack import Stack, StackOptions, forget_earlier_run
from settings import ROOT

CLIENTS: Final = 1_000
PROCESSES: Final = 4
EVENTS: Final = 100
PAUSE_S: Final = 0.3
LIMIT_S: Final = 180.0
TENANT: Final = "acme"
STATE_DIR: Final = ROOT / ".run" / "bench"


async def measure() -> list[Figure]:
    """Delays from before an event is written to where each client has it, over all deliveries."""
    with hold(STATE_DIR):
        forget_earlier_run(STATE_DIR)
        stack = Stack(STATE_DIR, StackOptions(headless=True))
        try:
            await stack.start_surroundings()
            await stack.start_api()
            delays = await _delays(stack)
        finally:
            await stack.stop()
    slowest = max(delays)
    delays.sort()
    return [
        Figure("live.clients", CLIENTS, "WebSocket clients of one process"),
        Figure("live.fanout_p50_ms", delays[len(delays) // 2], "ms"),
        Figure("live.fanout_p99_ms", delays[len(delays) * 99 // 100], "ms"),
        Figure("live.fanout_max_ms", slowest, f"ms, the slowest of {len(delays)} deliveries"),
    ]


async def _delays(stack: Stack) -> list[float]:
    stuck = await asyncio.to_thread(_stuck_client, stack)
    share = CLIENTS // PROCESSES
    processes = [await _clients(stack, number * share, share) for number in range(PROCESSES)]
    try:
        async with asyncio.timeout(LIMIT_S):
            for process in processes:
                assert process.stdout is not None
                if (await process.stdout.readline()).strip() != b"READY":
                    raise RuntimeError("the clients could not follow")
            await _write(stack)
            taken = [(await process.communicate())[0] for process in processes]
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
        stuck.close()
    delays = [each for text in taken for each in json.loads(text)]
    if len(delays) != CLIENTS * EVENTS:
        raise RuntimeError(f"{len(delays)} deliveries of {CLIENTS * EVENTS}")
    return delays


async def _write(stack: Stack) -> None:
    database = await Database.connect(stack.database_url("app"), Keyring({"v1": new_key()}))
    try:
        for number in range(EVENTS):
            data = {"number": number, "written_at": time.monotonic()}
            async with database.transaction(TENANT) as tx:
                await tx.record("bench", "offer.accepted", f"app_{number}", data, key="bench")
            await asyncio.sleep(PAUSE_S)
    finally:
        await database.close()


async def _clients(stack: Stack, first: int, count: int) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.live_client", cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**24,
    )  # fmt: skip
    plan = {
        "url": _url(stack),
        "tokens": [_token(stack, f"user-{first + number}") for number in range(count)],
        "events": EVENTS,
    }
    assert process.stdin is not None
    process.stdin.write(json.dumps(plan).encode())
    await process.stdin.drain()
    process.stdin.close()
    return process


def _stuck_client(stack: Stack) -> socket.socket:
    """It subscribes, and takes nothing from then on."""
    at = urlsplit(stack.api_url)
    stuck = socket.socket()
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    stuck.connect((at.hostname, at.port))
    stuck.sendall(
        f"GET /api/v1/live HTTP/1.1\r\nHost: {at.netloc}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {'A' * 22}==\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: Bearer {_token(stack, 'stuck')}\r\n\r\n".encode()
    )
    if b"101" not in stuck.recv(4_096):
        raise RuntimeError("the stuck client was not let in")
    text = b'{"type": "subscribe"}'
    stuck.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
    return stuck


def _url(stack: Stack) -> str:
    return f"{stack.api_url.replace('http', 'ws', 1)}/api/v1/live"


def _token(stack: Stack, subject: str) -> str:
    return stack.token(subject, TENANT, "support")
