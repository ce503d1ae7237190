"""The APR of a closed-end credit by the actuarial method: 12 CFR 1026 (Regulation Z) Appendix J."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final

from models.domain.apr import (
    NOT_SAID_TO_BE_MEANT,
    CashFlow,
    CashFlows,
    DatedFlow,
    rate_per_period,
)
from models.domain.errors import Invalid
from models.domain.unit_periods import (
    DAYS_PER_MONTH,
    DAYS_PER_YEAR,
    MONTHS_PER_YEAR,
    Interval,
    UnitPeriod,
    full_months,
    months_back,
    scheduled_day,
    unit_period_of,
)

# "correct to two decimals" (b)(9); the law tolerates an eighth of a percentage point (1026.22(a)).
PUBLISHED_DECIMALS: Final = 2


def apr(flows: CashFlows, unit_periods_per_year: Fraction) -> Decimal:
    """The annual percentage rate as a fraction of 1: the unit-period rate times their number.

    `flows` are timed in unit-periods. Source: (b)(1) and (b)(8). Raises RateNotFound.
    """
    if not 0 < unit_periods_per_year <= DAYS_PER_YEAR:
        raise Invalid("PER_YEAR_OUT_OF_RANGE", "there are at most 365 unit-periods in a year")
    per_year = Decimal(unit_periods_per_year.numerator) / unit_periods_per_year.denominator
    return rate_per_period(flows) * per_year


def in_unit_periods(
    advances: Sequence[DatedFlow],
    payments: Sequence[DatedFlow],
    unit: UnitPeriod | None = None,
    *,
    in_advance: bool = False,
) -> tuple[CashFlows, UnitPeriod]:
    """Dated sums, timed in unit-periods from the first of them; and the unit-period they are in.

    `unit` overrules the one that (b)(4) finds in the days. The term begins with the first advance:
    consummation, and the charge, with it (b)(2). Only where payments are made `in_advance` may it
    begin with one, as the student loan of example (c)(7)(ii) does.
    """
    advanced, due = [each.on for each in advances], [each.on for each in payments]
    if not advanced or not due:
        raise Invalid("CASH_FLOWS_INCOMPLETE", "there are advances and payments")
    begins = min(*advanced, *due)
    if begins < min(advanced) and not in_advance:
        raise Invalid("PAYMENT_BEFORE_ADVANCE", NOT_SAID_TO_BE_MEANT)
    unit = unit or unit_period_of(advanced, due)
    received, paid = (
        tuple(
            CashFlow(each.amount_minor, *unit_periods_between(begins, each.on, unit, scheduled))
            for each in side
        )
        for side, scheduled in (
            (advances, scheduled_day(advanced)),
            (payments, scheduled_day(due)),
        )
    )
    return CashFlows(received, paid, in_advance), unit


def unit_periods_between(
    earlier: date, later: date, unit: UnitPeriod, scheduled: int = 0
) -> tuple[Fraction, Fraction]:
    """How many full unit-periods lie between two days, and what fraction of one is left: (b)(5).

    `scheduled` is the day of the month of the series to which the later day belongs.
    """
    if unit.interval in (Interval.DAY, Interval.WEEK):  # (iv), and the term of (vi) and (vii)
        return _divided((later - earlier).days, unit.days)

    months, reached = full_months(earlier, later, scheduled)
    days = (reached - earlier).days
    if unit.interval is Interval.YEAR:  # (v)
        years, months = divmod(months, MONTHS_PER_YEAR)
        if not days:
            return Fraction(years), Fraction(months, MONTHS_PER_YEAR)
        reached = months_back(later, years * MONTHS_PER_YEAR, scheduled)
        return Fraction(years), Fraction((reached - earlier).days, DAYS_PER_YEAR)
    if unit == UnitPeriod(Interval.MONTH):  # (ii)
        return Fraction(months), Fraction(days, DAYS_PER_MONTH)
    return _divided(months * DAYS_PER_MONTH + days, unit.days)  # (iii)


def _divided(days: int, per_unit: int) -> tuple[Fraction, Fraction]:
    full, rest = divmod(days, per_unit)
    return Fraction(full), Fraction(rest, per_unit)
