"""How providers fare, and the history of it: each change of status is written once, and told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from adapters.postgres.database import Database, Transaction
from adapters.postgres.providers_reading import standing_of
from models.domain.ids import PLATFORM
from models.domain.provider import ProviderStatus
from models.domain.provider_health import (
    Hysteresis,
    ProviderHealth,
    Seen,
    SetBy,
    after_check,
    announcements,
)

CHECKER: Final = "provider-health"


@dataclass(frozen=True, slots=True)
class Checked:
    """What one check of a provider saw; `code` says why it did not answer well."""

    tenant_id: str
    provider_id: str
    seen: Seen
    latency_ms: int
    code: str | None = None


@dataclass(frozen=True, slots=True)
class StatusChange:
    """One entry of a provider's status history."""

    from_status: ProviderStatus
    to_status: ProviderStatus
    set_by: SetBy
    actor: str
    reason: str
    changed_at: datetime


class PostgresProviderHealth:
    """Keeps what checks saw; written under the relay's role, in the provider's own tenant."""

    def __init__(self, database: Database, enough: Hysteresis) -> None:
        self._database = database
        self._enough = enough

    async def record(self, checked: Checked) -> ProviderHealth:
        """Judge one check by what is on record, keep it, and tell what has changed."""
        async with self._database.transaction(checked.tenant_id) as tx:
            before = await begun(tx, checked.provider_id)
            after = after_check(before, checked.seen, self._enough)
            await tx.execute(
                "UPDATE provider_health SET checked_at = clock_timestamp(), latency_ms = $3"
                " WHERE tenant_id = $1 AND provider_id = $2",
                tx.tenant_id, checked.provider_id, checked.latency_ms,
            )  # fmt: skip
            actor = "lender" if after.set_by is SetBy.LENDER else CHECKER
            await changed(tx, checked.provider_id, before, after, actor, checked.code)
        return after

    async def history(
        self, tenant_id: str, provider_id: str, limit: int
    ) -> tuple[StatusChange, ...]:
        """A provider's changes of status, the newest first; the platform's are everybody's."""
        async with self._database.transaction(tenant_id) as tx:
            rows = await tx.rows(
                "SELECT * FROM provider_status_changes WHERE tenant_id IN ($1, $2)"
                " AND provider_id = $3 ORDER BY seq DESC LIMIT $4",
                tenant_id, PLATFORM, provider_id, limit,
            )  # fmt: skip
        return tuple(
            StatusChange(
                ProviderStatus(row["from_status"]),
                ProviderStatus(row["to_status"]),
                SetBy(row["set_by"]),
                row["actor"],
                row["reason"],
                row["changed_at"],
            )
            for row in rows
        )


async def begun(tx: Transaction, provider_id: str) -> ProviderHealth:
    """The health on record, locked until the transaction ends; from now on there is one."""
    fresh = ProviderHealth()
    await tx.execute(
        "INSERT INTO provider_health (tenant_id, provider_id, status, set_by, reason, failures,"
        " successes) VALUES ($1, $2, $3, $4, $5, 0, 0) ON CONFLICT DO NOTHING",
        tx.tenant_id, provider_id, fresh.status, fresh.set_by, fresh.reason,
    )  # fmt: skip
    row = await tx.row(
        "SELECT * FROM provider_health WHERE tenant_id = $1 AND provider_id = $2 FOR UPDATE",
        tx.tenant_id, provider_id,
    )  # fmt: skip
    return standing_of(row).health


async def changed(
    tx: Transaction,
    provider_id: str,
    before: ProviderHealth,
    after: ProviderHealth,
    actor: str,
    code: str | None = None,
) -> None:
    """Keep a health that may have changed; its history, events and audit rows with it."""
    moved = after.status is not before.status
    await tx.execute(
        "UPDATE provider_health SET status = $3, set_by = $4, reason = $5, connected = $6,"
        " failures = $7, successes = $8,"
        " since = CASE WHEN $9 THEN clock_timestamp() ELSE since END"
        " WHERE tenant_id = $1 AND provider_id = $2",
        tx.tenant_id, provider_id, after.status, after.set_by, after.reason, after.connected,
        after.failures, after.successes, moved,
    )  # fmt: skip
    if moved:
        await tx.execute(
            "INSERT INTO provider_status_changes (tenant_id, provider_id, from_status, to_status,"
            " set_by, actor, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            tx.tenant_id, provider_id, before.status, after.status, after.set_by, actor,
            after.reason,
        )  # fmt: skip
    detail = {
        "status": after.status.value, "previous": before.status.value, "reason": after.reason,
        "set_by": after.set_by.value,
    }  # fmt: skip
    tell = {
        "error": lambda: tx.record(
            actor, "provider.error", provider_id, {"code": code or "PROVIDER_FAILED"},
            key=provider_id,
        ),
        "status_changed": lambda: tx.record(
            actor, "provider.status_changed", provider_id, detail, key=provider_id
        ),
        "connected": lambda: tx.record(
            actor, "provider.connected", provider_id, {"status": after.status.value},
            key=provider_id,
        ),
        "disconnected": lambda: tx.record(
            actor, "provider.disconnected", provider_id,
            {"status": after.status.value, "reason": after.reason}, key=provider_id,
        ),
    }  # fmt: skip
    for name in announcements(before, after):
        await tell[name]()
