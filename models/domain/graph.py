"""Records as the read schema shows them: one row each, without what it leads to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from models.domain.application import CreditRequest
from models.domain.decision import Verdict
from models.domain.kyc import KYCStatus
from models.domain.ledger import Entry
from models.domain.offer import Quote
from models.domain.risk import Assessment
from models.domain.screening import ScreeningResult


@dataclass(frozen=True, slots=True)
class ApplicationRecord:
    """An application; `identity` and `decision` are None until there is one."""

    application_id: str
    user_id: str
    request: CreditRequest
    stage: str
    state: str
    reasons: tuple[str, ...]
    identity: str | None
    decision: str | None
    missing_offers: tuple[dict[str, Any], ...]
    accepted_offer_id: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class OfferRecord:
    """A lender's offer."""

    offer_id: str
    application_id: str
    status: str
    quote: Quote
    chain_id: int
    aggregator: str


@dataclass(frozen=True, slots=True)
class AssessmentRecord:
    """A score with all that was known when it was given; one per application."""

    application_id: str
    assessment: Assessment
    bureau_status: str
    assessed_at: datetime


@dataclass(frozen=True, slots=True)
class LoanRecord:
    """A loan on the books."""

    loan_id: str
    application_id: str
    offer_id: str
    provider_id: str
    amount_minor: int
    currency: str
    apr_bps: int
    term_months: int
    monthly_payment_minor: int
    total_repayable_minor: int
    booked_at: datetime


@dataclass(frozen=True, slots=True)
class SettlementRecord:
    """A payment on chain; `failure` is the lender's or the chain's own code."""

    settlement_id: str
    application_id: str
    offer_id: str
    state: str
    chain_id: int
    tx_hash: str | None
    block_number: int | None
    confirmations: int | None
    amount_units: int
    borrower: str
    lender: str
    token: str
    loan_reference: str
    failure: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """A ledger entry with its postings; `cleared_at` once it is final or void."""

    entry_id: str
    application_id: str
    entry: Entry
    booked_at: datetime
    cleared_at: datetime | None


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """What is known of a person's identity; `screening` is None before it was done."""

    user_id: str
    status: KYCStatus
    reason: str | None
    concluded_by: str | None
    verified_at: datetime | None
    expires_at: datetime | None
    screening: ScreeningResult | None


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """What the rule book said of an application in one phase, and by which versions."""

    application_id: str
    verdict: Verdict
    sanctions_list_version: str | None
    model_version: str | None
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list, the newest first: `first` rows older than the one of id `after`.

    `only` maps columns to the one value wanted of each.
    """

    first: int
    after: str | None = None
    only: Mapping[str, str] = field(default_factory=dict)
