"""Answers about applications."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel

from models.domain.decision import applicant_reasons
from models.domain.views import ApplicationView, OfferView

# Outcomes as decisions: what follows is a verb of the lender, not the severity of a rule.
_DECISIONS: Final = {
    "allow": "approve",
    "review": "review",
    "enhanced_due_diligence": "review",
    "decline": "decline",
    "block": "block",
}


class Links(BaseModel):
    """Where to go from here."""

    self: str


class SubmittedAnswer(BaseModel):
    """The application is stored and will be processed."""

    application_id: str
    state: str
    stage: str
    links: Links


class AcceptedAnswer(BaseModel):
    """The acceptance is on record; settlement follows."""

    application_id: str
    offer_id: str
    state: Literal["settling"]
    links: Links


class ReasonAnswer(BaseModel):
    """A published reason code with its text for the applicant."""

    code: str
    text: str


class ScoreReasonAnswer(ReasonAnswer):
    """What kept the score from being higher, and by how many points."""

    impact_points: float


class OfferAnswer(BaseModel):
    """An offer; `terms` is what the contract sees, `terms_hash` what the borrower signs."""

    offer_id: str
    provider_id: str
    status: str
    amount_minor: int
    currency: str
    term_months: int
    nominal_rate_bps: int
    apr_bps: int
    fee_minor: int
    monthly_payment_minor: int
    total_repayable_minor: int
    total_cost_minor: int
    terms_hash: str
    terms: dict[str, Any]
    chain_id: int
    aggregator: str
    expires_at: datetime


class MissingOfferAnswer(BaseModel):
    """A lender that made no offer, and why."""

    provider_id: str
    reason: str | None


class TransactionAnswer(BaseModel):
    """Where the settlement stands on chain; nothing is final before `state` says so."""

    settlement_state: str
    chain_id: int
    tx_hash: str | None
    block_number: int | None
    confirmations: int | None
    amount_units: str
    borrower: str
    loan_reference: str


class LoanAnswer(BaseModel):
    """A loan on the books."""

    loan_id: str
    amount_minor: int
    currency: str
    apr_bps: int
    term_months: int
    monthly_payment_minor: int
    total_repayable_minor: int
    booked_at: datetime


class ApplicationAnswer(BaseModel):
    """An application: where it stands, why, and what came of it."""

    application_id: str
    user_id: str
    amount_minor: int
    currency: str
    term_months: int
    purpose: str
    wallet: str
    chain_id: int
    stage: str
    state: str
    reasons: list[ReasonAnswer]
    identity: str | None
    decision: str | None
    score: int | None
    score_reasons: list[ScoreReasonAnswer]
    offers: list[OfferAnswer]
    missing_offers: list[MissingOfferAnswer]
    accepted_offer_id: str | None
    transaction: TransactionAnswer | None
    loan: LoanAnswer | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, view: ApplicationView) -> ApplicationAnswer:
        """The read model as the API shows it; screening is never told of."""
        settlement, loan = view.settlement, view.loan
        return cls(
            application_id=view.application_id,
            user_id=view.user_id,
            amount_minor=view.request.amount_minor,
            currency=view.request.currency,
            term_months=view.request.term_months,
            purpose=view.request.purpose,
            wallet=view.request.wallet,
            chain_id=view.request.chain_id,
            stage=view.stage,
            state=view.state,
            reasons=[
                ReasonAnswer(code=each.code, text=each.text)
                for each in applicant_reasons(view.reasons)
            ],
            identity=view.identity,
            decision=_DECISIONS[view.decision] if view.decision else None,
            score=view.score,
            score_reasons=[
                ScoreReasonAnswer(
                    code=each.code, text=each.text, impact_points=round(each.impact_points, 1)
                )
                for each in view.score_reasons
            ],
            offers=[_offer(each) for each in view.offers],
            missing_offers=[
                MissingOfferAnswer(provider_id=each["provider_id"], reason=each["reason"])
                for each in view.missing_offers
            ],
            accepted_offer_id=view.accepted_offer_id,
            transaction=settlement
            and TransactionAnswer(
                settlement_state=settlement.state,
                chain_id=settlement.chain_id,
                tx_hash=settlement.tx_hash,
                block_number=settlement.block_number,
                confirmations=settlement.confirmations,
                amount_units=str(settlement.amount_units),
                borrower=settlement.borrower,
                loan_reference=settlement.loan_reference,
            ),
            loan=loan
            and LoanAnswer(
                loan_id=loan.loan_id,
                amount_minor=loan.amount_minor,
                currency=loan.currency,
                apr_bps=loan.apr_bps,
                term_months=loan.term_months,
                monthly_payment_minor=loan.monthly_payment_minor,
                total_repayable_minor=loan.total_repayable_minor,
                booked_at=loan.booked_at,
            ),
            created_at=view.created_at,
            updated_at=view.updated_at,
        )


def _offer(view: OfferView) -> OfferAnswer:
    quote = view.quote
    terms = quote.terms
    return OfferAnswer(
        offer_id=view.offer_id,
        provider_id=quote.provider_id,
        status=view.status,
        amount_minor=quote.amount_minor,
        currency=quote.currency,
        term_months=quote.term_months,
        nominal_rate_bps=quote.nominal_rate_bps,
        apr_bps=quote.apr_bps,
        fee_minor=quote.fee_minor,
        monthly_payment_minor=quote.monthly_payment_minor,
        total_repayable_minor=quote.total_repayable_minor,
        total_cost_minor=quote.total_cost_minor,
        terms_hash=quote.terms_hash,
        # Every integer as text: token units and nonces exceed what JavaScript holds exactly.
        terms={
            name: str(value) if isinstance(value, int) else value
            for name, value in (
                (name, getattr(terms, name)) for name in type(terms).__dataclass_fields__
            )
        },
        chain_id=view.chain_id,
        aggregator=view.aggregator,
        expires_at=datetime.fromisoformat(quote.expires_at),
    )
