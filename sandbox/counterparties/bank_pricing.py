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

_LGD: Final = Fraction(45, 100)
_BEST_SCORE: Final = 850
_TERM_PREMIUM_BPS: Final = 2
_UNSCORED: Final = (0.10, 560)  # PD and score that an unscored applicant is priced as


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
