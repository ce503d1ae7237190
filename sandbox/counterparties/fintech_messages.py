"""What the simulated fintech reads: its settings and its callers' requests."""

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


class FintechConfig(Message):
    """The fintech's settings; limits are its own appetite."""

    api_key: Text
    signing_secret: Text
    lender_private_key: PrivateKey
    quote_validity_s: Validity = 900
    page_size: Annotated[int, Field(ge=1, le=50)] = 10
    base_rate_bps: Bps = 760
    min_score: Annotated[int, Field(ge=300, le=850)] = 580
    min_amount_minor: Annotated[int, Field(ge=1)] = 10_000
    max_amount_minor: Annotated[int, Field(le=MAX_AMOUNT_MINOR)] = 5_000_000
    max_term_months: Annotated[int, Field(ge=1, le=480)] = 60


class Risk(Message):
    """What the caller knows of the borrower's risk; null where nobody computed it."""

    score: Annotated[int, Field(ge=300, le=850)] | None
    pd: Annotated[float, Field(ge=0, le=1)] | None


class Settlement(Message):
    """Where the loan would settle."""

    chain_id: Annotated[int, Field(ge=1, lt=1 << 63)]
    contract: Address
    token: Address
    token_decimals: Annotated[int, Field(ge=2, le=36)]


class OffersRequest(Message):
    """A search for offers."""

    partner_reference: Text
    loan_reference: Hash
    borrower: Address
    principal_minor: Annotated[int, Field(ge=1, le=MAX_AMOUNT_MINOR)]
    currency: Currency
    months: Annotated[int, Field(ge=1, le=480)]
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    risk: Risk
    settlement: Settlement

    def wanted(self) -> Wanted:
        """The loan that is asked for."""
        at = self.settlement
        return Wanted(
            loan_reference=self.loan_reference,
            borrower=self.borrower,
            amount_minor=self.principal_minor,
            currency=self.currency,
            term_months=self.months,
            chain_id=at.chain_id,
            aggregator=at.contract,
            token=at.token,
            token_decimals=at.token_decimals,
        )


class AcceptanceRequest(Message):
    """A request to confirm an accepted offer."""

    offer_id: Text
    terms_hash: Hash
    acceptance: SignedAcceptance
