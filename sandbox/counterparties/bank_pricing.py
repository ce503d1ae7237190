"""How the simulated bank prices a loan: risk-based, monotone, and true in every figure. Pure.

    nominal rate = base rate
                 + PD × LGD             expected loss of a year, LGD 45 % (Basel, unsecured senior)
                 + 1 bp per point of score below 850
                 + 2 bps per month of term

Without a score (a person approved what no model could score) it prices the worst it would lend to.
The origination fee is financed: the borrower receives the whole principal and repays principal and
fee by level payments. The APR is that of receiving the principal and making those payments.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Final

from models.domain.rates import apr_bps, level_payment_minor

_LGD: Final = Fraction(45, 100)
_BEST_SCORE: Final = 850
_TERM_PREMIUM_BPS: Final = 2
_UNSCORED: Final = (0.10, 560)  # PD and score that an unscored applicant is priced as


@dataclass(frozen=True, slots=True)
class Price:
    """What a loan costs; payments are level, rounded up in the bank's favour."""

    nominal_rate_bps: int
    fee_minor: int
    monthly_payment_minor: int
    total_repayable_minor: int
    apr_bps: int


def nominal_rate_bps(
    base_rate_bps: int, pd: float | None, score: int | None, term_months: int
) -> int:
    """The nominal yearly rate, rounded up; never falls when the risk rises."""
    if pd is None or score is None:
        pd, score = _UNSCORED
    expected_loss_bps = Fraction(pd) * _LGD * 10_000
    score_margin_bps = max(0, _BEST_SCORE - score)
    return (
        base_rate_bps + ceil(expected_loss_bps) + score_margin_bps + _TERM_PREMIUM_BPS * term_months
    )


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
