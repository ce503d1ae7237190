"""Standard intervals of time, months counted back from a day, and a transaction's unit-period.

Source: 12 CFR 1026 (Regulation Z) Appendix J (b)(3) and (b)(4).
"""

from __future__ import annotations

from calendar import monthrange
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from typing import Final

from models.domain.errors import Invalid

MONTHS_PER_YEAR: Final = 12
DAYS_PER_YEAR: Final = 365
WEEKS_PER_YEAR: Final = 52
DAYS_PER_WEEK: Final = 7
DAYS_PER_MONTH: Final = 30  # all months are considered equal
DAYS_PER_SEMIMONTH: Final = 15


class Interval(StrEnum):
    """What a unit-period is one of, or a multiple of."""

    DAY = "day"
    WEEK = "week"
    SEMIMONTH = "semimonth"
    MONTH = "month"
    YEAR = "year"


# A multiple of a week or a month goes up to a year; twelve months are a year. Days are multiplied
# only where the unit-period is the whole term of a single payment.
_MOST: Final = {
    Interval.DAY: 365,
    Interval.WEEK: 52,
    Interval.SEMIMONTH: 1,
    Interval.MONTH: 11,
    Interval.YEAR: 1,
}
_DAYS: Final = {
    Interval.DAY: 1,
    Interval.WEEK: DAYS_PER_WEEK,
    Interval.SEMIMONTH: DAYS_PER_SEMIMONTH,
    Interval.MONTH: DAYS_PER_MONTH,
    Interval.YEAR: DAYS_PER_YEAR,
}
_PER_YEAR: Final = {
    Interval.DAY: DAYS_PER_YEAR,
    Interval.WEEK: WEEKS_PER_YEAR,
    Interval.SEMIMONTH: 2 * MONTHS_PER_YEAR,
    Interval.MONTH: MONTHS_PER_YEAR,
    Interval.YEAR: 1,
}


@dataclass(frozen=True, slots=True)
class UnitPeriod:
    """A standard interval of time, such as four weeks; Invalid where the law knows none such."""

    interval: Interval
    multiple: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.multiple <= _MOST[self.interval]:
            raise Invalid("UNIT_PERIOD_MALFORMED", f"there is no unit-period of {self}")

    def __str__(self) -> str:
        plural = f"{self.multiple} {self.interval}s"
        return str(self.interval) if self.multiple == 1 else plural

    @property
    def days(self) -> int:
        """How long it is, in days of equal months."""
        return _DAYS[self.interval] * self.multiple

    @property
    def per_year(self) -> Fraction:
        return Fraction(_PER_YEAR[self.interval], self.multiple)


def month_period(months: int) -> UnitPeriod:
    """A multiple of a month, which is a year when there are twelve of them, or more."""
    if months >= MONTHS_PER_YEAR:
        return UnitPeriod(Interval.YEAR)
    return UnitPeriod(Interval.MONTH, months)


def scheduled_day(days: Iterable[date]) -> int:
    """The day of the month a series is scheduled for: the 31st, where that means the last day."""
    return max(day.day for day in days)


def months_back(later: date, months: int, scheduled: int = 0) -> date:
    """The same day of an earlier month, or its last day; of a later month if `months` is negative.

    The last day of a short month stands for the day that was `scheduled`: of payments due on the
    31st, the one on 30 April lies one month after 31 March.
    """
    in_months = later.year * MONTHS_PER_YEAR + later.month - 1 - months
    year, month = divmod(in_months, MONTHS_PER_YEAR)
    day = max(later.day, scheduled) if _ends_its_month(later) else later.day
    return date(year, month + 1, min(day, monthrange(year, month + 1)[1]))


def full_months(earlier: date, later: date, scheduled: int = 0) -> tuple[int, date]:
    """How many full months lie between, measured back from the later day, and where that leads."""
    months = (later.year - earlier.year) * MONTHS_PER_YEAR + later.month - earlier.month
    reached = months_back(later, months, scheduled)
    if reached < earlier:
        months -= 1
        reached = months_back(later, months, scheduled)
    return months, reached


def unit_period_of(advances: Sequence[date], payments: Sequence[date]) -> UnitPeriod:
    """The unit-period of a transaction, from its days: Appendix J (b)(4).

    The period that occurs most often, the smaller one of equals. Where none occurs twice, the
    standard interval nearest to the average; the lower of two. Never more than a year. Of a single
    advance with a single payment it is the term: whole months where it is some, otherwise days.
    """
    due = sorted(set(payments))
    first = min(*advances, *due)
    if len(set(advances)) == 1 and len(due) == 1:
        return _term(first, max(*advances, *due))
    series = [sorted(set(advances)), due, sorted({first, min(advances), due[0]})]
    common = Counter[UnitPeriod]()
    for days in series:
        common.update(_periods(days))
    often = max(common.values(), default=0)
    if often > 1:
        most = [period for period, times in common.items() if times == often]
        return min(most, key=lambda period: period.days)
    lengths = [(b - a).days for days in series for a, b in pairwise(days)]
    return _nearest_standard(Fraction(sum(lengths), len(lengths)))


def _term(first: date, due: date) -> UnitPeriod:
    months, reached = full_months(first, due)
    if months >= MONTHS_PER_YEAR:
        return UnitPeriod(Interval.YEAR)
    if reached == first and months:
        return month_period(months)
    if due == first:
        raise Invalid("TERM_EMPTY", "the only payment is due on the day of the advance")
    return UnitPeriod(Interval.DAY, (due - first).days)


def _periods(days: Sequence[date]) -> Counter[UnitPeriod]:
    """Every standard interval between neighbours, and how often it occurs."""
    found = Counter[UnitPeriod]()
    if len(days) < 2:
        return found
    scheduled = scheduled_day(days)
    for earlier, later in pairwise(days):
        months, reached = full_months(earlier, later, scheduled)
        if months and reached == earlier:
            found[month_period(months)] += 1
            continue
        length = (later - earlier).days
        weeks, rest = divmod(length, DAYS_PER_WEEK)
        if weeks and not rest:
            found[UnitPeriod(Interval.WEEK, min(weeks, WEEKS_PER_YEAR))] += 1
        elif length == 1:
            found[UnitPeriod(Interval.DAY)] += 1
    semimonths = _semimonths(days, scheduled)
    if semimonths:
        found[UnitPeriod(Interval.SEMIMONTH)] = semimonths
    return found


def _semimonths(days: Sequence[date], scheduled: int) -> int:
    """How many intervals halve a month: a month from each day to the next but one."""
    halved = [
        full_months(first, third, scheduled) == (1, first)
        and abs((second - first).days - DAYS_PER_SEMIMONTH) <= 3  # the 15th to the last
        for first, second, third in zip(days, days[1:], days[2:], strict=False)
    ]
    return sum(halved) + 1 if any(halved) else 0


def _nearest_standard(days: Fraction) -> UnitPeriod:
    standards = [UnitPeriod(interval) for interval in Interval]
    standards += [UnitPeriod(Interval.WEEK, n) for n in range(2, WEEKS_PER_YEAR + 1)]
    standards += [UnitPeriod(Interval.MONTH, n) for n in range(2, MONTHS_PER_YEAR)]
    return min(standards, key=lambda each: (abs(each.days - days), each.days))


def repeated(first: date, every: UnitPeriod, count: int) -> list[date]:
    """`count` days, one interval apart; halves of months fall on the same two days of each."""
    if every.interval in (Interval.DAY, Interval.WEEK):
        return [first + timedelta(days=every.days * n) for n in range(count)]
    if every.interval is Interval.SEMIMONTH:
        return [_semimonth_on(first, n) for n in range(count)]
    step = MONTHS_PER_YEAR if every.interval is Interval.YEAR else every.multiple
    return [months_back(first, -step * n) for n in range(count)]


def _semimonth_on(first: date, number: int) -> date:
    months, second_half = divmod(number, 2)
    same_day = months_back(first, -months)
    if not second_half:
        return same_day
    if first.day > DAYS_PER_SEMIMONTH:
        return months_back(first, -months - 1).replace(day=first.day - DAYS_PER_SEMIMONTH)
    last = monthrange(same_day.year, same_day.month)[1]
    return same_day.replace(day=min(first.day + DAYS_PER_SEMIMONTH, last))


def _ends_its_month(day: date) -> bool:
    return day.day == monthrange(day.year, day.month)[1]
