"""APR by the actuarial method, and level payments, in integers wherever money is concerned.

Source: 12 CFR 1026 (Regulation Z) Appendix J (b)(8): the general equation with unit periods; for a
single advance and level monthly payments it is the internal rate of return times twelve.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

MONTHS_PER_YEAR = 12
_BISECTIONS = 200  # halves [0, 10] per month far below a hundredth of a basis point


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

    def present_value(rate: float) -> float:
        value, discount = 0.0, 1.0
        for payment in payments_minor:
            discount /= 1.0 + rate
            value += payment * discount
        return value

    low, high = 0.0, 10.0
    if present_value(high) > amount_financed_minor:
        raise RateNotFound("the rate lies above 12,000 % a year")
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if present_value(middle) > amount_financed_minor:
            low = middle
        else:
            high = middle
    return round(high * MONTHS_PER_YEAR * 10_000)
