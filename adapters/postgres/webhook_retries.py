"""Lines that a workflow looks after: the next delivery, what became of it, and the way back.

For the application's role, one tenant at a time.
"""

from __future__ import annotations

from typing import Any, Final

from adapters.postgres.database import Database, Transaction
from adapters.postgres.webhook_lane import event_of
from adapters.postgres.webhooks import bury, bury_line, set_status, target_of
from models.domain.errors import InvariantViolated
from models.domain.events import Event
from models.domain.webhook import (
    GONE,
    REMOVED,
    Attempt,
    Drained,
    DueEvent,
    Line,
    RetryPlan,
    WebhookStatus,
    WebhookView,
)

ACTOR: Final = "system"


class PostgresWebhookRetries:
    """Satisfies `WebhookRetries`."""

    def __init__(self, database: Database, plan: RetryPlan) -> None:
        self._database = database
        self._plan = plan

    async def next(self, line: Line) -> DueEvent | Drained:
        """The line's next delivery, or why there is none to attempt."""
        async with self._database.transaction(line.tenant_id) as tx:
            webhook = await tx.row(
                "SELECT * FROM webhooks WHERE tenant_id = $1 AND webhook_id = $2 FOR SHARE",
                line.tenant_id, line.webhook_id,
            )  # fmt: skip
            status = webhook["status"]
            if status in (WebhookStatus.REMOVED, WebhookStatus.DISABLED):
                await bury_line(tx, line, REMOVED if status == "removed" else GONE)
                await _hand_back(tx, line)
                return Drained.HANDED_BACK
            if status == WebhookStatus.PAUSED:
                await _hold(tx, line)
                return Drained.HELD
            row = await _head(tx, line)
            if row is None:
                handed_back = await _hand_back(tx, line)
                return Drained.HANDED_BACK if handed_back else Drained.MORE
            return DueEvent(
                row["delivery_id"],
                _seen(WebhookView(webhook["view"]), event_of(row)),
                row["attempts"],
                target_of(tx.keyring, line.tenant_id, webhook),
            )

    async def settle(self, line: Line, due: DueEvent, attempt: Attempt) -> float | None:
        """Keep how an attempt went; returns seconds until the next of the same delivery, if any.

        A delivery whose time is up is dead-lettered, and the line goes on with the next; a receiver
        that is gone disables its webhook, and all that waits for it is dead-lettered.
        """
        async with self._database.transaction(line.tenant_id) as tx:
            if attempt.reason == GONE:
                await self._disable(tx, line)
                return None
            wait_s = self._plan.wait_s(due.attempts + 1, attempt.retry_after_s)
            row = await tx.row(
                "UPDATE webhook_deliveries SET attempts = attempts + 1, last_status = $3,"
                " last_reason = $4, last_ms = $5, status = CASE WHEN $4::text IS NULL"
                " THEN 'delivered' WHEN clock_timestamp() + $6 * interval '1 second'"
                " > since + $7 * interval '1 second' THEN 'dead_lettered' ELSE status END"
                " WHERE tenant_id = $1 AND delivery_id = $2 AND settled_at IS NULL RETURNING *",
                line.tenant_id, due.delivery_id, attempt.status, attempt.reason, attempt.ms,
                wait_s, self._plan.give_up_after_s,
            )  # fmt: skip
            if row is not None and row["status"] != "pending":
                await self._ended(tx, row)
            goes_on = row is None or row["status"] != "pending"
            await tx.execute(
                "UPDATE webhook_lines SET due_at = clock_timestamp() + $4 * interval '1 second'"
                " WHERE tenant_id = $1 AND webhook_id = $2 AND key = $3",
                line.tenant_id, line.webhook_id, line.key, 0.0 if goes_on else wait_s,
            )  # fmt: skip
        return None if goes_on else wait_s

    async def _ended(self, tx: Transaction, row: Any) -> None:
        await tx.execute(
            "UPDATE webhook_deliveries SET settled_at = clock_timestamp()"
            " WHERE tenant_id = $1 AND delivery_id = $2",
            tx.tenant_id, row["delivery_id"],
        )  # fmt: skip
        if row["status"] == "dead_lettered":
            await _tell_of_dead_letter(tx, row)

    async def _disable(self, tx: Transaction, line: Line) -> None:
        changed = await set_status(tx, line.webhook_id, WebhookStatus.DISABLED, GONE)
        buried = await bury(tx, line.webhook_id, GONE)
        if changed:
            detail = {"reason": GONE, "dead_lettered": buried}
            await tx.record(ACTOR, "webhook.disabled", line.webhook_id, detail, key=line.webhook_id)


async def _head(tx: Transaction, line: Line) -> Any:
    """The line's delivery that is next, with its event."""
    return await tx.row(
        "SELECT d.delivery_id, d.attempts, o.seq, o.event_id, o.tenant_id, o.key, o.type, o.data,"
        " o.recorded_at FROM webhook_deliveries d JOIN outbox o ON o.seq = d.event_seq"
        " WHERE d.tenant_id = $1 AND d.webhook_id = $2 AND d.key = $3 AND d.status = 'pending'"
        " ORDER BY d.event_seq LIMIT 1",
        line.tenant_id, line.webhook_id, line.key,
    )  # fmt: skip


async def _hand_back(tx: Transaction, line: Line) -> bool:
    """Take the line's row away, unless something was added behind it meanwhile.

    The lock first: whoever adds a delivery holds it shared until it commits, so what the second
    statement does not see will find no row, and goes its own way.
    """
    args = (line.tenant_id, line.webhook_id, line.key)
    where = "tenant_id = $1 AND webhook_id = $2 AND key = $3"
    await tx.execute(f"SELECT FROM webhook_lines WHERE {where} FOR UPDATE", *args)
    if await tx.value(
        f"SELECT EXISTS (SELECT FROM webhook_deliveries WHERE {where} AND status = 'pending')",  # noqa: S608
        *args,
    ):
        return False
    await tx.execute(f"DELETE FROM webhook_lines WHERE {where}", *args)  # noqa: S608
    return True


async def _hold(tx: Transaction, line: Line) -> None:
    await tx.execute(
        "UPDATE webhook_lines SET due_at = 'infinity'"
        " WHERE tenant_id = $1 AND webhook_id = $2 AND key = $3",
        line.tenant_id, line.webhook_id, line.key,
    )  # fmt: skip


async def _tell_of_dead_letter(tx: Transaction, row: Any) -> None:
    detail = {
        "delivery_id": row["delivery_id"],
        "event_id": row["event_id"],
        "event_type": row["type"],
        "attempts": row["attempts"],
        "reason": row["last_reason"],
        "status": row["last_status"],
    }
    await tx.record(
        ACTOR, "webhook.dead_lettered", row["webhook_id"], detail, key=row["webhook_id"]
    )


def _seen(view: WebhookView, event: Event) -> Event:
    seen = view.of(event)
    if seen is None:
        raise InvariantViolated("WEBHOOK_VIEW", "a delivery was made of what may not be known")
    return seen
