"""How an application ends: in one transaction with what its ending closes and owes."""

from __future__ import annotations

from typing import Any

from adapters.postgres import ledger
from adapters.postgres.database import Transaction
from adapters.postgres.movement import SYSTEM, move
from models.domain import notice
from models.domain.application import ApplicationEnding, Stage, State
from models.domain.errors import InvariantViolated
from models.domain.ids import application_workflow_id, new_id
from models.domain.ledger import release
from models.domain.notice import NoticeRef, NoticeStatus

ADVERSE_ACTION = "adverse_action"


async def end(
    tx: Transaction, application_id: str, ending: ApplicationEnding, *, actor: str = SYSTEM
) -> NoticeRef | None:
    """Close an open application that is not funded; returns the notice its applicant is owed.

    Open offers and reviews are closed with it, and what the lender had committed is released.
    Conflict APPLICATION_CLOSED if it has ended before.
    """
    await close_offers(tx, application_id)
    await _close_reviews(tx, application_id)
    await _release_commitment(tx, application_id)
    await move(
        tx,
        application_id,
        Stage.CLOSED,
        ending.state,
        f"application.{ending.state}",
        actor=actor,
        reasons=ending.reasons,
    )
    return await _owe(tx, application_id, ending) if notice.is_owed(ending) else None


async def recorded_ending(tx: Transaction, application_id: str) -> ApplicationEnding:
    """The ending on record of a closed application."""
    row = await tx.row(
        "SELECT a.state, a.reasons, l.loan_id, s.tx_hash FROM applications a"
        " LEFT JOIN loans l USING (tenant_id, application_id)"
        " LEFT JOIN settlements s USING (tenant_id, application_id)"
        " WHERE a.tenant_id = $1 AND a.application_id = $2",
        tx.tenant_id, application_id,
    )  # fmt: skip
    if row is None:
        raise InvariantViolated("APPLICATION_ABSENT", application_id)
    state = State(row["state"])
    funded = state is State.FUNDED
    return ApplicationEnding(
        state, tuple(row["reasons"]), row["loan_id"], row["tx_hash"] if funded else None
    )


async def owed(tx: Transaction, application_id: str) -> NoticeRef | None:
    """The notice an application's applicant is owed, if one was found to be."""
    row = await tx.row(
        "SELECT notice_id, due_at FROM notices WHERE tenant_id = $1 AND application_id = $2",
        tx.tenant_id, application_id,
    )  # fmt: skip
    return _ref(tx, application_id, row) if row else None


async def close_offers(tx: Transaction, application_id: str) -> None:
    """Offers nobody has accepted are no longer open."""
    await tx.execute(
        "UPDATE offers SET status = 'withdrawn' WHERE tenant_id = $1 AND application_id = $2"
        " AND status = 'open'",
        tx.tenant_id, application_id,
    )  # fmt: skip


async def _close_reviews(tx: Transaction, application_id: str) -> None:
    workflow_id = application_workflow_id(tx.tenant_id, application_id)
    await tx.execute(
        "UPDATE reviews SET status = 'void', decided_at = clock_timestamp()"
        " WHERE tenant_id = $1 AND workflow_id = $2 AND status = 'open'",
        tx.tenant_id, workflow_id,
    )  # fmt: skip
    await tx.execute(
        "UPDATE information_requests SET status = 'closed'"
        " WHERE tenant_id = $1 AND workflow_id = $2 AND status = 'open'",
        tx.tenant_id, workflow_id,
    )  # fmt: skip


async def _release_commitment(tx: Transaction, application_id: str) -> None:
    committed = await tx.row(
        "SELECT o.provider_id, o.amount_minor, o.currency FROM offers o JOIN ledger_entries e"
        " ON e.tenant_id = o.tenant_id AND e.application_id = o.application_id"
        " WHERE o.tenant_id = $1 AND o.application_id = $2 AND o.status = 'accepted'"
        " AND e.kind = 'commitment'",
        tx.tenant_id, application_id,
    )  # fmt: skip
    if committed is not None:
        entry = release(committed["provider_id"], committed["amount_minor"], committed["currency"])
        await ledger.book(tx, application_id, entry)


async def _owe(tx: Transaction, application_id: str, ending: ApplicationEnding) -> NoticeRef:
    asked = await tx.row(
        "SELECT jurisdiction, created_at FROM applications"
        " WHERE tenant_id = $1 AND application_id = $2",
        tx.tenant_id, application_id,
    )  # fmt: skip
    due_at = notice.due_at(asked["created_at"], asked["jurisdiction"])
    row = await tx.row(
        "INSERT INTO notices (tenant_id, notice_id, application_id, kind, status, reasons, due_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING notice_id, due_at",
        tx.tenant_id, new_id("ntc"), application_id, ADVERSE_ACTION, NoticeStatus.PENDING,
        list(ending.reasons), due_at,
    )  # fmt: skip
    await tx.record(
        SYSTEM,
        "notice.owed",
        application_id,
        {"notice_id": row["notice_id"], "kind": ADVERSE_ACTION, "due_at": due_at.isoformat()},
        key=application_id,
    )
    return _ref(tx, application_id, row)


def _ref(tx: Transaction, application_id: str, row: Any) -> NoticeRef:
    return NoticeRef(tx.tenant_id, application_id, row["notice_id"], row["due_at"].isoformat())
