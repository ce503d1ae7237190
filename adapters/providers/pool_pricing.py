"""What a pool lends and asks for it, by the parameters on its chain. Pure.

    nominal rate = base rate
                 + utilisation slope × (outstanding + principal) / total assets
                 + loss given default × PD

Both products are rounded up in the pool's favour, as `nominalRateBps` of CreditPool.sol does; PD is
rounded up to a millionth, since the contract knows no fractions. There are no fees.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Final

from adapters.chain.pool import PoolStanding
from models.domain.rates import level_payment_minor

_PPM: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class PoolPrice:
    """A loan's rate and its level payments, in minor units."""

    nominal_rate_bps: int
    monthly_payment_minor: int
    total_repayable_minor: int


def pd_ppm(pd: float) -> int:
    """A probability of default in millionths, rounded up."""
    return ceil(Fraction(pd) * _PPM)


def nominal_rate_bps(standing: PoolStanding, principal_units: int, pd: float) -> int:
    """The yearly rate for lending this much more; never falls when risk or use rise."""
    curve, whole = standing.curve, max(standing.total_assets, 1)
    used = min(standing.outstanding + principal_units, whole)
    return (
        curve.base_rate_bps
        + ceil(Fraction(curve.utilisation_slope_bps * used, whole))
        + ceil(Fraction(curve.loss_given_default_bps * pd_ppm(pd), _PPM))
    )


def price(amount_minor: int, term_months: int, rate_bps: int) -> PoolPrice:
    """The payments of a loan at this rate."""
    payment = level_payment_minor(amount_minor, rate_bps, term_months)
    return PoolPrice(rate_bps, payment, payment * term_months)


def refusal(
    standing: PoolStanding, principal_units: int, term_months: int, pd: float | None
) -> str | None:
    """Why the pool does not lend this, in its own words; None when it does."""
    limits = standing.limits
    room = min(standing.idle, limits.max_outstanding - standing.outstanding)
    reasons = (
        (standing.paused, "POOL_PAUSED"),
        (pd is None, "RISK_UNKNOWN"),
        (pd is not None and pd_ppm(pd) > standing.curve.max_pd_ppm, "RISK_TOO_HIGH"),
        (principal_units > limits.max_principal, "AMOUNT_TOO_HIGH"),
        (term_months > limits.max_term_months, "TERM_TOO_LONG"),
        (principal_units > room, "LIQUIDITY_SHORT"),
    )
    return next((reason for applies, reason in reasons if applies), None)
