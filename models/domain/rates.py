"""APR by the actuarial method, and level payments, in integers wherever money is concerned.

Source: 12 CFR 1026 (Regulation Z) Appendix J (b)(8): the general equation with unit periods; for a
single advance and level monthly payments it is the internal rate of return times twelve.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

MONTHS_PER_YEAR = 12
_HIGHEST_RATE = 10.0  # per month
_STEPS = 200  # each doubles the digits that are right; far fewer are needed


class RateNotFound(ValueError):
    """The cash flows have no rate between 0 and 12,000 % a year."""


def level_payment_minor(principal_minor: int, nominal_rate_bps: int, term_months: int) -> int:
    """Monthly payment in minor units, rounded up: the lender is never short by the rounding."""
    if principal_minor <= 0 or term_months <= 0 or nominal_rate_bps < 0:
        raise ValueError("principal and term are positive, the rate is not negative")
    if nominal_rate_bps == 0:
        return -(-principal_minor // term_months)
    rate = Fraction(nominal_rate_bps, 10_000 * MONTHS_PER_YEAR)
    growth = (1 + rate) ** term_months
    return ceil(principal_minor * rate * growth / (growth - 1))


def apr_bps(amount_financed_minor: int, payments_minor: Sequence[int]) -> int:
    """APR in basis points, rounded to nearest, of one advance repaid by monthly payments.

    `amount_financed_minor` is what the borrower has the use of (principal less prepaid fees).
    Raises RateNotFound if the payments do not even return the advance.
    """
    if amount_financed_minor <= 0 or not payments_minor:
        raise ValueError("an advance and at least one payment are needed")
    if sum(payments_minor) < amount_financed_minor:
        raise RateNotFound("the payments return less than the advance")

    rate = 0.0
    for _ in range(_STEPS):
        value, slope = _present_value(payments_minor, rate)
        # The curve falls and is convex: from below, no step passes the rate that is sought.
        further = rate + (value - amount_financed_minor) / slope
        if not further > rate:
            break
        rate = further
    if rate > _HIGHEST_RATE:
        raise RateNotFound("the rate lies above 12,000 % a year")
    return round(rate * MONTHS_PER_YEAR * 10_000)


def _present_value(payments_minor: Sequence[int], rate: float) -> tuple[float, float]:
    """What the payments are worth at a monthly rate, and how fast that falls (both positive)."""
    value, slope, discount, growth = 0.0, 0.0, 1.0, 1.0 + rate
    for month, payment in enumerate(payments_minor, start=1):
        discount /= growth
        present = payment * discount
        value += present
        slope += month * present
    return value, slope / growth
