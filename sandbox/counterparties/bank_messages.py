"""What the simulated bank reads: its settings and its callers' requests."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from models.domain.money import MAX_AMOUNT_MINOR
from sandbox.counterparties.lending import (
    Address,
    Bps,
    Currency,
    Hash,
    PrivateKey,
    SignedAcceptance,
    Text,
    Validity,
    Wanted,
)
from sandbox.counterparties.serving import Message


class LendingConfig(Message):
    """How a bank lends, however it is spoken to; limits are the bank's own appetite."""

    lender_private_key: PrivateKey
    quote_validity_s: Validity = 900
    base_rate_bps: Bps = 450
    fee_bps: Bps = 100
    min_score: Annotated[int, Field(ge=300, le=850)] = 560
    min_amount_minor: Annotated[int, Field(ge=1)] = 50_000
    max_amount_minor: Annotated[int, Field(le=MAX_AMOUNT_MINOR)] = 10_000_000
    max_term_months: Annotated[int, Field(ge=1, le=480)] = 60


class BankConfig(LendingConfig):
    """The settings of a bank that is spoken to over REST."""

    client_id: Text
    client_secret: Text
    token_validity_s: Annotated[int, Field(ge=1, le=86_400)] = 300


class Venue(Message):
    """Where the loan would settle."""

    chain_id: Annotated[int, Field(ge=1, lt=1 << 63)]
    aggregator: Address
    token: Address
    # At least the currency's own two, so that a cent is a whole number of units.
    token_decimals: Annotated[int, Field(ge=2, le=36)]


class QuoteRequest(Message):
    """A request for a quote."""

    application_reference: Text
    loan_reference: Hash
    borrower: Address
    amount_minor: Annotated[int, Field(ge=1, le=MAX_AMOUNT_MINOR)]
    currency: Currency
    term_months: Annotated[int, Field(ge=1, le=480)]
    jurisdiction: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    score: Annotated[int, Field(ge=300, le=850)] | None
    pd: Annotated[float, Field(ge=0, le=1)] | None
    venue: Venue

    def wanted(self) -> Wanted:
        """The loan that is asked for."""
        return Wanted(
            loan_reference=self.loan_reference,
            borrower=self.borrower,
            amount_minor=self.amount_minor,
            currency=self.currency,
            term_months=self.term_months,
            **self.venue.model_dump(),
        )


class AcceptRequest(Message):
    """A request to confirm an accepted quote."""

    terms_hash: Hash
    acceptance: SignedAcceptance
