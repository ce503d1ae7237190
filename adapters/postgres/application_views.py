"""The read model of one application, assembled in one transaction."""

from __future__ import annotations

from typing import Any, Final

from adapters.postgres.database import Transaction
from adapters.postgres.rows import REASONS, credit_request_of, quote_of
from models.domain.errors import NotFound
from models.domain.ids import application_workflow_id, kyc_workflow_id
from models.domain.notice import NoticeStatus
from models.domain.views import (
    ApplicationView,
    InformationRequestView,
    LoanView,
    NoticeView,
    OfferView,
    SettlementView,
)

# One statement: whoever waits looks often, and every further one is a journey of its own.
EVERYTHING: Final = (
    "SELECT a.*, k.status AS identity, s.score, s.outcome AS score_outcome,"
    " s.reasons AS score_reasons, f.missing, n.notice_id, n.kind AS notice_kind,"
    " n.status AS notice_status, n.due_at AS notice_due_at, n.concluded_at,"
    " EXISTS (SELECT FROM information_requests i WHERE i.tenant_id = a.tenant_id"
    " AND i.user_id = a.user_id) AS asked,"
    " COALESCE(d.outcome, NULLIF(e.outcome, 'allow')) AS decision,"
    " ARRAY(SELECT o FROM offers o WHERE o.tenant_id = a.tenant_id"
    " AND o.application_id = a.application_id"
    " ORDER BY o.apr_bps, o.total_repayable_minor, o.offer_id) AS offers,"
    " (SELECT t FROM settlements t WHERE t.tenant_id = a.tenant_id"
    " AND t.application_id = a.application_id) AS settlement,"
    " (SELECT l FROM loans l WHERE l.tenant_id = a.tenant_id"
    " AND l.application_id = a.application_id) AS loan"
    " FROM applications a"
    " LEFT JOIN kyc_profiles k USING (tenant_id, user_id)"
    " LEFT JOIN assessments s USING (tenant_id, application_id)"
    " LEFT JOIN offer_searches f USING (tenant_id, application_id)"
    " LEFT JOIN notices n USING (tenant_id, application_id)"
    " LEFT JOIN decisions d ON d.tenant_id = a.tenant_id"
    " AND d.application_id = a.application_id AND d.phase = 'credit'"
    " LEFT JOIN decisions e ON e.tenant_id = a.tenant_id"
    " AND e.application_id = a.application_id AND e.phase = 'eligibility'"
    " WHERE a.tenant_id = $1 AND a.application_id = $2"
)


async def application_view(tx: Transaction, application_id: str) -> ApplicationView:
    """The application with everything that belongs to it; NotFound for a foreign id."""
    row = await tx.row(EVERYTHING, tx.tenant_id, application_id)
    if row is None:
        raise NotFound("APPLICATION_UNKNOWN")
    asked = await _asked(tx, row) if row["asked"] else ()
    return _view(row, asked)


async def _asked(tx: Transaction, row: Any) -> tuple[InformationRequestView, ...]:
    """What was asked of the applicant about this application, or about the person during it."""
    application_id, user_id = row["application_id"], row["user_id"]
    rows = await tx.rows(
        "SELECT * FROM information_requests WHERE tenant_id = $1 AND user_id = $2"
        " AND workflow_id = ANY($3::text[]) AND created_at > $4 ORDER BY created_at",
        tx.tenant_id, user_id,
        [
            application_workflow_id(tx.tenant_id, application_id),
            kyc_workflow_id(tx.tenant_id, user_id),
        ],
        row["created_at"],
    )  # fmt: skip
    return tuple(
        InformationRequestView(
            request_id=each["request_id"],
            items=tuple(each["items"]),
            message=each["message"],
            status=each["status"],
            due_at=each["due_at"],
        )
        for each in rows
    )


def _view(row: Any, asked: tuple[InformationRequestView, ...]) -> ApplicationView:
    settlement, loan = row["settlement"], row["loan"]
    scored = row["score_outcome"] == "scored"
    return ApplicationView(
        application_id=row["application_id"],
        user_id=row["user_id"],
        request=credit_request_of(row),
        stage=row["stage"],
        state=row["state"],
        reasons=tuple(row["reasons"]),
        identity=row["identity"],
        decision=row["decision"],
        score=row["score"] if scored else None,
        score_reasons=REASONS.validate_python(row["score_reasons"]) if scored else (),
        offers=tuple(
            OfferView(
                each["offer_id"], each["status"], quote_of(each), each["chain_id"],
                each["aggregator"],
            )
            for each in row["offers"]
        ),
        missing_offers=tuple(row["missing"] or ()),
        accepted_offer_id=row["accepted_offer_id"],
        settlement=_settlement_view(settlement) if settlement else None,
        loan=_loan_view(loan) if loan else None,
        information_requests=asked,
        notice=_notice_view(row) if row["notice_id"] else None,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )  # fmt: skip


def _settlement_view(row: Any) -> SettlementView:
    return SettlementView(
        settlement_id=row["settlement_id"],
        state=row["state"],
        chain_id=row["chain_id"],
        tx_hash=row["tx_hash"],
        block_number=row["block_number"],
        confirmations=row["confirmations"],
        amount_units=int(row["amount_units"]),
        borrower=row["borrower"],
        loan_reference=row["loan_reference"],
    )


def _loan_view(row: Any) -> LoanView:
    return LoanView(
        loan_id=row["loan_id"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        apr_bps=row["apr_bps"],
        term_months=row["term_months"],
        monthly_payment_minor=row["monthly_payment_minor"],
        total_repayable_minor=row["total_repayable_minor"],
        booked_at=row["booked_at"],
    )


def _notice_view(row: Any) -> NoticeView:
    delivered = row["notice_status"] == NoticeStatus.DELIVERED
    return NoticeView(
        notice_id=row["notice_id"],
        kind=row["notice_kind"],
        status=row["notice_status"],
        due_at=row["notice_due_at"],
        delivered_at=row["concluded_at"] if delivered else None,
    )
