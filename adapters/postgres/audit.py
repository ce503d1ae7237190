"""The audit trail as its sealer and its verifier see it (role `caas_relay`, across tenants)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from adapters.postgres.database import PLATFORM, Database, Session, Transaction
from models.domain.audit import AuditRecord, Head, Seal, genesis, seal_next

_TENANT: Final = "SELECT set_config('app.tenant_id', $1, true)"
# Rows are found by number alone, the one index that is right whatever the statistics say; a row of
# another tenant does not fit its seal, for the tenant is part of what is hashed.
_WAITING: Final = (
    "SELECT u.tenant_id AS waits_in, u.audit_seq, s.position,"
    " a.seq, a.tenant_id, a.actor, a.action, a.subject_id, a.detail::text AS detail,"
    " (extract(epoch FROM a.recorded_at) * 1000000)::bigint AS recorded_at_us, a.salt"
    " FROM audit_unsealed u"
    " LEFT JOIN audit_log a ON a.seq = u.audit_seq"
    " LEFT JOIN audit_seals s ON s.tenant_id = u.tenant_id AND s.audit_seq = u.audit_seq"
    " ORDER BY u.audit_seq LIMIT $1"
)
_LINKS: Final = (
    "SELECT s.position, s.audit_seq, s.row_hash, s.chain_hash,"
    " (extract(epoch FROM s.sealed_at) * 1000000)::bigint AS sealed_at_us,"
    " a.seq, a.tenant_id, a.actor, a.action, a.subject_id, a.detail::text AS detail,"
    " (extract(epoch FROM a.recorded_at) * 1000000)::bigint AS recorded_at_us, a.salt"
    " FROM audit_seals s"
    " LEFT JOIN audit_log a ON a.seq = s.audit_seq"
    " WHERE s.tenant_id = $1 AND s.position > $2 ORDER BY s.position LIMIT $3"
)


class AuditSealing:
    """Chains waiting rows in the session that holds the sealer's lock."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def seal(self, limit: int) -> int:
        """Seal what waits, in the order of numbers, in one transaction; returns how many waited."""
        async with self._session.transaction() as tx:
            waiting = await tx.rows(_WAITING, limit)
            by_tenant: dict[str, list[Any]] = {}
            for row in waiting:
                by_tenant.setdefault(row["waits_in"], []).append(row)
            for tenant_id, rows in by_tenant.items():
                await _seal_tenant(tx, tenant_id, rows)
        return len(waiting)


async def _seal_tenant(tx: Transaction, tenant_id: str, rows: Sequence[Any]) -> None:
    await tx.execute(_TENANT, tenant_id)
    # In line, but sealed already or without a row: only a stranger's hand does that. The line is
    # cleared; what is wrong with the trail itself, its verification says.
    records = [
        _record(row) for row in rows if row["tenant_id"] == tenant_id and row["position"] is None
    ]
    now_us = await tx.value("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
    head = await _head(tx, tenant_id)
    seals: list[Seal] = []
    for record in records:
        seal, head = seal_next(head, record, now_us)
        seals.append(seal)
    await tx.execute(
        "INSERT INTO audit_seals"
        " (tenant_id, position, audit_seq, row_hash, chain_hash, sealed_at)"
        " SELECT $1, position, audit_seq, row_hash, chain_hash,"
        " timestamptz 'epoch' + $6 * interval '1 microsecond'"
        " FROM unnest($2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[])"
        " AS sealed (position, audit_seq, row_hash, chain_hash)",
        tenant_id, [each.position for each in seals], [each.audit_seq for each in seals],
        [each.row_hash for each in seals], [each.chain_hash for each in seals], now_us,
    )  # fmt: skip
    await tx.execute(
        "DELETE FROM audit_unsealed WHERE tenant_id = $1 AND audit_seq = ANY($2::bigint[])",
        tenant_id, [row["audit_seq"] for row in rows],
    )  # fmt: skip


async def _head(tx: Transaction, tenant_id: str) -> Head:
    row = await tx.row(
        "SELECT position, chain_hash FROM audit_seals WHERE tenant_id = $1"
        " ORDER BY position DESC LIMIT 1",
        tenant_id,
    )
    return Head(tenant_id, row["position"], row["chain_hash"]) if row else genesis(tenant_id)


@dataclass(frozen=True, slots=True)
class UnsealedRow:
    """A row no seal covers; `queued` rows are in line for the sealer."""

    tenant_id: str
    audit_seq: int
    age_s: float
    queued: bool


class AuditTrail:
    """Reads the trail page by page, so that its length does not matter."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def tenants(self) -> list[str]:
        """Everybody who has rows or seals."""
        async with self._database.transaction(PLATFORM) as tx:
            rows = await tx.rows(
                "SELECT tenant_id FROM audit_log UNION SELECT tenant_id FROM audit_seals ORDER BY 1"
            )
        return [row["tenant_id"] for row in rows]

    async def head(self, tenant_id: str) -> Head:
        """How far the tenant's chain has come."""
        async with self._database.transaction(PLATFORM) as tx:
            return await _head(tx, tenant_id)

    async def links(
        self, tenant_id: str, after: int, limit: int
    ) -> list[tuple[Seal, AuditRecord | None]]:
        """The next links after a position, each with its row if that is still there."""
        async with self._database.transaction(PLATFORM) as tx:
            rows = await tx.rows(_LINKS, tenant_id, after, limit)
        return [(_seal(row), _record(row) if row["seq"] is not None else None) for row in rows]

    async def unsealed(
        self, tenant_id: str | None, after: int, limit: int
    ) -> tuple[list[UnsealedRow], int | None]:
        """Rows without a seal among the next `limit` rows, and the last number looked at."""
        async with self._database.transaction(PLATFORM) as tx:
            last = await tx.value(
                "SELECT max(seq) FROM (SELECT seq FROM audit_log WHERE seq > $2"
                " AND ($1::text IS NULL OR tenant_id = $1) ORDER BY seq LIMIT $3) AS page",
                tenant_id, after, limit,
            )  # fmt: skip
            rows = await tx.rows(
                "SELECT a.tenant_id, a.seq, u.audit_seq IS NOT NULL AS queued,"
                " extract(epoch FROM clock_timestamp() - a.recorded_at)::float8 AS age_s"
                " FROM audit_log a"
                " LEFT JOIN audit_unsealed u ON u.tenant_id = a.tenant_id AND u.audit_seq = a.seq"
                " WHERE a.seq > $2 AND a.seq <= $3 AND ($1::text IS NULL OR a.tenant_id = $1)"
                " AND NOT EXISTS (SELECT FROM audit_seals s"
                " WHERE s.tenant_id = a.tenant_id AND s.audit_seq = a.seq) ORDER BY a.seq",
                tenant_id, after, last,
            )  # fmt: skip
        found = [
            UnsealedRow(row["tenant_id"], row["seq"], row["age_s"], row["queued"]) for row in rows
        ]
        return found, last


def _record(row: Any) -> AuditRecord:
    return AuditRecord(
        seq=row["seq"],
        tenant_id=row["tenant_id"],
        actor=row["actor"],
        action=row["action"],
        subject_id=row["subject_id"],
        detail=row["detail"],
        recorded_at_us=row["recorded_at_us"],
        salt=row["salt"],
    )


def _seal(row: Any) -> Seal:
    return Seal(
        row["position"], row["audit_seq"], row["row_hash"], row["chain_hash"], row["sealed_at_us"]
    )
