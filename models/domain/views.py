"""What people may see of an application: read models, assembled from records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.domain.application import CreditRequest
from models.domain.offer import Quote
from models.domain.risk import Reason


@dataclass(frozen=True, slots=True)
class OfferView:
    """An offer as its applicant may see it."""

    offer_id: str
    status: str
    quote: Quote
    chain_id: int
    aggregator: str


@dataclass(frozen=True, slots=True)
class OfferStanding:
    """An offer with the application and person it was made to; `round` is the search it is of."""

    offer: OfferView
    application_id: str
    user_id: str
    round: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SearchView:
    """The newest search for an application's offers: those that are open, and who made none.

    `round` is None before lenders were asked; `missing` holds provider ids with their reasons.
    """

    application_id: str
    user_id: str
    round: int | None
    offers: tuple[OfferView, ...]
    missing: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class SettlementView:
    """Where a settlement stands on chain."""

    settlement_id: str
    state: str
    chain_id: int
    tx_hash: str | None
    block_number: int | None
    confirmations: int | None
    amount_units: int
    borrower: str
    loan_reference: str


@dataclass(frozen=True, slots=True)
class LoanView:
    """A booked loan."""

    loan_id: str
    amount_minor: int
    currency: str
    apr_bps: int
    term_months: int
    monthly_payment_minor: int
    total_repayable_minor: int
    booked_at: datetime


@dataclass(frozen=True, slots=True)
class InformationRequestView:
    """What an operator asks of the applicant, and until when."""

    request_id: str
    items: tuple[str, ...]
    message: str
    status: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class NoticeView:
    """A notice the applicant is owed, and what became of it."""

    notice_id: str
    kind: str
    status: str
    due_at: datetime
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class ApplicationView:
    """An application as the API shows it, read in one transaction."""

    application_id: str
    user_id: str
    request: CreditRequest
    stage: str
    state: str
    reasons: tuple[str, ...]
    identity: str | None
    decision: str | None  # what the rule book decided, None until it has
    score: int | None
    score_reasons: tuple[Reason, ...]
    offers: tuple[OfferView, ...]
    missing_offers: tuple[dict[str, Any], ...]
    accepted_offer_id: str | None
    settlement: SettlementView | None
    loan: LoanView | None
    information_requests: tuple[InformationRequestView, ...]
    notice: NoticeView | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ReviewView:
    """A review as operators see it."""

    review_id: str
    kind: str
    subject_id: str
    applicant_id: str
    workflow_id: str
    reasons: tuple[str, ...]
    status: str
    approvals_needed: int
    approvals: tuple[str, ...]
    assignee: str | None
    decided_by: str | None
    decision_reason: str | None
    created_at: datetime
    decided_at: datetime | None
