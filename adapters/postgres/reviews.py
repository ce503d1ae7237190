"""Statements for reviews; satisfies `ReviewRecords`."""

from __future__ import annotations

from typing import Any

from adapters.postgres.database import Database
from adapters.postgres.movement import SYSTEM, move
from models.domain.application import Stage, State
from models.domain.errors import NotFound
from models.domain.ids import new_id
from models.domain.review import ReviewClosure, ReviewKind, ReviewRequest
from models.domain.views import ReviewView

_STAGE = {ReviewKind.ELIGIBILITY: Stage.ELIGIBILITY, ReviewKind.CREDIT: Stage.CREDIT}
# Where an approved application goes on.
_NEXT = {ReviewKind.ELIGIBILITY: Stage.RISK, ReviewKind.CREDIT: Stage.OFFERS}


class PostgresReviewRecords:
    """One open review per waiting workflow."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, request: ReviewRequest) -> str:
        async with self._database.transaction(request.tenant_id) as tx:
            known: str | None = await tx.value(
                "SELECT review_id FROM reviews WHERE tenant_id = $1 AND workflow_id = $2"
                " AND kind = $3 AND subject_id = $4 AND status = 'open'",
                tx.tenant_id, request.workflow_id, request.kind, request.subject_id,
            )  # fmt: skip
            if known is not None:
                return known
            review_id = new_id("rev")
            await tx.execute(
                "INSERT INTO reviews (tenant_id, review_id, kind, subject_id, applicant_id,"
                " workflow_id, reasons, status) VALUES ($1, $2, $3, $4, $5, $6, $7, 'open')",
                tx.tenant_id, review_id, request.kind, request.subject_id, request.applicant_id,
                request.workflow_id, list(request.reasons),
            )  # fmt: skip
            detail = {"review_id": review_id, "kind": request.kind}
            if request.kind is ReviewKind.IDENTITY:
                await tx.execute(
                    "UPDATE kyc_profiles SET status = 'in_review', updated_at = clock_timestamp()"
                    " WHERE tenant_id = $1 AND user_id = $2",
                    tx.tenant_id, request.subject_id,
                )  # fmt: skip
                await tx.record(
                    SYSTEM, "review.opened", request.subject_id, detail, key=request.subject_id
                )
            else:
                await move(
                    tx,
                    request.subject_id,
                    _STAGE[request.kind],
                    State.IN_REVIEW,
                    "review.opened",
                    reasons=request.reasons,
                    detail=detail,
                )
            return review_id

    async def find(self, tenant_id: str, review_id: str) -> ReviewView:
        """One review; NotFound for a foreign id."""
        async with self._database.transaction(tenant_id) as tx:
            row = await tx.row(
                "SELECT * FROM reviews WHERE tenant_id = $1 AND review_id = $2",
                tenant_id, review_id,
            )  # fmt: skip
        if row is None:
            raise NotFound("REVIEW_UNKNOWN")
        return _view(row)

    async def open_ones(self, tenant_id: str, limit: int) -> tuple[ReviewView, ...]:
        """Open reviews, oldest first."""
        async with self._database.transaction(tenant_id) as tx:
            rows = await tx.rows(
                "SELECT * FROM reviews WHERE tenant_id = $1 AND status = 'open'"
                " ORDER BY created_at LIMIT $2",
                tenant_id, limit,
            )  # fmt: skip
        return tuple(_view(row) for row in rows)

    async def close(self, closure: ReviewClosure) -> None:
        decision = closure.decision
        status = "undecided"
        if decision is not None:
            status = "approved" if decision.approved else "rejected"
        async with self._database.transaction(closure.tenant_id) as tx:
            row = await tx.row(
                "SELECT kind, subject_id, status FROM reviews"
                " WHERE tenant_id = $1 AND review_id = $2 FOR UPDATE",
                tx.tenant_id, closure.review_id,
            )  # fmt: skip
            if row is None:
                raise NotFound("REVIEW_UNKNOWN")
            if row["status"] != "open":
                return
            actor = decision.decided_by if decision else SYSTEM
            reason = decision.reason if decision else None
            await tx.execute(
                "UPDATE reviews SET status = $3, decided_by = $4, decision_reason = $5,"
                " decided_at = clock_timestamp() WHERE tenant_id = $1 AND review_id = $2",
                tx.tenant_id, closure.review_id, status, actor if decision else None, reason,
            )  # fmt: skip
            detail = {"review_id": closure.review_id, "decision": status}
            subject_id, kind = row["subject_id"], ReviewKind(row["kind"])
            if kind is ReviewKind.IDENTITY:
                await tx.record(actor, f"review.{status}", subject_id, detail, key=subject_id)
            else:
                approved = status == "approved"
                await move(
                    tx,
                    subject_id,
                    _NEXT[kind] if approved else _STAGE[kind],
                    State.PROCESSING if approved else State.IN_REVIEW,
                    f"review.{status}",
                    actor=actor,
                    reasons=() if approved else None,
                    detail=detail,
                )


def _view(row: Any) -> ReviewView:
    return ReviewView(
        review_id=row["review_id"],
        kind=row["kind"],
        subject_id=row["subject_id"],
        applicant_id=row["applicant_id"],
        workflow_id=row["workflow_id"],
        reasons=tuple(row["reasons"]),
        status=row["status"],
        decided_by=row["decided_by"],
        decision_reason=row["decision_reason"],
        created_at=row["created_at"],
        decided_at=row["decided_at"],
    )
