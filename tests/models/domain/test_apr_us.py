"""Regulation Z's own examples of the actuarial method, to the precision it publishes.

12 CFR 1026 Appendix J (c), as in the annual edition of 1 January 2024, title 12 volume 9. The code
prints equations and examples as pictures. The figures below come from two public transcriptions
made independently of each other, one in unit-periods ((c)(1) to (c)(6)(ii)) and one in dates
((c)(1) to (c)(5)(i)); wherever both have an example they agree.

Only (c)(7)(i), the construction loan, is in neither. Its figures are set down from memory of the
appendix, not from its text; that they give 10.25 % to four decimals speaks for them.
(c)(6)(iii), a mortgage with varying payments, and (c)(7)(ii), a student loan whose payments begin
before its first advance, could not be had in full and are not here; what is special about the
second is tested with figures of our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction as F

import pytest

from models.domain.apr import CashFlow, CashFlows, DatedFlow, rounded_percent
from models.domain.apr_us import apr, in_unit_periods, unit_periods_between
from models.domain.errors import Invalid
from models.domain.unit_periods import Interval, UnitPeriod, repeated

DAY, WEEK = UnitPeriod(Interval.DAY), UnitPeriod(Interval.WEEK)
FORTNIGHT, FOUR_WEEKS = UnitPeriod(Interval.WEEK, 2), UnitPeriod(Interval.WEEK, 4)
SEMIMONTH, MONTH = UnitPeriod(Interval.SEMIMONTH), UnitPeriod(Interval.MONTH)
TWO_MONTHS, QUARTER = UnitPeriod(Interval.MONTH, 2), UnitPeriod(Interval.MONTH, 3)
HALF_YEAR, YEAR = UnitPeriod(Interval.MONTH, 6), UnitPeriod(Interval.YEAR)


def once(dollars: str, t: int = 0, f: F = F(0)) -> list[CashFlow]:
    return level(dollars, 1, t, f)


def level(dollars: str, count: int, t: int, f: F = F(0)) -> list[CashFlow]:
    """`count` sums, each a unit-period after the one before it."""
    minor = int(Decimal(dollars) * 100)
    return [CashFlow(minor, F(t + n), f) for n in range(count)]


# Example, advances, payments, unit-periods per year, the published rate in percent.
IN_UNIT_PERIODS = {
    "(c)(1)(i)": (once("5000"), level("230", 24, 1), 12, "9.69"),
    "(c)(1)(ii)": (once("6000"), level("200", 36, 1, F(19, 30)), 12, "11.82"),
    "(c)(1)(iii)": (once("5000"), level("219.17", 24, 0, F(6, 15)), 24, "10.34"),
    "(c)(1)(iv)": (once("10000"), level("385", 40, 1, F(39, 90)), 4, "8.97"),
    "(c)(1)(v)": (once("500"), level("17.60", 30, 4, F(4, 7)), 52, "14.96"),
    "(c)(2)(i)": (once("5000"), once("250", 1) + level("230", 23, 2), 12, "10.08"),
    "(c)(2)(ii)": (
        once("400"), once("39.50", 1, F(5, 28)) + level("38.31", 11, 2, F(5, 28)), 13, "28.50",
    ),
    "(c)(3)(i)": (once("5000"), level("230", 23, 1) + once("280", 24), 12, "10.50"),
    "(c)(3)(ii)": (
        once("200"), level("9.50", 19, 0, F(8, 14)) + once("30", 19, F(8, 14)), 26, "12.22",
    ),
    "(c)(4)(i)": (
        once("5000"), once("250", 1) + level("230", 22, 2) + once("280", 24), 12, "10.90",
    ),
    "(c)(4)(ii)": (
        once("8000"),
        once("449.36", 0, F(52, 60)) + level("465", 18, 1, F(52, 60)) + once("200", 19, F(52, 60)),
        6,
        "7.30",
    ),
    "(c)(5)(i)": (once("1000"), once("1080", 1), F(365, 255), "11.45"),
    "(c)(5)(ii)": (once("1000"), once("1044", 1), 2, "8.80"),
    "(c)(5)(iii)": (once("1000"), once("1135.19", 1, F(6, 12)), 1, "8.76"),
    "(c)(5)(iv)": (once("1000"), once("1240", 2), 1, "11.36"),
    "(c)(6)(i)": (
        once("2135"),
        level("100", 9, 0, F(26, 28)) + level("100", 6, 10, F(12, 28))
        + level("100", 6, 16, F(26, 28)) + level("100", 3, 23, F(12, 28)),
        13,
        "12.00",
    ),
    "(c)(6)(ii)": (
        once("7350"),
        level("1000", 3, 6, F(12, 30)) + once("2000", 12, F(12, 30))
        + level("750", 3, 18, F(12, 30)) + once("1000", 22, F(29, 30)),
        12,
        "10.22",
    ),
    "(c)(7)(i), from memory": (
        once("20000") + once("20000", 2, F(2, 30)) + once("20000", 5, F(8, 30)),
        level("612.36", 240, 8),
        12,
        "10.25",
    ),
}  # fmt: skip


@pytest.mark.parametrize("example", IN_UNIT_PERIODS)
def test_the_appendix_examples_in_unit_periods(example: str) -> None:
    advances, payments, per_year, published = IN_UNIT_PERIODS[example]
    rate = apr(CashFlows(tuple(advances), tuple(payments)), F(per_year))
    assert rounded_percent(rate, 2) == Decimal(published)


def series(dollars: str, count: int, first: date, every: UnitPeriod = DAY) -> list[DatedFlow]:
    minor = int(Decimal(dollars) * 100)
    return [DatedFlow(minor, on) for on in repeated(first, every, count)]


JANUARY_10 = date(1978, 1, 10)
JANUARY_25 = date(1978, 1, 25)

# The same, by the days on which they were made. The days of the later series of (c)(6)(i) follow
# from its published unit-periods: the test below shows that they give these again.
IN_DAYS = {
    "(c)(1)(i)": (("5000", JANUARY_10), [("230", 24, date(1978, 2, 10), MONTH)], MONTH),
    "(c)(1)(ii)": (("6000", date(1978, 2, 10)), [("200", 36, date(1978, 4, 1), MONTH)], MONTH),
    "(c)(1)(iii)": (
        ("5000", date(1978, 2, 23)), [("219.17", 24, date(1978, 3, 1), SEMIMONTH)], SEMIMONTH,
    ),
    "(c)(1)(iv)": (
        ("10000", date(1978, 5, 23)), [("385", 40, date(1978, 10, 1), QUARTER)], QUARTER,
    ),
    "(c)(1)(v)": (("500", date(1978, 3, 20)), [("17.60", 30, date(1978, 4, 21), WEEK)], WEEK),
    "(c)(2)(i)": (
        ("5000", JANUARY_10),
        [("250", 1, date(1978, 2, 10), DAY), ("230", 23, date(1978, 3, 10), MONTH)],
        MONTH,
    ),
    "(c)(2)(ii)": (
        ("400", date(1978, 3, 18)),
        [("39.50", 1, date(1978, 4, 20), DAY), ("38.31", 11, date(1978, 5, 18), FOUR_WEEKS)],
        FOUR_WEEKS,
    ),
    "(c)(3)(i)": (
        ("5000", JANUARY_10),
        [("230", 23, date(1978, 2, 10), MONTH), ("280", 1, date(1980, 1, 10), DAY)],
        MONTH,
    ),
    "(c)(3)(ii)": (
        ("200", date(1978, 4, 3)),
        [
            ("9.50", 19, date(1978, 4, 11), FORTNIGHT),
            ("30", 1, date(1978, 4, 11) + timedelta(weeks=38), DAY),
        ],
        FORTNIGHT,
    ),
    "(c)(4)(i)": (
        ("5000", JANUARY_10),
        [
            ("250", 1, date(1978, 2, 10), DAY),
            ("230", 22, date(1978, 3, 10), MONTH),
            ("280", 1, date(1980, 1, 10), DAY),
        ],
        MONTH,
    ),
    "(c)(4)(ii)": (
        ("8000", JANUARY_10),
        [
            ("449.36", 1, date(1978, 3, 1), DAY),
            ("465", 18, date(1978, 5, 1), TWO_MONTHS),
            ("200", 1, date(1981, 5, 1), DAY),
        ],
        TWO_MONTHS,
    ),
    "(c)(5)(i)": (
        ("1000", date(1978, 1, 3)),
        [("1080", 1, date(1978, 9, 15), DAY)],
        UnitPeriod(Interval.DAY, 255),
    ),
    "(c)(6)(i)": (
        ("2135", JANUARY_25),
        [
            ("100", count, JANUARY_25 + timedelta(days=days), FOUR_WEEKS)
            for count, days in ((9, 26), (6, 292), (6, 474), (3, 656))
        ],
        FOUR_WEEKS,
    ),
    "(c)(6)(ii)": (
        ("7350", date(1978, 3, 3)),
        [
            ("1000", 3, date(1978, 9, 15), MONTH),
            ("2000", 1, date(1979, 3, 15), DAY),
            ("750", 3, date(1979, 9, 15), MONTH),
            ("1000", 1, date(1980, 2, 1), DAY),
        ],
        MONTH,
    ),
    "(c)(7)(i), from memory": (
        [("20000", date(1979, 4, 10)), ("20000", date(1979, 6, 12)), ("20000", date(1979, 9, 18))],
        [("612.36", 240, date(1979, 12, 10), MONTH)],
        MONTH,
    ),
}  # fmt: skip


@pytest.mark.parametrize("example", IN_DAYS)
def test_the_appendix_examples_by_their_days(example: str) -> None:
    """The unit-period is found in the days, and every t and f is the published one."""
    advanced, paid, unit = IN_DAYS[example]
    advances = [
        DatedFlow(int(dollars) * 100, on)
        for dollars, on in (advanced if isinstance(advanced, list) else [advanced])
    ]
    payments = [flow for each in paid for flow in series(*each)]
    flows, found = in_unit_periods(advances, payments)
    expected_advances, expected_payments, per_year, published = IN_UNIT_PERIODS[example]
    assert found == unit
    assert found.per_year == per_year
    assert by_time(flows.payments) == by_time(expected_payments)
    assert by_time(flows.advances) == by_time(expected_advances)
    assert rounded_percent(apr(flows, found.per_year), 2) == Decimal(published)


def by_time(flows: Sequence[CashFlow]) -> list[CashFlow]:
    return sorted(flows, key=lambda flow: (flow.when, flow.amount_minor))


@pytest.mark.parametrize(
    ("earlier", "later", "unit", "full", "odd"),
    [
        # (b)(5)(ii): months back from the later day, then days over 30.
        (date(1978, 2, 10), date(1978, 4, 1), MONTH, 1, F(19, 30)),
        (date(2024, 1, 31), date(2024, 2, 29), MONTH, 0, F(29, 30)),
        (date(2024, 2, 29), date(2024, 3, 29), MONTH, 1, F(0)),
        # (iii): thirty days a month, and what is left, over fifteen or a multiple of thirty.
        (date(1978, 2, 23), date(1978, 3, 1), SEMIMONTH, 0, F(6, 15)),
        (date(1978, 2, 23), date(1978, 3, 16), SEMIMONTH, 1, F(6, 15)),
        (date(1978, 5, 23), date(1978, 10, 1), QUARTER, 1, F(39, 90)),
        (date(1978, 1, 10), date(1978, 3, 1), TWO_MONTHS, 0, F(52, 60)),
        (date(1978, 7, 15), date(1979, 1, 15), HALF_YEAR, 1, F(0)),
        # (iv): days over days.
        (date(1978, 3, 20), date(1978, 4, 21), WEEK, 4, F(4, 7)),
        (date(1978, 3, 18), date(1978, 4, 20), FOUR_WEEKS, 1, F(5, 28)),
        (date(1978, 3, 18), date(1978, 4, 20), DAY, 33, F(0)),
        # (v): a remainder of whole months is over twelve, any other over 365 days.
        (date(2020, 1, 15), date(2021, 7, 15), YEAR, 1, F(6, 12)),
        (date(2020, 1, 15), date(2022, 1, 15), YEAR, 2, F(0)),
        (date(2020, 1, 15), date(2021, 7, 18), YEAR, 1, F(185, 365)),
        (date(2020, 1, 15), date(2020, 1, 15), MONTH, 0, F(0)),
    ],
)
def test_unit_periods_between_two_days(
    earlier: date, later: date, unit: UnitPeriod, full: int, odd: F
) -> None:
    assert unit_periods_between(earlier, later, unit) == (full, odd)


def test_a_series_on_the_last_day_of_each_month_has_whole_months() -> None:
    ends = [date(2023, 11, 30), date(2023, 12, 31), date(2024, 1, 31), date(2024, 2, 29)]
    payments = [DatedFlow(101_00, on) for on in ends]
    flows, unit = in_unit_periods([DatedFlow(400_00, date(2023, 10, 31))], payments)
    assert unit == MONTH
    assert [(flow.full, flow.odd) for flow in flows.payments] == [(n, 0) for n in (1, 2, 3, 4)]


def test_a_unit_period_may_be_given() -> None:
    payments = series("1080", 1, date(1978, 7, 3))
    _, found = in_unit_periods([DatedFlow(1000_00, date(1978, 1, 3))], payments)
    assert (found, found.per_year) == (HALF_YEAR, 2)
    flows, given = in_unit_periods([DatedFlow(1000_00, date(1978, 1, 3))], payments, MONTH)
    assert given == MONTH
    assert flows.payments[0].full == 6


def test_a_payment_before_the_first_advance_is_refused_unless_it_is_meant() -> None:
    advances = series("3000", 2, date(1978, 9, 5), YEAR)
    payments = series("260", 24, date(1978, 7, 1), MONTH)
    with pytest.raises(Invalid, match="PAYMENT_BEFORE_ADVANCE"):
        in_unit_periods(advances, payments)
    flows, unit = in_unit_periods(advances, payments, in_advance=True)
    assert unit == MONTH
    # The term begins with the first payment: (b)(2), and (b)(5)(ii) counts from there.
    assert [(flow.full, flow.odd) for flow in flows.payments[:2]] == [(0, 0), (1, 0)]
    assert [(flow.full, flow.odd) for flow in flows.advances] == [(2, F(4, 30)), (14, F(4, 30))]
    rate = apr(flows, unit.per_year)
    assert 0 < rate < 1
    worth = sum(
        sign
        * flow.amount_minor
        / ((1 + float(flow.odd * F(rate) / 12)) * (1 + float(rate) / 12) ** float(flow.full))
        for sign, side in ((1, flows.payments), (-1, flows.advances))
        for flow in side
    )
    assert abs(worth) < 1e-6


@pytest.mark.parametrize(
    "sides", [([], [DatedFlow(1, JANUARY_10)]), ([DatedFlow(1, JANUARY_10)], [])]
)
def test_both_sides_are_needed(sides: tuple[list[DatedFlow], list[DatedFlow]]) -> None:
    with pytest.raises(Invalid, match="CASH_FLOWS_INCOMPLETE"):
        in_unit_periods(*sides)


@pytest.mark.parametrize("per_year", [F(0), F(-12), F(366)])
def test_a_year_has_some_unit_periods_and_at_most_365(per_year: F) -> None:
    with pytest.raises(Invalid, match="PER_YEAR_OUT_OF_RANGE"):
        apr(CashFlows(tuple(once("100")), tuple(once("101", 1))), per_year)
