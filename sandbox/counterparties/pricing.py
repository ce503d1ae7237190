"""What a loan costs at a rate, whoever lends it: true in every figure. Pure.

A fee is financed: the borrower receives the whole principal and repays principal and fee by level
payments. The APR is that of receiving the principal and making those payments.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.domain.rates import apr_bps, level_payment_minor


@dataclass(frozen=True, slots=True)
class Price:
    """What a loan costs; payments are level, rounded up in the lender's favour."""

    nominal_rate_bps: int
    fee_minor: int
    monthly_payment_minor: int
    total_repayable_minor: int
    apr_bps: int


def price(amount_minor: int, term_months: int, rate_bps: int, fee_bps: int) -> Price:
    """The price of a loan at this nominal rate with this financed fee (rounded up)."""
    fee_minor = -(-amount_minor * fee_bps // 10_000)
    payment_minor = level_payment_minor(amount_minor + fee_minor, rate_bps, term_months)
    return Price(
        nominal_rate_bps=rate_bps,
        fee_minor=fee_minor,
        monthly_payment_minor=payment_minor,
        total_repayable_minor=payment_minor * term_months,
        apr_bps=apr_bps(amount_minor, [payment_minor] * term_months),
    )
