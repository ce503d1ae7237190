"""Webhooks as their tenant registers and keeps them; their secrets are sealed (role `caas_app`)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from adapters.postgres import idempotency, sealed_answers
from adapters.postgres.database import Database, Transaction
from adapters.postgres.security_log import note
from adapters.vault import Keyring
from adapters.webhooks.signature import encode_secret, new_secret
from models.domain.errors import Conflict, NotFound
from models.domain.ids import new_id
from models.domain.webhook import (
    REMOVED,
    Line,
    NewWebhook,
    Target,
    Webhook,
    WebhookStatus,
    WebhookView,
)
from models.domain.writes import StoredAnswer, WriteKey

# Told when webhooks begin, change or resume: whoever makes first attempts looks at once.
CHANNEL: Final = "webhooks"
# Each costs a request for every event; a tenant's systems are few.
MOST_WEBHOOKS: Final = 20
_PURPOSE: Final = "webhooks"
_LIVE: Final = "status <> 'removed'"
# Everybody locks in one order, or two would wait for each other: a webhook, then deliveries by
# their ids, then lines by their keys.
_WAKE_LINES: Final = (
    "WITH ours AS (SELECT key FROM webhook_lines WHERE tenant_id = $1 AND webhook_id = $2"
    " ORDER BY key FOR UPDATE)"
    " UPDATE webhook_lines l SET due_at = clock_timestamp(), told_at = NULL FROM ours"
    " WHERE l.tenant_id = $1 AND l.webhook_id = $2 AND l.key = ours.key"
)
_CHANGE_PENDING: Final = (
    "WITH ours AS (SELECT delivery_id FROM webhook_deliveries"
    " WHERE tenant_id = $1 AND webhook_id = $2 AND status = 'pending'{of_line}"
    " ORDER BY delivery_id FOR UPDATE)"
    " UPDATE webhook_deliveries d SET {change} FROM ours"
    " WHERE d.tenant_id = $1 AND d.delivery_id = ours.delivery_id"
)
_DEAD: Final = "status = 'dead_lettered', last_reason = $3, settled_at = clock_timestamp()"
_REST: Final = _CHANGE_PENDING.format(change="since = clock_timestamp()", of_line="")
_BURY: Final = _CHANGE_PENDING.format(change=_DEAD, of_line="")
_BURY_LINE: Final = _CHANGE_PENDING.format(change=_DEAD, of_line=" AND key = $4")

Answer = Callable[[Webhook], StoredAnswer]
AnswerWithSecret = Callable[[Webhook, str], StoredAnswer]


class PostgresWebhooks:
    """Registers, shows, rotates, pauses, resumes and removes; `views` are those a caller may see.

    What a caller may not see raises NotFound, as what is not there does. A removed webhook can
    still be shown, and changing it raises Conflict WEBHOOK_REMOVED.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(
        self, write: WriteKey, asked: NewWebhook, answer: AnswerWithSecret
    ) -> StoredAnswer:
        """A new webhook, told of events from now on; the secret is answered once.

        Raises Conflict TOO_MANY_WEBHOOKS.
        """
        async with self._database.transaction(write.tenant_id) as tx:
            if (earlier := await sealed_answers.reserve(tx, write)) is not None:
                return earlier
            await _refuse_more(tx)
            webhook_id, secret = new_id("whk"), new_secret()
            row = await tx.row(
                "INSERT INTO webhooks (tenant_id, webhook_id, provider_id, url, event_types, view,"
                " description, status, secret, secret_key_id, from_seq, created_by) VALUES"
                " ($1, $2, $3, $4, $5, $6, $7, 'active', $8, $9, drawn_events(), $10) RETURNING *",
                tx.tenant_id, webhook_id, asked.provider_id, asked.url,
                list(asked.event_types) if asked.event_types is not None else None,
                asked.view, asked.description, seal(tx, webhook_id, secret), tx.keyring.current,
                write.subject,
            )  # fmt: skip
            detail = {"view": asked.view, "provider_id": asked.provider_id}
            await note(tx, write.subject, "webhook_registry.registered", webhook_id, detail)
            await tell(tx)
            given = answer(webhook_of(row), encode_secret(secret))
            await sealed_answers.answer(tx, write, given)
        return given

    async def all(self, tenant_id: str, views: frozenset[WebhookView]) -> tuple[Webhook, ...]:
        """The tenant's webhooks, the newest first."""
        async with self._database.transaction(tenant_id) as tx:
            rows = await tx.rows(
                f"SELECT * FROM webhooks WHERE tenant_id = $1 AND view = ANY($2) AND {_LIVE}"  # noqa: S608
                " ORDER BY created_at DESC LIMIT $3",
                tenant_id, list(views), MOST_WEBHOOKS,
            )  # fmt: skip
        return tuple(webhook_of(row) for row in rows)

    async def one(self, tenant_id: str, webhook_id: str, views: frozenset[WebhookView]) -> Webhook:
        """A webhook; raises NotFound."""
        async with self._database.transaction(tenant_id) as tx:
            return webhook_of(await found(tx, webhook_id, views))

    async def target(
        self, tenant_id: str, webhook_id: str, views: frozenset[WebhookView]
    ) -> Target:
        """Where a webhook is told, and what signs; raises NotFound."""
        async with self._database.transaction(tenant_id) as tx:
            row = await standing(tx, webhook_id, views)
            return target_of(tx.keyring, tenant_id, row)

    async def rotate(
        self,
        write: WriteKey,
        webhook_id: str,
        views: frozenset[WebhookView],
        overlap: timedelta,
        answer: AnswerWithSecret,
    ) -> StoredAnswer:
        """A new secret, answered once; the one it replaces signs beside it for `overlap`."""
        async with self._database.transaction(write.tenant_id) as tx:
            if (earlier := await sealed_answers.reserve(tx, write)) is not None:
                return earlier
            await standing(tx, webhook_id, views)
            secret = new_secret()
            row = await tx.row(
                "UPDATE webhooks SET former_secret = secret, former_key_id = secret_key_id,"
                " former_until = clock_timestamp() + $3, secret = $4, secret_key_id = $5,"
                " updated_at = clock_timestamp()"
                " WHERE tenant_id = $1 AND webhook_id = $2 RETURNING *",
                tx.tenant_id, webhook_id, overlap, seal(tx, webhook_id, secret),
                tx.keyring.current,
            )  # fmt: skip
            detail = {"overlap_s": int(overlap.total_seconds())}
            await note(tx, write.subject, "webhook_registry.rotated", webhook_id, detail)
            await tell(tx)
            given = answer(webhook_of(row), encode_secret(secret))
            await sealed_answers.answer(tx, write, given)
        return given

    async def pause(
        self, write: WriteKey, webhook_id: str, views: frozenset[WebhookView], answer: Answer
    ) -> StoredAnswer:
        """Tell it of nothing until it is resumed; events wait. Raises Conflict if disabled."""

        async def change(tx: Transaction, row: Any) -> None:
            refuse_disabled(row)
            await set_status(tx, webhook_id, WebhookStatus.PAUSED, None)

        return await self._change(
            write, webhook_id, views, "webhook_registry.paused", change, answer
        )

    async def resume(
        self, write: WriteKey, webhook_id: str, views: frozenset[WebhookView], answer: Answer
    ) -> StoredAnswer:
        """Tell it again: of all that waited, or from now on if it was disabled."""

        async def change(tx: Transaction, row: Any) -> None:
            await set_status(tx, webhook_id, WebhookStatus.ACTIVE, None)
            if row["status"] == WebhookStatus.DISABLED:
                await tx.execute(
                    "UPDATE webhooks SET from_seq = drawn_events()"
                    " WHERE tenant_id = $1 AND webhook_id = $2",
                    tx.tenant_id, webhook_id,
                )  # fmt: skip
            # The time of rest is not the receiver's failure.
            await tx.execute(_REST, tx.tenant_id, webhook_id)
            await tx.execute(_WAKE_LINES, tx.tenant_id, webhook_id)

        return await self._change(
            write, webhook_id, views, "webhook_registry.resumed", change, answer
        )

    async def remove(
        self, write: WriteKey, webhook_id: str, views: frozenset[WebhookView], answer: Answer
    ) -> StoredAnswer:
        """Tell it of nothing any more; its secrets are destroyed, what waits is dead-lettered.

        Removing it again changes nothing.
        """
        async with self._database.transaction(write.tenant_id) as tx:
            if (earlier := await idempotency.reserve(tx, write)) is not None:
                return earlier
            await found(tx, webhook_id, views)
            if await set_status(tx, webhook_id, WebhookStatus.REMOVED, None):
                await tx.execute(
                    "UPDATE webhooks SET secret = '', former_secret = NULL, former_until = NULL"
                    " WHERE tenant_id = $1 AND webhook_id = $2",
                    tx.tenant_id, webhook_id,
                )  # fmt: skip
                await bury(tx, webhook_id, REMOVED)
                await note(tx, write.subject, "webhook_registry.removed", webhook_id, {})
            given = answer(webhook_of(await found(tx, webhook_id, views)))
            await idempotency.answer(tx, write, given)
        return given

    async def _change(
        self,
        write: WriteKey,
        webhook_id: str,
        views: frozenset[WebhookView],
        action: str,
        change: Callable[[Transaction, Any], Any],
        answer: Answer,
    ) -> StoredAnswer:
        async with self._database.transaction(write.tenant_id) as tx:
            if (earlier := await idempotency.reserve(tx, write)) is not None:
                return earlier
            row = await standing(tx, webhook_id, views)
            await change(tx, row)
            await note(tx, write.subject, action, webhook_id, {})
            await tell(tx)
            given = answer(webhook_of(await found(tx, webhook_id, views)))
            await idempotency.answer(tx, write, given)
        return given


async def bury(tx: Transaction, webhook_id: str, reason: str) -> int:
    """Dead-letter all that waits for a webhook that is told of nothing any more.

    Workflows that look after its lines are told, and find nothing to do.
    """
    buried = await tx.execute(_BURY, tx.tenant_id, webhook_id, reason)
    await tx.execute(_WAKE_LINES, tx.tenant_id, webhook_id)
    await tell(tx)
    return buried


async def bury_line(tx: Transaction, line: Line, reason: str) -> None:
    """Dead-letter what was added to a line while its webhook was taken away."""
    await tx.execute(_BURY_LINE, line.tenant_id, line.webhook_id, reason, line.key)


def webhook_of(row: Any) -> Webhook:
    """A webhook from its row."""
    types = row["event_types"]
    return Webhook(
        webhook_id=row["webhook_id"],
        provider_id=row["provider_id"],
        url=row["url"],
        event_types=tuple(types) if types is not None else None,
        view=WebhookView(row["view"]),
        description=row["description"],
        status=WebhookStatus(row["status"]),
        status_reason=row["status_reason"],
        former_secret_until=row["former_until"],
        created_by=row["created_by"],
        created_at=row["created_at"],
    )


def seal(tx: Transaction, webhook_id: str, secret: bytes) -> bytes:
    """A secret as it is kept."""
    return tx.keyring.seal(tx.tenant_id, _PURPOSE, secret, _context(tx.tenant_id, webhook_id))


def target_of(keyring: Keyring, tenant_id: str, row: Any) -> Target:
    """Where a webhook is told, with the secrets that sign now; raises Undecipherable."""
    context = _context(tenant_id, row["webhook_id"])
    secrets = [keyring.open(tenant_id, _PURPOSE, row["secret_key_id"], row["secret"], context)]
    until = row["former_until"]
    if row["former_secret"] is not None and until > datetime.now(UTC):
        former = row["former_secret"]
        secrets.append(keyring.open(tenant_id, _PURPOSE, row["former_key_id"], former, context))
    return Target(row["url"], tuple(secrets))


def _context(tenant_id: str, webhook_id: str) -> str:
    return f"webhooks.secret|{tenant_id}|{webhook_id}"


async def _refuse_more(tx: Transaction) -> None:
    # Two at once would both count one too few.
    await tx.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('webhooks|' || $1, 0))", tx.tenant_id
    )
    count = await tx.value(
        f"SELECT count(*) FROM webhooks WHERE tenant_id = $1 AND {_LIVE}",  # noqa: S608
        tx.tenant_id,
    )
    if count >= MOST_WEBHOOKS:
        raise Conflict("TOO_MANY_WEBHOOKS")


async def found(tx: Transaction, webhook_id: str, views: frozenset[WebhookView]) -> Any:
    """A webhook's row; raises NotFound."""
    row = await tx.row(
        "SELECT * FROM webhooks WHERE tenant_id = $1 AND webhook_id = $2 AND view = ANY($3)",
        tx.tenant_id, webhook_id, list(views),
    )  # fmt: skip
    if row is None:
        raise NotFound("WEBHOOK_UNKNOWN")
    return row


async def standing(tx: Transaction, webhook_id: str, views: frozenset[WebhookView]) -> Any:
    """The same, locked; raises Conflict WEBHOOK_REMOVED for one that was removed."""
    await found(tx, webhook_id, views)
    row = await tx.row(
        "SELECT * FROM webhooks WHERE tenant_id = $1 AND webhook_id = $2 FOR UPDATE",
        tx.tenant_id, webhook_id,
    )  # fmt: skip
    if row["status"] == WebhookStatus.REMOVED:
        raise Conflict("WEBHOOK_REMOVED")
    return row


def refuse_disabled(row: Any) -> None:
    """Raise Conflict WEBHOOK_NOT_ACTIVE: somebody has to resume it first."""
    if row["status"] == WebhookStatus.DISABLED:
        raise Conflict("WEBHOOK_NOT_ACTIVE")


async def set_status(
    tx: Transaction, webhook_id: str, status: WebhookStatus, reason: str | None
) -> bool:
    """Whether the webhook was in another status before."""
    changed = await tx.execute(
        "UPDATE webhooks SET status = $3, status_reason = $4, updated_at = clock_timestamp()"
        " WHERE tenant_id = $1 AND webhook_id = $2 AND status <> $3",
        tx.tenant_id, webhook_id, status, reason,
    )  # fmt: skip
    return changed > 0


async def tell(tx: Transaction) -> None:
    """Whoever makes first attempts and hands lines over looks once this is committed."""
    await tx.execute("SELECT pg_notify($1, '')", CHANNEL)
