"""What a receiver does not take is tried for days at the cost of a few events, and never lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowHandle
from temporalio.worker import Worker

from activities.webhooks import WebhookActivities
from adapters.temporal import ErrorTypes, Heartbeats
from adapters.webhooks.line_workflows import LineWorkflows
from models.domain.events import Event
from models.domain.ids import new_id, webhook_workflow_id
from models.domain.routing import WORKFLOWS_QUEUE
from models.domain.webhook import NOT_ACCEPTED, Attempt, Drained, DueEvent, Line, RetryPlan, Target
from tests.workflows.world import World
from worker import SANDBOX
from workflows.webhook_delivery import WebhookDeliveryWorkflow

pytestmark = pytest.mark.stack

PLAN = RetryPlan()
SECRET = b"a secret that no payload may hold"


class LineInMemory:
    """A line's deliveries, and a receiver who refuses so many attempts first."""

    def __init__(self, *types: str, refusals: int = 0, line: Line) -> None:
        self.line = line
        self.waiting = list(types)
        self.refusals = refusals
        self.attempts = 0
        self.sent: list[str] = []
        self.held = False
        self.handed_back = asyncio.Event()
        self.before_handing_back: Any = None

    async def next(self, line: Line) -> DueEvent | Drained:
        assert line == self.line
        if self.held:
            return Drained.HELD
        if not self.waiting:
            if self.before_handing_back is not None:
                act, self.before_handing_back = self.before_handing_back, None
                await act()
            self.handed_back.set()
            return Drained.HANDED_BACK
        event = Event(
            1, "evt_" + self.waiting[0], line.tenant_id, line.key, self.waiting[0], {},
            datetime.now(UTC),
        )  # fmt: skip
        return DueEvent("dlv_1", event, self.attempts, Target("https://a.example/", (SECRET,)))

    async def send(self, target: Target, event: Event) -> Attempt:
        self.sent.append(event.type)
        if self.refusals:
            self.refusals -= 1
            return Attempt(5, 503, NOT_ACCEPTED)
        return Attempt(5, 204)

    async def settle(self, line: Line, due: DueEvent, attempt: Attempt) -> float | None:
        self.attempts += 1
        if attempt.accepted:
            self.waiting.pop(0)
            self.attempts = 0
            return None
        return PLAN.wait_s(self.attempts, attempt.retry_after_s)


@pytest.fixture
def line(world: World) -> Line:
    return Line(world.tenant, new_id("whk"), new_id("app"))


@asynccontextmanager
async def looked_after(
    world: World, records: LineInMemory
) -> AsyncIterator[WorkflowHandle[Any, Any]]:
    """The line's workflow, begun as the relay begins it."""
    async with Worker(
        world.client,
        task_queue=WORKFLOWS_QUEUE,
        workflows=[WebhookDeliveryWorkflow],
        activities=[WebhookActivities(records, records).deliver_webhooks],
        workflow_runner=SANDBOX,
        interceptors=[ErrorTypes(), Heartbeats()],
    ):
        line = records.line
        await LineWorkflows(world.client).look_after(line)
        yield world.client.get_workflow_handle(
            webhook_workflow_id(line.tenant_id, line.webhook_id, line.key)
        )


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
        await asyncio.wait_for(handle.result(), 60)
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
        await asyncio.wait_for(handle.result(), 60)
    assert records.sent == ["x.one", "x.two"]


async def test_a_paused_line_ends_and_begins_again_when_it_is_resumed(
    world: World, line: Line
) -> None:
    records = LineInMemory("x.one", line=line)
    records.held = True
    async with looked_after(world, records) as handle:
        await asyncio.wait_for(handle.result(), 60)
        assert records.sent == []
        records.held = False
        await LineWorkflows(world.client).look_after(line)
        await asyncio.wait_for(handle.result(), 60)
    assert records.sent == ["x.one"]
