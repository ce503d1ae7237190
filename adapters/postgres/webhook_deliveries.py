"""What was told to a webhook and what could not be, and its way back (role `caas_app`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from adapters.postgres import idempotency
from adapters.postgres.database import Database, Transaction
from adapters.postgres.security_log import note
from adapters.postgres.webhooks import found, refuse_disabled, standing, tell
from models.domain.errors import NotFound
from models.domain.webhook import Delivery, DeliveryStatus, WebhookView
from models.domain.writes import StoredAnswer, WriteKey

# Of one request: who has more is to ask again, and the receiver is not run over.
MOST_REDELIVERED: Final = 10_000

_COLUMNS: Final = (
    "d.delivery_id, d.webhook_id, d.key, d.event_id, d.type, d.status, d.attempts, d.last_status,"
    " d.last_reason, d.last_ms, d.created_at, d.settled_at, w.created_by AS owner"
)
_REVIVE: Final = (
    "WITH ours AS (SELECT delivery_id FROM webhook_deliveries WHERE tenant_id = $1"
    " AND delivery_id = ANY($2) AND status <> 'pending' ORDER BY delivery_id FOR UPDATE)"
    " UPDATE webhook_deliveries d SET status = 'pending', attempts = 0, since = clock_timestamp(),"
    " settled_at = NULL FROM ours WHERE d.tenant_id = $1 AND d.delivery_id = ours.delivery_id"
)
# Where a line is looked after already, its workflow is told that there is more to do now.
_DUE: Final = (
    "INSERT INTO webhook_lines (tenant_id, webhook_id, key, due_at)"
    " SELECT DISTINCT tenant_id, webhook_id, key, statement_timestamp() FROM webhook_deliveries"
    " WHERE tenant_id = $1 AND delivery_id = ANY($2) ORDER BY webhook_id, key"
    " ON CONFLICT (tenant_id, webhook_id, key)"
    " DO UPDATE SET due_at = excluded.due_at, told_at = NULL"
)


class PostgresWebhookDeliveries:
    """Lists deliveries and has them told again; `views` are those a caller may see."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        tenant_id: str,
        webhook_id: str,
        views: frozenset[WebhookView],
        status: DeliveryStatus | None,
        after: str | None,
        limit: int,
    ) -> tuple[Delivery, ...]:
        """A webhook's deliveries, the newest first, those before `after`; raises NotFound."""
        async with self._database.transaction(tenant_id) as tx:
            await found(tx, webhook_id, views)
            rows = await tx.rows(
                f"SELECT {_COLUMNS} FROM webhook_deliveries d"  # noqa: S608
                " JOIN webhooks w USING (tenant_id, webhook_id)"
                " WHERE d.tenant_id = $1 AND d.webhook_id = $2"
                " AND ($3::text IS NULL OR d.status = $3)"
                " AND ($4::text IS NULL OR d.delivery_id < $4)"
                " ORDER BY d.delivery_id DESC LIMIT $5",
                tenant_id, webhook_id, status, after, limit,
            )  # fmt: skip
        return tuple(_delivery(row) for row in rows)

    async def redeliver(
        self,
        write: WriteKey,
        webhook_id: str,
        delivery_id: str,
        views: frozenset[WebhookView],
        answer: Callable[[Delivery], StoredAnswer],
    ) -> StoredAnswer:
        """Tell of an event again, whatever became of it; one that still waits goes on waiting.

        Raises NotFound, or Conflict WEBHOOK_NOT_ACTIVE or WEBHOOK_REMOVED.
        """
        async with self._database.transaction(write.tenant_id) as tx:
            if (earlier := await idempotency.reserve(tx, write)) is not None:
                return earlier
            refuse_disabled(await standing(tx, webhook_id, views))
            before = await _one(tx, webhook_id, delivery_id)
            if before.status is not DeliveryStatus.PENDING:
                await _again(tx, [delivery_id])
                detail = {"delivery_id": delivery_id}
                await note(tx, write.subject, "webhook_registry.redelivered", webhook_id, detail)
            given = answer(await _one(tx, webhook_id, delivery_id))
            await idempotency.answer(tx, write, given)
        return given

    async def redeliver_all(
        self,
        write: WriteKey,
        webhook_id: str,
        views: frozenset[WebhookView],
        answer: Callable[[int], StoredAnswer],
    ) -> StoredAnswer:
        """Tell again of what was dead-lettered, the oldest first, at most MOST_REDELIVERED."""
        async with self._database.transaction(write.tenant_id) as tx:
            if (earlier := await idempotency.reserve(tx, write)) is not None:
                return earlier
            refuse_disabled(await standing(tx, webhook_id, views))
            rows = await tx.rows(
                "SELECT delivery_id FROM webhook_deliveries WHERE tenant_id = $1"
                " AND webhook_id = $2 AND status = 'dead_lettered' ORDER BY delivery_id LIMIT $3",
                tx.tenant_id, webhook_id, MOST_REDELIVERED,
            )  # fmt: skip
            if rows:
                await _again(tx, [row["delivery_id"] for row in rows])
            detail = {"count": len(rows)}
            await note(tx, write.subject, "webhook_registry.redelivered", webhook_id, detail)
            given = answer(len(rows))
            await idempotency.answer(tx, write, given)
        return given


async def _again(tx: Transaction, delivery_ids: list[str]) -> None:
    await tx.execute(_REVIVE, tx.tenant_id, delivery_ids)
    await tx.execute(_DUE, tx.tenant_id, delivery_ids)
    await tell(tx)


async def _one(tx: Transaction, webhook_id: str, delivery_id: str) -> Delivery:
    row = await tx.row(
        f"SELECT {_COLUMNS} FROM webhook_deliveries d"  # noqa: S608
        " JOIN webhooks w USING (tenant_id, webhook_id)"
        " WHERE d.tenant_id = $1 AND d.webhook_id = $2 AND d.delivery_id = $3",
        tx.tenant_id, webhook_id, delivery_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("DELIVERY_UNKNOWN")
    return _delivery(row)


def _delivery(row: Any) -> Delivery:
    return Delivery(**{**dict(row), "status": DeliveryStatus(row["status"])})
