"""Answers about lenders' offers."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Final

from pydantic import BaseModel, Field

from models.domain.offer import LoanTerms
from models.domain.views import OfferView

_OF_TERMS: Final = tuple(each.name for each in fields(LoanTerms))


class TermsAnswer(BaseModel):
    """`LoanTerms` of the contract, which the lender signs; `terms_hash` is their EIP-712 hash.

    Every integer is a text of decimal digits: token units and nonces exceed what JavaScript holds.
    """

    loan_reference: str = Field(description="The contract's key of this loan, 32 bytes in 0x hex.")
    lender: str = Field(description="The account that pays, checksummed (EIP-55).")
    borrower: str = Field(description="The wallet that is paid, checksummed (EIP-55).")
    token: str = Field(description="The ERC-20 token that is paid, checksummed (EIP-55).")
    principal: str = Field(description="What is paid, in the token's smallest unit.")
    total_repayable: str = Field(
        description="What is owed over the whole term, in the token's smallest unit."
    )
    apr_bps: str = Field(description="Annual percentage rate in basis points.")
    term_months: str = Field(description="Months.")
    nonce: str = Field(description="The lender's own number for these terms, used once.")
    deadline: str = Field(description="Last moment at which they may be settled, Unix seconds.")

    @classmethod
    def of(cls, terms: LoanTerms) -> TermsAnswer:
        """The terms as the contract sees them."""
        return cls(**{name: str(getattr(terms, name)) for name in _OF_TERMS})


class OfferAnswer(BaseModel):
    """An offer; `terms` is what the contract sees, `terms_hash` what the borrower signs."""

    offer_id: str = Field(description="`off_` and 32 hexadecimal digits.")
    provider_id: str = Field(description="The lender.")
    status: str = Field(
        description="`open`, `accepted`, `rejected`, `replaced`, `expired` or `withdrawn`."
    )
    amount_minor: int = Field(description="Amount paid out in minor units of `currency`.")
    currency: str = Field(description="ISO 4217.")
    term_months: int = Field(description="Months over which it is repaid.")
    nominal_rate_bps: int = Field(description="Nominal annual rate in basis points.")
    apr_bps: int = Field(
        description="Annual percentage rate, fees included, in basis points (1250 is 12.50 %)."
    )
    fee_minor: int = Field(description="Fee in minor units, contained in the total.")
    monthly_payment_minor: int = Field(description="Monthly instalment in minor units.")
    total_repayable_minor: int = Field(description="Sum of all that is repaid, in minor units.")
    total_cost_minor: int = Field(
        description="What the credit costs: `total_repayable_minor` less `amount_minor`."
    )
    terms_hash: str = Field(description="EIP-712 struct hash of `terms`, 32 bytes in 0x hex.")
    terms: TermsAnswer = Field(description="What the lender signs and the contract pays by.")
    chain_id: int = Field(description="`chainId` of the EIP-712 domain to sign for.")
    aggregator: str = Field(
        description="`verifyingContract` of the EIP-712 domain to sign for, checksummed (EIP-55)."
    )
    expires_at: datetime = Field(description="Until when it may be accepted (RFC 3339).")

    @classmethod
    def of(cls, view: OfferView) -> OfferAnswer:
        """The read model as the API shows it."""
        quote = view.quote
        return cls(
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
            terms=TermsAnswer.of(quote.terms),
            chain_id=view.chain_id,
            aggregator=view.aggregator,
            expires_at=datetime.fromisoformat(quote.expires_at),
        )


class MissingOfferAnswer(BaseModel):
    """A lender that made no offer, and why."""

    provider_id: str = Field(description="The lender.")
    reason: str | None = Field(
        description="Code of why: `NOT_OFFERED` (it declined), `DEADLINE_EXCEEDED` (it was too "
        "slow), or what was wrong with its answer."
    )
