"""Whoever changes a webhook and whoever tells it never wait for each other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from adapters.postgres.webhook_deliveries import PostgresWebhookDeliveries
from adapters.postgres.webhook_lane import WebhookLaneRecords
from adapters.postgres.webhook_lines import WebhookLines
from adapters.postgres.webhook_retries import PostgresWebhookRetries
from adapters.postgres.webhooks import PostgresWebhooks
from models.domain.webhook import GONE, Attempt, DueEvent, Line
from tests.adapters.postgres.locking import waits_empty_handed
from tests.adapters.postgres.receivers import (
    ACCEPTED,
    BOTH,
    FAILED,
    PLAN,
    Registered,
    failed_line,
    happen,
    nothing,
    register,
)

pytestmark = pytest.mark.stack

LINES = 12
ROUNDS = 15


class Hands:
    """Everybody who writes deliveries and lines of one webhook."""

    def __init__(self, lending: Any, tenant: str, hook: Registered) -> None:
        self.lending, self.tenant, self.hook = lending, tenant, hook
        self.webhooks = PostgresWebhooks(lending.app)
        self.deliveries = PostgresWebhookDeliveries(lending.app)
        self.retries = PostgresWebhookRetries(lending.app, PLAN)
        self.lines = WebhookLines(lending.relay)

    async def settle(self, line: Line, attempt: Attempt) -> None:
        """As a line's workflow does after an attempt."""
        due = await self.retries.next(line)
        if isinstance(due, DueEvent):
            await self.retries.settle(line, due, attempt)

    async def told(self) -> None:
        """As whoever hands lines to their workflows does."""
        due, _ = await self.lines.due(0.0, 500)
        await self.lines.told(due)

    async def change(self, how: str) -> None:
        """As the tenant's people do."""
        write = self.lending.write(self.tenant)
        if how == "redeliver_all":
            await self.deliveries.redeliver_all(write, self.hook.webhook_id, BOTH, nothing)
        else:
            await getattr(self.webhooks, how)(write, self.hook.webhook_id, BOTH, nothing)

    async def take_up(self) -> None:
        """As whoever makes first attempts does."""
        async with self.lending.relay.session() as session:
            await WebhookLaneRecords(session).take_up(500)


@pytest.fixture
async def hands(lending: Any) -> Hands:
    tenant = lending.tenant()
    return Hands(lending, tenant, await register(lending, tenant, "https://hooks.example.org/in"))


@pytest.mark.parametrize("how", ["remove", "resume", "redeliver_all", "gone"])
async def test_nobody_holds_a_line_while_waiting_for_a_delivery(hands: Hands, how: str) -> None:
    """Who keeps how an attempt went has the delivery, and wants the line."""
    lending = hands.lending
    line = await failed_line(lending, hands.tenant, hands.hook, "x.one")
    due = await hands.retries.next(line)
    assert isinstance(due, DueEvent)
    if how == "redeliver_all":
        await lending.execute(
            "UPDATE webhook_deliveries SET status = 'dead_lettered' WHERE tenant_id = $1",
            hands.tenant,
        )
    gone = Attempt(3, 410, GONE)
    act = hands.retries.settle(line, due, gone) if how == "gone" else hands.change(how)
    await waits_empty_handed(lending, hands.tenant, act, "webhook_deliveries", "webhook_lines")


async def test_everybody_at_once_comes_through(hands: Hands) -> None:
    lines = [
        await failed_line(hands.lending, hands.tenant, hands.hook, "x.one", "x.two", key=f"app_{n}")
        for n in range(LINES)
    ]

    async def look_after(line: Line) -> None:
        for n in range(ROUNDS):
            await hands.settle(line, FAILED if n % 3 else ACCEPTED)

    async def change() -> None:
        for _ in range(ROUNDS):
            for how in ("pause", "resume", "redeliver_all"):
                await hands.change(how)

    async def tell() -> None:
        for n in range(ROUNDS):
            await happen(hands.lending, hands.tenant, f"app_{n % LINES}", "x.more")
            await hands.take_up()
            await hands.told()

    await asyncio.gather(change(), tell(), *(look_after(line) for line in lines))
    await hands.change("remove")
    waiting = "SELECT count(*) FROM webhook_deliveries WHERE status = 'pending' AND tenant_id = $1"
    assert await hands.lending.value(waiting, hands.tenant) == 0
    for line in lines:
        await hands.settle(line, FAILED)
    kept = "SELECT count(*) FROM webhook_lines WHERE tenant_id = $1"
    assert await hands.lending.value(kept, hands.tenant) == 0
