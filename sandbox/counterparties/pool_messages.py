"""What the simulated pool's underwriter reads: its settings and its callers' requests."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from models.domain.money import MAX_AMOUNT_MINOR
from sandbox.counterparties.bank_messages import AcceptRequest, Venue
from sandbox.counterparties.lending import (
    Address,
    Currency,
    Hash,
    PrivateKey,
    Text,
    Validity,
    Wanted,
)
from sandbox.counterparties.serving import Message

__all__ = ["AcceptRequest", "PoolConfig", "PoolQuoteRequest"]


class PoolConfig(Message):
    """The underwriter's settings; limits and prices are the pool's own, on its chain."""

    api_key: Text
    underwriter_private_key: PrivateKey
    rpc_url: Text
    pool: Address
    quote_validity_s: Validity = 900


class PoolQuoteRequest(Message):
    """A request for a quote."""

    application_reference: Text
    loan_reference: Hash
    borrower: Address
    amount_minor: Annotated[int, Field(ge=1, le=MAX_AMOUNT_MINOR)]
    currency: Currency
    term_months: Annotated[int, Field(ge=1, le=480)]
    pd: Annotated[float, Field(ge=0, le=1)] | None
    pool: Address
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
