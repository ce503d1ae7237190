"""The audit trail's hash chain, computed anew by the checker (models/domain/audit.py says how)."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from bench.invariants.evidence import Row

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def genesis(tenant_id: str) -> bytes:
    """Where a tenant's chain begins."""
    return _sha256(b"caas/audit-genesis/v1", tenant_id)


def row_hash(row: Row) -> bytes:
    """The hash of an audit row; `detail_text` is PostgreSQL's own text of its detail."""
    return _sha256(
        b"caas/audit-row/v1",
        row["seq"],
        row["tenant_id"],
        row["actor"],
        row["action"],
        row["subject_id"],
        row["detail_text"],
        _microseconds(row["recorded_at"]),
        bytes(row["salt"]),
    )


def chain_hash(before: bytes, tenant_id: str, seal: Row) -> bytes:
    """The link that follows `before`."""
    return _sha256(
        b"caas/audit-chain/v1",
        tenant_id,
        seal["position"],
        before,
        seal["audit_seq"],
        bytes(seal["row_hash"]),
        _microseconds(seal["sealed_at"]),
    )


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _sha256(*parts: bytes | str | int) -> bytes:
    """SHA-256 over parts, each with its length before it in eight bytes."""
    digest = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.digest()
