"""A webhook's line in memory, looked after by the product's own workflow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.worker import Worker

from activities.webhooks import WebhookActivities
from adapters.temporal import ErrorTypes, Heartbeats
from adapters.webhooks.line_workflows import LineWorkflows
from models.domain.events import Event
from models.domain.ids import webhook_workflow_id
from models.domain.routing import WORKFLOWS_QUEUE
from models.domain.webhook import NOT_ACCEPTED, Attempt, Drained, DueEvent, Line, RetryPlan, Target
from tests.workflows.world import World
from worker import SANDBOX
from workflows.webhook_delivery import WebhookDeliveryWorkflow

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
