"""What a receiver does not take is tried for days at the cost of a few events, and never lost."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from adapters.webhooks.line_workflows import LineWorkflows
from models.domain.ids import new_id
from models.domain.webhook import Line
from tests.workflows.webhook_lines import SECRET, LineInMemory, looked_after
from tests.workflows.world import World

pytestmark = pytest.mark.stack


@pytest.fixture
def line(world: World) -> Line:
    return Line(world.tenant, new_id("whk"), new_id("app"))


async def test_what_waits_is_told_in_order(world: World, line: Line) -> None:
    records = LineInMemory("x.one", "x.two", line=line)
    async with looked_after(world, records) as handle:
        await handle.result()
    assert records.sent == ["x.one", "x.two"]


async def test_two_days_of_refusals_leave_a_handful_of_events(world: World, line: Line) -> None:
    records = LineInMemory("x.one", "x.two", refusals=14, line=line)
    async with looked_after(world, records) as handle:
        async with world.skipping():
            await handle.result()
        history = await handle.fetch_history()
    assert records.sent == ["x.one"] * 15 + ["x.two"]
    began, ended = (history.events[position].event_time.ToDatetime() for position in (0, -1))
    assert timedelta(days=1.5) < ended - began < timedelta(days=3)
    assert len(history.events) <= 15
    assert SECRET.decode() not in str(history)


async def test_whoever_wakes_it_is_heard_at_once(world: World, line: Line) -> None:
    """A receiver that is back is not left waiting for hours."""
    records = LineInMemory("x.one", refusals=9, line=line)
    async with looked_after(world, records) as handle:
        while records.attempts < 1:
            await asyncio.sleep(0.01)
        records.refusals = 0
        await LineWorkflows(world.client).look_after(line)
        await asyncio.wait_for(handle.result(), 300)
    assert records.sent == ["x.one", "x.one"]


async def test_a_wake_up_while_it_ends_is_not_lost(world: World, line: Line) -> None:
    records = LineInMemory("x.one", line=line)

    async def fail_again() -> None:
        # The line is handed back, and fails again before the workflow has ended.
        records.waiting.append("x.two")
        await LineWorkflows(world.client).look_after(line)
        await asyncio.sleep(0.1)

    records.before_handing_back = fail_again
    async with looked_after(world, records) as handle:
        await asyncio.wait_for(handle.result(), 300)
    assert records.sent == ["x.one", "x.two"]


async def test_a_paused_line_ends_and_begins_again_when_it_is_resumed(
    world: World, line: Line
) -> None:
    records = LineInMemory("x.one", line=line)
    records.held = True
    async with looked_after(world, records) as handle:
        await asyncio.wait_for(handle.result(), 300)
        assert records.sent == []
        records.held = False
        await LineWorkflows(world.client).look_after(line)
        await asyncio.wait_for(handle.result(), 300)
    assert records.sent == ["x.one"]
