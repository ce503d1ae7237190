"""APR by the actuarial method, and level payments, in integers wherever money is concerned.

Source: 12 CFR 1026 (Regulation Z) Appendix J (b)(8): the general equation with unit periods; for a
single advance and level monthly payments it is the internal rate of return times twelve.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from fractions import Fraction
from math import ceil

MONTHS_PER_YEAR = 12
_HIGHEST_RATE = 10.0  # per month
_STEPS = 200  # each doubles the digits that are right; far fewer are needed


class NoRate(StrEnum):
    """Why cash flows have no annual percentage rate; published, never reused."""

    NO_SIGN_CHANGE = "NO_SIGN_CHANGE"  # less comes back than goes out, or nothing is ever owed
    AMBIGUOUS = "AMBIGUOUS"  # payments run ahead of the advances: several rates may fit
    OUT_OF_RANGE = "OUT_OF_RANGE"  # the rate lies above the highest that is looked for
    NOT_CONVERGED = "NOT_CONVERGED"  # the search did not end within its steps


class RateNotFound(ValueError):
    """The cash flows have no rate that could be published; `reason` says why."""

    def __init__(self, reason: NoRate, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


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
        raise RateNotFound(NoRate.NO_SIGN_CHANGE, "the payments return less than the advance")

    rate = 0.0
    for _ in range(_STEPS):
        value, slope = _present_value(payments_minor, rate)
        # The curve falls and is convex: from below, no step passes the rate that is sought.
        further = rate + (value - amount_financed_minor) / slope
        if not further > rate:
            break
        rate = further
    if rate > _HIGHEST_RATE:
        raise RateNotFound(NoRate.OUT_OF_RANGE, "the rate lies above 12,000 % a year")
    return round(rate * MONTHS_PER_YEAR * 10_000)


def total_cost_minor(
    received_minor: int, payments_minor: Sequence[int], *, paid_apart_minor: int = 0
) -> int:
    """What a credit costs over its term, all fees included; negative where less comes back.

    `received_minor` is what the borrower has the use of, so the two kinds of fees count once each:

    - A *financed* fee is lent on top of what is received and repaid inside the payments: it is in
      `payments_minor`, and must not be added again.
    - A *prepaid* fee is kept back from the principal, which makes `received_minor` smaller, or is
      paid out of the borrower's own pocket, which makes it `paid_apart_minor`. It is one or the
      other, never both.

    Source: 12 CFR 1026.4 (finance charge) and 1026.18(b) (prepaid charges reduce the amount
    financed); Directive (EU) 2023/2225 Article 3(5) (total cost of the credit to the consumer).
    """
    amounts = (received_minor, paid_apart_minor, *payments_minor)
    if received_minor <= 0 or not payments_minor or min(amounts) < 0:
        raise ValueError("something is received, something is paid, and no amount is negative")
    return sum(payments_minor) + paid_apart_minor - received_minor


def _present_value(payments_minor: Sequence[int], rate: float) -> tuple[float, float]:
    """What the payments are worth at a monthly rate, and how fast that falls (both positive)."""
    value, slope, discount, growth = 0.0, 0.0, 1.0, 1.0 + rate
    for month, payment in enumerate(payments_minor, start=1):
        discount /= growth
        present = payment * discount
        value += present
        slope += month * present
    return value, slope / growth
