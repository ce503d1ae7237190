"""Offers: a lender's terms as they were quoted, normalised, and bound by one terms hash."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# How often lenders are asked for one application: a lender that never stands by its quotes, or an
# applicant who is never content, must not keep the others quoting for ever.
MAX_ROUNDS: Final = 5


class OfferStatus(StrEnum):
    """Open until accepted, rejected, replaced or expired, or until its application ends."""

    OPEN = "open"
    ACCEPTED = "accepted"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    REJECTED = "rejected"  # by the applicant
    REPLACED = "replaced"  # by a newer quote, or void because its lender did not stand by it


class Ranking(StrEnum):
    """What an applicant wants to have least of; ties are broken by APR, then by total cost."""

    APR = "apr"
    TOTAL_COST = "total_cost"
    MONTHLY_PAYMENT = "monthly_payment"


@dataclass(frozen=True, slots=True)
class LoanTerms:
    """`LoanTerms` of CreditAggregator.sol, field for field; its EIP-712 hash is the terms hash.

    Addresses are checksummed, `principal` and `total_repayable` are token units, `deadline` is
    Unix seconds. The lender signs exactly this.
    """

    loan_reference: str
    lender: str
    borrower: str
    token: str
    principal: int
    total_repayable: int
    apr_bps: int
    term_months: int
    nonce: int
    deadline: int


@dataclass(frozen=True, slots=True)
class Acceptance:
    """`Acceptance` of CreditAggregator.sol with the borrower's signature over it (0x hex)."""

    terms_hash: str
    borrower: str
    nonce: int
    deadline: int
    signature: str


@dataclass(frozen=True, slots=True)
class SettlementVenue:
    """The chain and contract both signatures are bound to, and the token that is paid."""

    chain_id: int
    aggregator: str
    token: str
    token_decimals: int


@dataclass(frozen=True, slots=True)
class QuoteRequest:
    """What a lender is asked, with the venue and reference its terms must name.

    `score` and `pd` are None when the model gave none and a named person approved: the lender
    prices what it cannot see, and is never told a number nobody computed. `round` counts the
    searches of one application: a lender answers the same to the same round, and anew to the next.
    """

    tenant_id: str
    application_id: str
    loan_reference: str
    borrower: str
    amount_minor: int
    currency: str
    term_months: int
    jurisdiction: str
    score: int | None
    pd: float | None
    venue: SettlementVenue
    round: int = 1

    @property
    def quote_key(self) -> str:
        """The idempotency key under which a lender is asked for quotes."""
        key = f"{self.application_id}:quote"
        return key if self.round == 1 else f"{key}:{self.round}"


@dataclass(frozen=True, slots=True)
class Quote:
    """A lender's quote after validation: amounts in minor units, rates in basis points.

    `terms_hash` was computed by us from `terms` and found equal to the lender's own.
    """

    provider_id: str
    quote_id: str
    amount_minor: int
    currency: str
    term_months: int
    nominal_rate_bps: int
    fee_minor: int
    monthly_payment_minor: int
    total_repayable_minor: int
    apr_bps: int
    expires_at: str
    terms: LoanTerms
    terms_hash: str

    @property
    def total_cost_minor(self) -> int:
        """What the credit costs over its term: everything repaid, less what was received."""
        return self.total_repayable_minor - self.amount_minor

    def accept_key(self, application_id: str) -> str:
        """The idempotency key under which its lender is told that it was accepted."""
        return f"{application_id}:accept:{self.quote_id}"


@dataclass(frozen=True, slots=True)
class ProviderAnswer:
    """What one provider contributed to a search: a quote, or the reason why there is none.

    A `passing` reason says nothing of whether the lender wants this loan: it was late, away or
    broken, or its quote has expired meanwhile. Asked again, it may offer.
    """

    provider_id: str
    quote: Quote | None
    reason: str | None = None
    passing: bool = False


@dataclass(frozen=True, slots=True)
class OfferSummary:
    """What the workflow keeps of an open offer: enough to validate an acceptance without I/O."""

    offer_id: str
    provider_id: str
    terms_hash: str
    borrower: str
    chain_id: int
    aggregator: str
    apr_bps: int
    expires_at: str


@dataclass(frozen=True, slots=True)
class AcceptOffer:
    """The update by which an applicant accepts an offer; carries the borrower's signature."""

    offer_id: str
    applicant_id: str
    accepted_by: str
    acceptance: Acceptance


@dataclass(frozen=True, slots=True)
class SearchAgain:
    """The update by which lenders are asked once more; asking for a round twice asks once."""

    round: int
    asked_by: str


@dataclass(frozen=True, slots=True)
class OfferBook:
    """The open offers, best first (lowest APR), and why others are missing.

    `accepted` is the acceptance on record: there is one when the stage is gone through again.
    `round` counts the searches, the first of which is 1.
    """

    offers: tuple[OfferSummary, ...]
    missing: tuple[ProviderAnswer, ...] = ()
    accepted: AcceptOffer | None = None
    round: int = 1

    @property
    def worth_asking_again(self) -> bool:
        """Nothing to accept, and not for want of willing lenders alone."""
        nothing = not self.offers and self.accepted is None
        return nothing and self.round < MAX_ROUNDS and any(each.passing for each in self.missing)


@dataclass(frozen=True, slots=True)
class LenderConfirmation:
    """The lender's own confirmation: its EIP-712 signature over exactly the accepted terms."""

    quote_id: str
    terms_hash: str
    lender_signature: str
