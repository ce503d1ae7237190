"""Live updates of the running product: what a client follows outlives the API it follows it by."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest

from models.domain.events import APPLICANT_EVENTS
from sandbox.borrower import Borrower
from tests.e2e.outside import World

pytestmark = pytest.mark.stack

LIMIT_S = 180.0


class Follower:
    """A client that keeps the last id it saw, as the documentation tells it to."""

    def __init__(self, world: World, person: Borrower) -> None:
        self._world = world
        self._headers = person.headers()
        self.seen: list[tuple[str, str]] = []  # (sequence, type)

    async def read_until(self, kind: str) -> None:
        """Read on from the last id until an event of this type, whatever breaks off meanwhile."""
        async with asyncio.timeout(LIMIT_S):
            while not any(each == kind for _, each in self.seen):
                with suppress(httpx.TransportError):
                    async with self._stream() as lines:
                        await self._read(lines, kind)

    async def _read(self, lines: AsyncIterator[str], kind: str) -> None:
        async for line in lines:
            name, _, value = line.partition(": ")
            if name != "data":
                continue
            event: dict[str, Any] = json.loads(value)
            if "sequence" in event:
                self.seen.append((event["sequence"], event["type"]))
                if event["type"] == kind:
                    return

    @asynccontextmanager
    async def _stream(self) -> AsyncIterator[AsyncIterator[str]]:
        headers = dict(self._headers)
        if self.seen:
            headers["Last-Event-ID"] = self.seen[-1][0]
        async with self._world.http.stream(
            "GET", "/api/v1/events", headers=headers, timeout=LIMIT_S
        ) as answer:
            assert answer.status_code == 200, await answer.aread()
            yield answer.aiter_lines()


async def test_a_client_misses_nothing_when_the_api_dies_and_comes_back(world: World) -> None:
    person, stack = world.person(), world.stack
    application_id = await person.apply()
    follower = Follower(world, person)
    # Whoever has no id yet asks from the beginning: what was before the first stream comes, too.
    follower.seen.append(("0" * 19, ""))
    following = asyncio.create_task(follower.read_until("application.funded"))
    offered = await world.until(person, application_id, "offered")
    await stack.processes["api"].kill()
    await stack.start_api()
    await person.accept(application_id, offered["offers"][0])
    await following
    written = await world.truth.rows(
        "SELECT seq, type FROM outbox WHERE tenant_id = $1 AND key = $2 AND type = ANY($3)"
        " ORDER BY seq",
        person.data["tenant"], application_id, sorted(APPLICANT_EVENTS),
    )  # fmt: skip
    told = [(int(sequence), kind) for sequence, kind in follower.seen[1:]]
    assert told == [(row["seq"], row["type"]) for row in written]
    assert told[0][1] == "application.submitted"
