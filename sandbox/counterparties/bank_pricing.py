"""How the simulated bank prices a loan: risk-based, monotone, and true in every figure. Pure.

    nominal rate = base rate
                 + PD × LGD             expected loss of a year, LGD 45 % (Basel, unsecured senior)
                 + 1 bp per point of score below 850
                 + 2 bps per month of term

Without a score (a person approved what no model could score) it prices the worst it would lend to.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Final

from sandbox.counterparties.bank_messages import LendingConfig, QuoteRequest
from sandbox.counterparties.pricing import Price, price

_LGD: Final = Fraction(45, 100)
_BEST_SCORE: Final = 850
_TERM_PREMIUM_BPS: Final = 2
_UNSCORED: Final = (0.10, 560)  # PD and score that an unscored applicant is priced as


def refusal(config: LendingConfig, asked: QuoteRequest) -> dict[str, str] | None:
    """Why the bank does not want this loan, or None when it does."""
    if asked.amount_minor < config.min_amount_minor:
        return {"code": "AMOUNT_TOO_LOW", "message": "the amount is below our minimum"}
    if asked.amount_minor > config.max_amount_minor:
        return {"code": "AMOUNT_TOO_HIGH", "message": "the amount is above our maximum"}
    if asked.term_months > config.max_term_months:
        return {"code": "TERM_TOO_LONG", "message": "the term is above our maximum"}
    if asked.score is not None and asked.score < config.min_score:
        return {"code": "SCORE_TOO_LOW", "message": "the score is below our minimum"}
    return None


def cost_of(config: LendingConfig, asked: QuoteRequest) -> Price:
    """What the loan costs."""
    rate = nominal_rate_bps(config.base_rate_bps, asked.pd, asked.score, asked.term_months)
    return price(asked.amount_minor, asked.term_months, rate, config.fee_bps)


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
