"""The annual percentage rate of any cash flows: the equation, and a search that says how it ended.

The rate per period is the one at which the advances and the payments are worth the same on the
first day. Both laws we serve ask for this and differ in how time is counted:

- 12 CFR 1026 (Regulation Z) Appendix J (b)(8): a sum `t` unit-periods and a fraction `f` away is
  discounted by (1 + f·i)·(1 + i)^t. See `apr_us`.
- Directive 2008/48/EC Annex I and Directive (EU) 2023/2225 Annex III: a sum `s` years away is
  discounted by (1 + X)^s. See `apr_eu`.

Money is integer minor units and time is exact fractions; the search is in decimals of 36 digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from fractions import Fraction
from itertools import accumulate, groupby
from math import ceil, exp, expm1, fsum, log1p
from typing import Final

from models.domain.errors import Invalid
from models.domain.rates import NoRate, RateNotFound

NOT_SAID_TO_BE_MEANT: Final = "a payment precedes the first advance, and is not said to be meant to"
MAX_FLOWS: Final = 5_000  # of a side: weekly payments over 96 years
MAX_AMOUNT_MINOR: Final = 10**15
MAX_PERIODS: Final = 36_600  # daily payments over a century

# Per period: 100,000,000 %. A loan for a day at 4 % has 165,000,000 % a year by the EU's formula.
HIGHEST_RATE: Final = Decimal(1_000_000)

# Where several rates may fit, the lowest is looked for step by step, up to 1,000 % per period.
_HIGHEST_OF_SEVERAL: Final = Decimal(10)
_SCAN: Final = 0.001

_DIGITS: Final = Context(prec=36)
_NEAR_ENOUGH: Final = Decimal("1e-24")  # twenty decimals more than anybody publishes
_STEPS: Final = 400  # halving alone would need 100
# The search ends a hair beside the rate; a rate of exactly 12.005 % still is half a hundredth.
_HAIR: Final = Decimal("1e-15")


@dataclass(frozen=True, slots=True)
class CashFlow:
    """A sum in minor units, and when it is paid, in periods after the first advance.

    `full` periods compound. `odd` is the fraction of a period before them, over which interest is
    simple (Appendix J's `f`); the EU's equation has none.
    """

    amount_minor: int
    full: Fraction
    odd: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        if isinstance(self.amount_minor, bool) or not isinstance(self.amount_minor, int):
            raise TypeError("amount_minor is an integer count of minor units")
        if not 0 < self.amount_minor <= MAX_AMOUNT_MINOR:
            raise Invalid(
                "AMOUNT_OUT_OF_RANGE", "amounts are above 0 and at most 10^15 minor units"
            )
        if self.full < 0 or self.odd < 0 or self.when > MAX_PERIODS:
            raise Invalid("TIME_OUT_OF_RANGE", f"time is 0 to {MAX_PERIODS} periods")

    @property
    def when(self) -> Fraction:
        """Its place in time, for telling what comes first."""
        return self.full + self.odd


@dataclass(frozen=True, slots=True)
class DatedFlow:
    """A sum in minor units and the day on which it is paid."""

    amount_minor: int
    on: date


@dataclass(frozen=True, slots=True)
class CashFlows:
    """What the borrower receives and what the borrower pays; fees are payments, or never received.

    Payments may run ahead of the advances, or precede them all, only where that is said to be meant
    (`in_advance`): as a rule it is a mistake. Raises Invalid where it is not said, and where a side
    is missing or too long.
    """

    advances: tuple[CashFlow, ...]
    payments: tuple[CashFlow, ...]
    in_advance: bool = False

    def __post_init__(self) -> None:
        for name, side in (("advance", self.advances), ("payment", self.payments)):
            if not side:
                raise Invalid("CASH_FLOWS_INCOMPLETE", f"there is no {name}")
            if len(side) > MAX_FLOWS:
                raise Invalid("CASH_FLOWS_TOO_MANY", f"at most {MAX_FLOWS} of a kind")
        first = min(advance.when for advance in self.advances)
        if min(payment.when for payment in self.payments) < first and not self.in_advance:
            raise Invalid("PAYMENT_BEFORE_ADVANCE", NOT_SAID_TO_BE_MEANT)


def rate_per_period(flows: CashFlows) -> Decimal:
    """The rate that makes both sides worth the same, from 0 to HIGHEST_RATE, as a fraction of 1.

    Where payments are meant to run ahead of advances, several rates may fit: then it is the lowest,
    up to 1,000 %. Raises RateNotFound with the reason where there is none.
    """
    balances = list(_running_balances(flows))
    if balances[-1] < 0:
        raise RateNotFound(NoRate.NO_SIGN_CHANGE, "the payments return less than the advances")
    if min(balances) >= 0 and balances[-1] > 0:
        raise RateNotFound(NoRate.NO_SIGN_CHANGE, "nothing is ever owed")
    unique = _have_one_rate(balances)
    if not unique and not flows.in_advance:
        ahead = "payments run ahead of the advances, and are not said to be meant to"
        raise RateNotFound(NoRate.AMBIGUOUS, ahead)
    if balances[-1] == 0:
        return Decimal(0)
    with localcontext(_DIGITS):
        equation = _Equation(flows)
        between = equation.upper_bound() if unique else equation.first_change()
        return _root(equation, *between)


def _root(equation: _Equation, low: Decimal, high: Decimal) -> Decimal:
    """Where the value falls through zero; it is above at `low` and not at `high`."""
    rate = low
    for _ in range(_STEPS):
        value, slope = equation.at(rate)
        low, high = (rate, high) if value > 0 else (low, rate)
        near_enough = _NEAR_ENOUGH * (1 + rate)
        if value == 0 or high - low <= near_enough:
            return rate
        # Newton's step where the value falls, and as long as it stays between the two.
        further = rate - value / slope if slope < 0 else low
        if low < further < high or (slope < 0 and further == rate):
            if abs(further - rate) <= near_enough:
                return further
            rate = further
        else:
            rate = (low + high) / 2
    raise RateNotFound(NoRate.NOT_CONVERGED, f"no rate within {_STEPS} steps")


def rounded_percent(fraction: Decimal, decimals: int) -> Decimal:
    """A rate in percent, halves up, as both laws publish it."""
    percent = (fraction * 100).quantize(_HAIR)
    return percent.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)


def _have_one_rate(balances: Sequence[int]) -> bool:
    """Whether one rate fits these cash flows and no other.

    What has been paid less what has been received, summed up along time, goes from below zero to
    above once (C. Norstrom, "A sufficient condition for a unique nonnegative internal rate of
    return", 1972). In a credit it does: debt comes before the charge.
    """
    signs = [above for above, _ in groupby(balance > 0 for balance in balances if balance)]
    return signs.count(True) <= (balances[-1] > 0)


def _running_balances(flows: CashFlows) -> Iterable[int]:
    """Paid less received, in minor units, after each moment at which anything is paid."""
    signed = [(flow.when, -flow.amount_minor) for flow in flows.advances]
    signed += [(flow.when, flow.amount_minor) for flow in flows.payments]
    moments = groupby(sorted(signed), key=lambda each: each[0])
    return accumulate(sum(amount for _, amount in same) for _, same in moments)


class _Equation:
    """Present value of the payments less that of the advances, by rate, per unit advanced."""

    def __init__(self, flows: CashFlows) -> None:
        total = sum(flow.amount_minor for flow in flows.advances)
        self._terms = [
            (sign * Decimal(flow.amount_minor) / total, _decimal(flow.full), _decimal(flow.odd))
            for sign, side in ((-1, flows.advances), (1, flows.payments))
            for flow in side
        ]

    def at(self, rate: Decimal) -> tuple[Decimal, Decimal]:
        """The value at a rate, and how it changes there."""
        growth = 1 + rate
        value = slope = Decimal(0)
        for amount, full, odd in self._terms:
            simple = 1 + odd * rate
            present = amount / (simple * growth**full)
            value += present
            slope -= present * (full / growth + odd / simple)
        return value, slope

    def upper_bound(self) -> tuple[Decimal, Decimal]:
        """Zero, and a rate at which the payments are worth less than the advances."""
        bound = Decimal("0.05")
        while self.at(bound)[0] >= 0:
            if bound >= HIGHEST_RATE:
                raise _too_high(HIGHEST_RATE)
            bound = min(bound * 8, HIGHEST_RATE)
        return Decimal(0), bound

    def first_change(self) -> tuple[Decimal, Decimal]:
        """Two neighbouring rates, the lowest at which the value falls below zero.

        They lie a thousandth of the growth apart: two rates nearer than that would be overlooked.
        """
        terms = [(float(amount), float(full), float(odd)) for amount, full, odd in self._terms]
        steps = ceil(log1p(float(_HIGHEST_OF_SEVERAL)) / _SCAN)
        before = 0.0
        for step in range(1, steps + 1):
            rate = expm1(step * _SCAN)
            if fsum(a * exp(-full * step * _SCAN) / (1 + odd * rate) for a, full, odd in terms) < 0:
                return Decimal(before), Decimal(rate)
            before = rate
        raise _too_high(_HIGHEST_OF_SEVERAL)


def _too_high(highest: Decimal) -> RateNotFound:
    return RateNotFound(NoRate.OUT_OF_RANGE, f"the rate lies above {highest * 100:,} % per period")


def _decimal(number: Fraction) -> Decimal:
    return Decimal(number.numerator) / number.denominator
