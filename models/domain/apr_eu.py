"""The annual percentage rate of charge of European consumer credit.

Source: Directive 2008/48/EC Annex I, and the same equation in Directive 2014/17/EU Annex I and
Directive (EU) 2023/2225 Annex III, whose remark (c) says how days are expressed in years.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from models.domain.apr import CashFlow, CashFlows, DatedFlow, rate_per_period
from models.domain.errors import Invalid
from models.domain.unit_periods import (
    DAYS_PER_WEEK,
    MONTHS_PER_YEAR,
    WEEKS_PER_YEAR,
    Interval,
    full_months,
    months_back,
    scheduled_day,
    unit_period_of,
)

# "with an accuracy of at least one decimal place", remark (d); its rounding rule is halves up.
PUBLISHED_DECIMALS: Final = 1


class Basis(StrEnum):
    """The equal periods that intervals are counted in before the days that are left."""

    YEAR = "year"  # the calendar basis: years and days
    MONTH = "month"  # twelve equal months
    WEEK = "week"  # 52 weeks


_BASIS_OF: Final = {
    Interval.DAY: Basis.YEAR,
    Interval.WEEK: Basis.WEEK,
    Interval.SEMIMONTH: Basis.MONTH,
    Interval.MONTH: Basis.MONTH,
    Interval.YEAR: Basis.MONTH,
}


def apr(flows: CashFlows) -> Decimal:
    """The annual percentage rate of charge as a fraction of 1; `flows` are timed in years.

    The starting date is that of the first drawdown, remark (b). Raises RateNotFound.
    """
    if flows.in_advance:
        raise Invalid("PAYMENT_BEFORE_ADVANCE", "the starting date is that of the first drawdown")
    return rate_per_period(flows)


def in_years(
    advances: Sequence[DatedFlow], payments: Sequence[DatedFlow], basis: Basis | None = None
) -> tuple[CashFlows, Basis]:
    """Dated sums, timed in years from the first drawdown; and the periods they were counted in.

    Without a `basis`, it is the one in which the credit is scheduled: months or weeks where its
    payments recur by them, otherwise years and days.
    """
    drawn, due = [each.on for each in advances], [each.on for each in payments]
    if not drawn or not due:
        raise Invalid("CASH_FLOWS_INCOMPLETE", "there are advances and payments")
    begins = min(drawn)
    if min(due) < begins:
        raise Invalid("PAYMENT_BEFORE_ADVANCE", "a payment precedes the first advance")
    basis = basis or _BASIS_OF[unit_period_of(drawn, due).interval]
    received, paid = (
        tuple(
            CashFlow(each.amount_minor, years_between(begins, each.on, basis, scheduled))
            for each in side
        )
        for side, scheduled in ((advances, scheduled_day(drawn)), (payments, scheduled_day(due)))
    )
    return CashFlows(received, paid), basis


def years_between(earlier: date, later: date, basis: Basis, scheduled: int = 0) -> Fraction:
    """The interval in years: equal periods counted backwards from the later day, then days.

    The days are divided by the length of the year that ends where they end: 365 or 366.
    """
    if basis is Basis.WEEK:
        weeks = (later - earlier).days // DAYS_PER_WEEK
        years, reached = Fraction(weeks, WEEKS_PER_YEAR), later - timedelta(weeks=weeks)
    else:
        months, reached = full_months(earlier, later, scheduled)
        if basis is Basis.YEAR:
            months -= months % MONTHS_PER_YEAR
            reached = months_back(later, months, scheduled)
        years = Fraction(months, MONTHS_PER_YEAR)
    length = (reached - months_back(reached, MONTHS_PER_YEAR)).days
    return years + Fraction((reached - earlier).days, length)
