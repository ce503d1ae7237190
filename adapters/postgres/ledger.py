"""Statements for the double-entry ledger."""

from __future__ import annotations

from adapters.postgres.database import Transaction
from models.domain.errors import InvariantViolated
from models.domain.ids import new_id
from models.domain.ledger import Entry, EntryKind, EntryState


async def book(tx: Transaction, application_id: str, entry: Entry) -> None:
    """Book an entry once per application and kind; booking it again changes nothing."""
    entry_id = new_id("led")
    booked = await tx.execute(
        "INSERT INTO ledger_entries (tenant_id, entry_id, application_id, kind, state, currency,"
        " cleared_at) VALUES ($1, $2, $3, $4, $5, $6,"
        " CASE WHEN $5 = 'final' THEN clock_timestamp() END) ON CONFLICT DO NOTHING",
        tx.tenant_id, entry_id, application_id, entry.kind, entry.state, entry.currency,
    )  # fmt: skip
    if booked:
        await tx.execute_many(
            "INSERT INTO ledger_postings (tenant_id, entry_id, account, amount_minor)"
            " VALUES ($1, $2, $3, $4)",
            [(tx.tenant_id, entry_id, each.account, each.amount_minor) for each in entry.postings],
        )


async def clear(tx: Transaction, application_id: str, kind: EntryKind, state: EntryState) -> None:
    """Turn a pending entry final or void; an entry that is neither there nor pending is a bug."""
    cleared = await tx.execute(
        "UPDATE ledger_entries SET state = $4, cleared_at = clock_timestamp()"
        " WHERE tenant_id = $1 AND application_id = $2 AND kind = $3 AND state = 'pending'",
        tx.tenant_id, application_id, kind, state,
    )  # fmt: skip
    if cleared != 1:
        raise InvariantViolated("LEDGER_ENTRY_NOT_PENDING", f"{kind} of {application_id}")
