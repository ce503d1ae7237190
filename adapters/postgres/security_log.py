"""What is recorded of sign-ins and keys: in the audit trail, and not among the events.

Subscribers of events learn of applications; who signed in is for auditors.
"""

from __future__ import annotations

from typing import Any

from adapters.postgres.database import Transaction


async def note(
    tx: Transaction, actor: str, action: str, subject_id: str, detail: dict[str, Any]
) -> None:
    """Write the audit row; `detail` holds ids and derived facts only."""
    await tx.execute(
        "INSERT INTO audit_log (tenant_id, actor, action, subject_id, detail)"
        " VALUES ($1, $2, $3, $4, $5)",
        tx.tenant_id, actor, action, subject_id, detail,
    )  # fmt: skip
