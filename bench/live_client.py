"""Some of the live clients of `make bench ONLY=live`, in a process of their own.

Reads its plan from standard input, says READY once all follow, and at the end one line: of every
delivery the milliseconds since its event was about to be written (one clock for the machine).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

LIMIT_S = 180.0


async def main(plan: dict[str, Any]) -> None:
    """Follow with every token until each has had all events, in order."""
    clients = []
    for token in plan["tokens"]:
        clients.append(await _following(plan["url"], token))
    print("READY", flush=True)
    async with asyncio.timeout(LIMIT_S):
        taken = await asyncio.gather(*(_take(client, plan["events"]) for client in clients))
    print(json.dumps([each for delays in taken for each in delays]), flush=True)
    await asyncio.gather(*(client.close() for client in clients))


async def _following(url: str, token: str) -> ClientConnection:
    client = await connect(
        url,
        additional_headers={"authorization": f"Bearer {token}"},
        proxy=None,
        compression=None,
        open_timeout=LIMIT_S,
    )
    await client.send('{"type": "subscribe"}')
    assert json.loads(await client.recv())["type"] == "subscribed"
    return client


async def _take(client: ClientConnection, events: int) -> list[float]:
    delays: list[float] = []
    while len(delays) < events:
        text = await client.recv()
        now = time.monotonic()
        message = json.loads(text)
        if message["type"] == "event":
            data = message["event"]["data"]
            if data["number"] != len(delays):
                raise RuntimeError(f"event {data['number']} came as number {len(delays)}")
            delays.append(round((now - data["written_at"]) * 1_000, 2))
    return delays


if __name__ == "__main__":
    asyncio.run(main(json.load(sys.stdin)))
