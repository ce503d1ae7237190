"""Statements for reviews; satisfies `ReviewRecords`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from adapters.postgres.database import Database, Transaction
from adapters.postgres.movement import SYSTEM, move
from models.domain.application import Stage, State
from models.domain.errors import Conflict, NotFound
from models.domain.four_eyes import Approvals
from models.domain.ids import new_id
from models.domain.review import (
    Assignment,
    InformationAsked,
    OpenedReview,
    ReviewClosure,
    ReviewDecision,
    ReviewEnd,
    ReviewKind,
    ReviewRequest,
    ReviewStep,
)
from models.domain.views import ReviewView

_STAGE = {ReviewKind.ELIGIBILITY: Stage.ELIGIBILITY, ReviewKind.CREDIT: Stage.CREDIT}
# Where an approved application goes on.
_NEXT = {ReviewKind.ELIGIBILITY: Stage.RISK, ReviewKind.CREDIT: Stage.OFFERS}


class PostgresReviewRecords:
    """One open review per waiting workflow; what was decided about an application stands."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, request: ReviewRequest) -> OpenedReview:
        async with self._database.transaction(request.tenant_id) as tx:
            known = await tx.row(
                "SELECT * FROM reviews WHERE tenant_id = $1 AND workflow_id = $2 AND kind = $3"
                " AND subject_id = $4 AND (status = 'open'"
                " OR (status IN ('approved', 'rejected') AND kind <> 'identity'))"
                " ORDER BY created_at DESC LIMIT 1",
                tx.tenant_id, request.workflow_id, request.kind, request.subject_id,
            )  # fmt: skip
            if known is not None:
                return _opened(known)
            review_id = new_id("rev")
            await tx.execute(
                "INSERT INTO reviews (tenant_id, review_id, kind, subject_id, applicant_id,"
                " workflow_id, reasons, status, approvals_needed, approvals)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7, 'open', $8, '[]')",
                tx.tenant_id, review_id, request.kind, request.subject_id, request.applicant_id,
                request.workflow_id, list(request.reasons), request.approvals_needed,
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
            return OpenedReview(review_id)

    async def step(self, step: ReviewStep) -> None:
        async with self._database.transaction(step.tenant_id) as tx:
            if step.approval is not None:
                await _approve(tx, step.approval)
            if step.assignment is not None:
                await _assign(tx, step.assignment)
            if step.asked is not None:
                assert step.due_at is not None
                await _ask(tx, step.asked, datetime.fromisoformat(step.due_at))

    async def answered(self, tenant_id: str, request_id: str) -> bool | None:
        async with self._database.transaction(tenant_id) as tx:
            row = await tx.row(
                "SELECT answered_at, new_document FROM information_requests"
                " WHERE tenant_id = $1 AND request_id = $2",
                tenant_id, request_id,
            )  # fmt: skip
        if row is None or row["answered_at"] is None:
            return None
        return bool(row["new_document"])

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
        async with self._database.transaction(closure.tenant_id) as tx:
            await _lock_application(tx, closure.review_id)
            row = await _locked(tx, closure.review_id)
            if row["status"] != "open":
                return
            actor = decision.decided_by if decision else SYSTEM
            await tx.execute(
                "UPDATE reviews SET status = $3, decided_by = $4, decision_reason = $5,"
                " decided_at = clock_timestamp() WHERE tenant_id = $1 AND review_id = $2",
                tx.tenant_id, closure.review_id, closure.ended,
                decision.decided_by if decision else None, decision.reason if decision else None,
            )  # fmt: skip
            await tx.execute(
                "UPDATE information_requests SET status = $3"
                " WHERE tenant_id = $1 AND review_id = $2 AND status = 'open'",
                tx.tenant_id, closure.review_id,
                "lapsed" if closure.ended is ReviewEnd.UNANSWERED else "closed",
            )  # fmt: skip
            detail = {"review_id": closure.review_id, "decision": closure.ended}
            kind = ReviewKind(row["kind"])
            if kind is ReviewKind.IDENTITY:
                await _record(tx, row, actor, f"review.{closure.ended}", detail)
                return
            approved = closure.ended is ReviewEnd.APPROVED
            await move(
                tx,
                row["subject_id"],
                _NEXT[kind] if approved else _STAGE[kind],
                State.PROCESSING if approved else State.IN_REVIEW,
                f"review.{closure.ended}",
                actor=actor,
                reasons=() if approved else None,
                detail=detail,
            )


async def _approve(tx: Transaction, decision: ReviewDecision) -> None:
    """The first of two approvals."""
    row = await _locked(tx, decision.review_id)
    eyes = Approvals(row["approvals_needed"], tuple(row["approvals"]))
    if eyes.objection(decision.decided_by) is not None:
        return
    _refuse_unless_open(row)
    await tx.execute(
        "UPDATE reviews SET approvals = $3 WHERE tenant_id = $1 AND review_id = $2",
        tx.tenant_id, decision.review_id, list(eyes.with_one_more(decision.decided_by).given),
    )  # fmt: skip
    detail = {"review_id": decision.review_id, "reason": decision.reason}
    await _record(tx, row, decision.decided_by, "review.approved_once", detail)


async def _assign(tx: Transaction, assignment: Assignment) -> None:
    row = await _locked(tx, assignment.review_id)
    if row["assignee"] == assignment.assignee:
        return
    _refuse_unless_open(row)
    await tx.execute(
        "UPDATE reviews SET assignee = $3 WHERE tenant_id = $1 AND review_id = $2",
        tx.tenant_id, assignment.review_id, assignment.assignee,
    )  # fmt: skip
    detail = {
        "review_id": assignment.review_id,
        "from": row["assignee"],
        "to": assignment.assignee,
        "reason": assignment.reason,
    }
    await _record(tx, row, assignment.assigned_by, "review.reassigned", detail)


async def _ask(tx: Transaction, asked: InformationAsked, due_at: datetime) -> None:
    row = await _locked(tx, asked.review_id)
    known = await tx.value(
        "SELECT EXISTS (SELECT FROM information_requests"
        " WHERE tenant_id = $1 AND request_id = $2)",
        tx.tenant_id, asked.request_id,
    )  # fmt: skip
    if known:
        return
    _refuse_unless_open(row)
    await tx.execute(
        "INSERT INTO information_requests (tenant_id, request_id, review_id, user_id,"
        " workflow_id, asked_by, items, message, status, due_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'open', $9)",
        tx.tenant_id, asked.request_id, asked.review_id, row["applicant_id"], row["workflow_id"],
        asked.asked_by, list(asked.items), asked.message, due_at,
    )  # fmt: skip
    detail = {
        "review_id": asked.review_id,
        "request_id": asked.request_id,
        "items": list(asked.items),
        "due_at": due_at.isoformat(),
    }
    await _record(tx, row, asked.asked_by, "information.requested", detail)


def _refuse_unless_open(row: Any) -> None:
    """A withdrawal may have closed the application, and its review with it."""
    if row["status"] != "open":
        raise Conflict("REVIEW_NOT_OPEN", row["review_id"])


async def _lock_application(tx: Transaction, review_id: str) -> None:
    """The application before its review, as a withdrawal locks them: they wait, never deadlock."""
    await tx.value(
        "SELECT 1 FROM applications a JOIN reviews r ON a.tenant_id = r.tenant_id"
        " AND a.application_id = r.subject_id"
        " WHERE r.tenant_id = $1 AND r.review_id = $2 FOR UPDATE OF a",
        tx.tenant_id, review_id,
    )  # fmt: skip


async def _locked(tx: Transaction, review_id: str) -> Any:
    row = await tx.row(
        "SELECT * FROM reviews WHERE tenant_id = $1 AND review_id = $2 FOR UPDATE",
        tx.tenant_id, review_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("REVIEW_UNKNOWN")
    return row


async def _record(
    tx: Transaction, row: Any, actor: str, action: str, detail: dict[str, Any]
) -> None:
    await tx.record(actor, action, row["subject_id"], detail, key=row["subject_id"])


def _opened(row: Any) -> OpenedReview:
    if row["status"] == "open":
        return OpenedReview(row["review_id"], tuple(row["approvals"]), row["assignee"])
    decision = ReviewDecision(
        row["review_id"],
        row["status"] == ReviewEnd.APPROVED,
        row["decided_by"],
        row["decision_reason"],
    )
    return OpenedReview(row["review_id"], ended=ReviewEnd(row["status"]), decision=decision)


def _view(row: Any) -> ReviewView:
    return ReviewView(
        review_id=row["review_id"],
        kind=row["kind"],
        subject_id=row["subject_id"],
        applicant_id=row["applicant_id"],
        workflow_id=row["workflow_id"],
        reasons=tuple(row["reasons"]),
        status=row["status"],
        approvals_needed=row["approvals_needed"],
        approvals=tuple(row["approvals"]),
        assignee=row["assignee"],
        decided_by=row["decided_by"],
        decision_reason=row["decision_reason"],
        created_at=row["created_at"],
        decided_at=row["decided_at"],
    )
