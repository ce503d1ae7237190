"""The examples of the annex to the European directive, to the precision it publishes.

Annex III of Directive 87/102/EEC in the wording of Directive 98/7/EC: "Member States shall provide
that the methods of resolution applicable give a result equal to that of the examples". Directive
2008/48/EC and (EU) 2023/2225 kept the equation and dropped the examples.

Read in two public copies of the annex: the inputs of all eight, and the results of A.1 to A.3 and
B.1. The results of A.4 and B.2 to B.4 stood in pictures or beyond the end of those copies; they are
set down from memory of the annex, and follow from the inputs.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction as F

import pytest

from models.domain.apr import CashFlow, CashFlows, DatedFlow, rounded_percent
from models.domain.apr_eu import Basis, apr, in_years, years_between
from models.domain.errors import Invalid
from models.domain.unit_periods import Interval, UnitPeriod, repeated

LENT_ON = date(1994, 1, 1)
THREE, SIX, TWELVE = date(1994, 4, 1), date(1994, 7, 1), date(1995, 1, 1)
AFTER_TWO_YEARS, AFTER_18_MONTHS = date(1996, 1, 1), date(1995, 7, 1)


# A. on the calendar basis (a year of 365 or 366 days): received, payments, the rate in percent at
# each published number of decimals.
CALENDAR = {
    "A.1": (1_000, [(1_200, AFTER_18_MONTHS)], ("13.0", "12.96")),
    "A.2": (950, [(1_200, AFTER_18_MONTHS)], ("16.9",)),
    "A.3": (1_000, [(600, TWELVE), (600, AFTER_TWO_YEARS)], ("13.1", "13.07")),
    "A.4": (1_000, [(272, THREE), (272, SIX), (544, TWELVE)], ("13.2",)),
}


@pytest.mark.parametrize("example", CALENDAR)
def test_the_annex_examples_on_the_calendar_basis(example: str) -> None:
    received, paid, published = CALENDAR[example]
    payments = [DatedFlow(ecu * 100, on) for ecu, on in paid]
    flows, _ = in_years([DatedFlow(received * 100, LENT_ON)], payments, Basis.YEAR)
    assert_published(apr(flows), published)


def test_the_calendar_basis_counts_the_days_the_annex_counts() -> None:
    days = {AFTER_18_MONTHS: 546, THREE: 90, SIX: 181, TWELVE: 365}
    for on, count in days.items():
        assert years_between(LENT_ON, on, Basis.YEAR) == F(count, 365)


# B. on the basis of a standard year (365 days, 52 weeks or 12 equal months).
STANDARD = {
    "B.1": (1_000, [(1_200, F(3, 2))], ("12.9", "12.92")),
    "B.2": (950, [(1_200, F(3, 2))], ("16.9", "16.85")),
    "B.3": (1_000, [(600, F(1)), (600, F(2))], ("13.1", "13.07")),
    "B.4": (1_000, [(272, F(1, 4)), (272, F(1, 2)), (544, F(1))], ("13.2", "13.19")),
}


@pytest.mark.parametrize("example", STANDARD)
def test_the_annex_examples_on_the_standard_year(example: str) -> None:
    received, paid, published = STANDARD[example]
    payments = tuple(CashFlow(ecu * 100, years) for ecu, years in paid)
    assert_published(apr(CashFlows((CashFlow(received * 100, F(0)),), payments)), published)


@pytest.mark.parametrize("example", STANDARD)
def test_equal_months_between_days_are_the_standard_year(example: str) -> None:
    received, paid, published = STANDARD[example]
    payments = [
        DatedFlow(ecu * 100, repeated(LENT_ON, UnitPeriod(Interval.MONTH), int(years * 12) + 1)[-1])
        for ecu, years in paid
    ]
    flows, basis = in_years([DatedFlow(received * 100, LENT_ON)], payments, Basis.MONTH)
    assert basis is Basis.MONTH
    assert_published(apr(flows), published)


def assert_published(rate: Decimal, published: tuple[str, ...]) -> None:
    for text in published:
        decimals = len(text.partition(".")[2])
        assert rounded_percent(rate, decimals) == Decimal(text)


@pytest.mark.parametrize(
    ("example", "one_plus_rate"),
    [("A.1", "1.1296204"), ("A.2", "1.169026"), ("A.3", "1.1306623")],
)
def test_the_annex_gives_more_decimals_of_some(example: str, one_plus_rate: str) -> None:
    """The annex's last digits are cut off or rounded: half of one either way."""
    received, paid, _ = CALENDAR[example]
    payments = [DatedFlow(ecu * 100, on) for ecu, on in paid]
    flows, _ = in_years([DatedFlow(received * 100, LENT_ON)], payments, Basis.YEAR)
    unit = Decimal(1).scaleb(Decimal(one_plus_rate).as_tuple().exponent)  # type: ignore[arg-type]
    assert abs(1 + apr(flows) - Decimal(one_plus_rate)) < unit


@pytest.mark.parametrize(
    ("earlier", "later", "basis", "years"),
    [
        # Remark (c) of Directive (EU) 2023/2225 Annex III: equal periods and then days, backwards
        # from the later day; days over the length of the year that ends where they end.
        (date(2019, 1, 12), date(2020, 1, 12), Basis.YEAR, F(1)),
        (date(2012, 1, 12), date(2012, 2, 15), Basis.YEAR, F(34, 365)),
        (date(2012, 1, 12), date(2012, 2, 15), Basis.MONTH, F(1, 12) + F(3, 365)),
        (date(2012, 1, 12), date(2012, 4, 15), Basis.MONTH, F(3, 12) + F(3, 365)),
        (date(2013, 1, 12), date(2013, 2, 15), Basis.MONTH, F(1, 12) + F(3, 366)),
        (date(2013, 2, 25), date(2013, 3, 28), Basis.MONTH, F(1, 12) + F(3, 366)),
        (date(2012, 2, 26), date(2012, 3, 29), Basis.MONTH, F(1, 12) + F(3, 366)),
        (date(2012, 1, 12), date(2012, 1, 26), Basis.WEEK, F(2, 52)),
        (date(2012, 1, 12), date(2012, 1, 30), Basis.WEEK, F(2, 52) + F(4, 365)),
        (date(2012, 1, 12), date(2013, 1, 12), Basis.WEEK, F(1) + F(2, 365)),
        (date(2012, 2, 26), date(2012, 2, 26), Basis.MONTH, F(0)),
    ],
)
def test_intervals_in_years(earlier: date, later: date, basis: Basis, years: F) -> None:
    assert years_between(earlier, later, basis) == years


@pytest.mark.parametrize(
    ("every", "basis"),
    [
        (UnitPeriod(Interval.MONTH), Basis.MONTH),
        (UnitPeriod(Interval.MONTH, 3), Basis.MONTH),
        (UnitPeriod(Interval.YEAR), Basis.MONTH),
        (UnitPeriod(Interval.SEMIMONTH), Basis.MONTH),
        (UnitPeriod(Interval.WEEK, 2), Basis.WEEK),
        (UnitPeriod(Interval.DAY), Basis.YEAR),
    ],
)
def test_the_basis_follows_the_schedule(every: UnitPeriod, basis: Basis) -> None:
    due = repeated(date(2024, 5, 4), every, 6)
    payments = [DatedFlow(200_00, on) for on in due]
    assert in_years([DatedFlow(1_000_00, date(2024, 5, 1))], payments)[1] is basis


def test_months_of_a_series_at_the_end_of_months_are_whole() -> None:
    payments = [DatedFlow(510_00, date(2024, 2, 29)), DatedFlow(510_00, date(2024, 3, 31))]
    flows, _ = in_years([DatedFlow(1_000_00, date(2024, 1, 31))], payments)
    assert [flow.full for flow in flows.payments] == [F(1, 12), F(2, 12)]


def test_a_repayment_before_the_first_drawdown_is_refused() -> None:
    with pytest.raises(Invalid, match="PAYMENT_BEFORE_ADVANCE"):
        in_years([DatedFlow(1, date(2024, 1, 2))], [DatedFlow(1, date(2024, 1, 1))])


@pytest.mark.parametrize("sides", [([], [DatedFlow(1, LENT_ON)]), ([DatedFlow(1, LENT_ON)], [])])
def test_both_sides_are_needed(sides: tuple[list[DatedFlow], list[DatedFlow]]) -> None:
    with pytest.raises(Invalid, match="CASH_FLOWS_INCOMPLETE"):
        in_years(*sides)
