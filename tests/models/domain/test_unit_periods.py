"""Days into standard intervals: which one a transaction is counted in, and months among months."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction as F

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.errors import Invalid
from models.domain.unit_periods import (
    Interval,
    UnitPeriod,
    full_months,
    month_period,
    months_back,
    repeated,
    unit_period_of,
)

MAY = date(2024, 5, 1)
DAY, WEEK, SEMIMONTH, MONTH, YEAR = (UnitPeriod(interval) for interval in Interval)


@pytest.mark.parametrize(
    ("interval", "multiple"),
    [
        (Interval.DAY, 0),
        (Interval.DAY, 366),
        (Interval.WEEK, 53),
        (Interval.SEMIMONTH, 2),
        (Interval.MONTH, 12),
        (Interval.YEAR, 2),
        (Interval.WEEK, -1),
    ],
)
def test_no_unit_period_the_law_does_not_know(interval: Interval, multiple: int) -> None:
    with pytest.raises(Invalid, match="UNIT_PERIOD_MALFORMED"):
        UnitPeriod(interval, multiple)


@pytest.mark.parametrize(
    ("unit", "per_year", "name"),
    [
        (DAY, F(365), "day"),
        (UnitPeriod(Interval.DAY, 255), F(365, 255), "255 days"),
        (UnitPeriod(Interval.WEEK, 4), F(13), "4 weeks"),
        (SEMIMONTH, F(24), "semimonth"),
        (UnitPeriod(Interval.MONTH, 5), F(12, 5), "5 months"),
        (month_period(12), F(1), "year"),
    ],
)
def test_unit_periods_in_a_year(unit: UnitPeriod, per_year: F, name: str) -> None:
    assert (unit.per_year, str(unit)) == (per_year, name)


def after(*days: int) -> list[date]:
    return [MAY + timedelta(days=count) for count in days]


@pytest.mark.parametrize(
    ("advances", "payments", "unit"),
    [
        # The common period that occurs most often.
        ([MAY], repeated(date(2024, 6, 1), MONTH, 12), MONTH),
        ([MAY], repeated(date(2024, 5, 15), SEMIMONTH, 12), SEMIMONTH),
        ([MAY], repeated(date(2024, 5, 20), SEMIMONTH, 12), SEMIMONTH),
        ([MAY], after(7, 14, 21, 28, 35), WEEK),
        ([MAY], after(1, 2, 3, 4), DAY),
        ([MAY], repeated(date(2025, 5, 1), YEAR, 5), YEAR),
        # Every two years: a unit-period is no longer than a year.
        ([MAY], [date(2026, 5, 1), date(2028, 5, 1), date(2030, 5, 1)], YEAR),
        # Two months twice, three months twice: the smaller.
        (
            [MAY],
            [date(2024, 7, 1), date(2024, 9, 1), date(2024, 12, 1), date(2025, 3, 1)],
            UnitPeriod(Interval.MONTH, 2),
        ),
        # Advances count as payments do: three of them a month apart against two quarters.
        (
            [date(2024, 5, n) for n in (1, 8, 15, 22)],
            [date(2024, 8, 22), date(2024, 11, 22), date(2025, 2, 22)],
            WEEK,
        ),
        # None occurs twice: the average of 20 and 45 days is 32½, nearest to a month.
        ([MAY], after(20, 65), MONTH),
        # The average of 9 and 13 days is 11: 4 from a week, 3 from two, 4 from a semimonth.
        ([MAY], after(9, 22), UnitPeriod(Interval.WEEK, 2)),
        # 14 and 15 are equally near 14½: the lower.
        ([MAY], after(13, 29), UnitPeriod(Interval.WEEK, 2)),
        # Years on average: still a year.
        ([MAY], after(1_000, 2_500), YEAR),
        # A single payment: its term.
        ([MAY], [date(2024, 8, 1)], UnitPeriod(Interval.MONTH, 3)),
        ([MAY], [date(2024, 8, 2)], UnitPeriod(Interval.DAY, 93)),
        ([MAY], [date(2025, 5, 1)], YEAR),
        ([MAY], [date(2026, 8, 2)], YEAR),
        ([date(2024, 1, 1)], [date(2024, 12, 31)], UnitPeriod(Interval.DAY, 365)),
        # Twice on one day is one payment.
        ([MAY, MAY], [date(2024, 8, 1), date(2024, 8, 1)], UnitPeriod(Interval.MONTH, 3)),
    ],
)
def test_the_unit_period_of_a_transaction(
    advances: list[date], payments: list[date], unit: UnitPeriod
) -> None:
    assert unit_period_of(advances, payments) == unit


def test_a_term_of_no_days_has_no_unit_period() -> None:
    with pytest.raises(Invalid, match="TERM_EMPTY"):
        unit_period_of([MAY], [MAY])


@pytest.mark.parametrize(
    ("later", "months", "scheduled", "reached"),
    [
        (date(2024, 3, 15), 1, 0, date(2024, 2, 15)),
        (date(2024, 3, 31), 1, 0, date(2024, 2, 29)),
        (date(2023, 3, 31), 1, 0, date(2023, 2, 28)),
        (date(2024, 1, 15), 1, 0, date(2023, 12, 15)),
        (date(2024, 2, 29), 12, 0, date(2023, 2, 28)),
        (date(2024, 4, 30), 1, 0, date(2024, 3, 30)),
        (date(2024, 4, 30), 1, 31, date(2024, 3, 31)),
        (date(2024, 2, 29), 1, 30, date(2024, 1, 30)),
        (date(2024, 2, 28), 1, 30, date(2024, 1, 28)),  # not the last day: nothing to stand for
        (date(2024, 1, 31), -1, 0, date(2024, 2, 29)),
    ],
)
def test_months_back(later: date, months: int, scheduled: int, reached: date) -> None:
    assert months_back(later, months, scheduled) == reached


@pytest.mark.parametrize(
    ("first", "every", "days"),
    [
        (date(2024, 1, 31), MONTH, [(1, 31), (2, 29), (3, 31), (4, 30)]),
        (date(2024, 1, 30), MONTH, [(1, 30), (2, 29), (3, 30), (4, 30)]),
        (date(2024, 1, 1), SEMIMONTH, [(1, 1), (1, 16), (2, 1), (2, 16)]),
        (date(2024, 1, 15), SEMIMONTH, [(1, 15), (1, 30), (2, 15), (2, 29)]),
        (date(2024, 1, 16), SEMIMONTH, [(1, 16), (2, 1), (2, 16), (3, 1)]),
        (date(2024, 1, 31), SEMIMONTH, [(1, 31), (2, 16), (2, 29), (3, 16)]),
        (date(2024, 1, 1), UnitPeriod(Interval.WEEK, 2), [(1, 1), (1, 15), (1, 29), (2, 12)]),
        (date(2024, 1, 1), UnitPeriod(Interval.MONTH, 2), [(1, 1), (3, 1), (5, 1), (7, 1)]),
    ],
)
def test_repeated_days(first: date, every: UnitPeriod, days: list[tuple[int, int]]) -> None:
    assert repeated(first, every, 4) == [date(2024, *day) for day in days]


@given(st.dates(date(1900, 1, 1), date(2199, 12, 31)), st.integers(0, 1_200))
def test_full_months_are_counted_as_they_were_added(first: date, months: int) -> None:
    later = repeated(first, MONTH, months + 1)[-1]
    assert full_months(first, later, first.day) == (months, first)


@given(st.dates(date(1900, 1, 1), date(2199, 12, 31)), st.integers(0, 40_000))
def test_what_full_months_leave_is_less_than_a_month(earlier: date, days: int) -> None:
    later = earlier + timedelta(days=days)
    months, reached = full_months(earlier, later)
    assert months >= 0
    assert timedelta(0) <= reached - earlier <= timedelta(days=30)
