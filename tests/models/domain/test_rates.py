"""Payments that cover the loan, and an APR that agrees with Regulation Z's own equation."""

from __future__ import annotations

from decimal import Decimal, getcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.rates import RateNotFound, apr_bps, level_payment_minor

getcontext().prec = 60


def present_value(payments_minor: list[int], rate_bps: Decimal) -> Decimal:
    """Appendix J's equation for an advance and monthly payments, in exact decimals."""
    growth = 1 + rate_bps / Decimal(120_000)
    return sum((p / growth**n for n, p in enumerate(payments_minor, start=1)), Decimal(0))


@pytest.mark.parametrize(
    ("principal", "rate_bps", "months"),
    [(0, 500, 12), (-1, 500, 12), (1, -1, 12), (1, 500, 0), (1, 500, -12)],
)
def test_no_payment_for_what_is_no_loan(principal: int, rate_bps: int, months: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        level_payment_minor(principal, rate_bps, months)


@pytest.mark.parametrize(("advance", "payments"), [(0, [1]), (-5, [1]), (100, [])])
def test_no_rate_without_an_advance_and_payments(advance: int, payments: list[int]) -> None:
    with pytest.raises(ValueError, match="needed"):
        apr_bps(advance, payments)


def test_payments_short_of_the_advance_have_no_rate() -> None:
    with pytest.raises(RateNotFound):
        apr_bps(10_000, [833] * 12)  # 99.96 for 100.00


def test_usury_beyond_measure_has_no_rate() -> None:
    with pytest.raises(RateNotFound):
        apr_bps(100, [1_200])  # eleven times the advance within a month


@pytest.mark.parametrize(
    ("principal", "rate_bps", "months", "payment"),
    [
        # Without interest: a third of 100.00, rounded up for the lender.
        (10_000, 0, 3, 3_334),
        (12_000, 0, 12, 1_000),
        # One month at 12 %: the principal and one per cent of it.
        (10_000, 1_200, 1, 10_100),
        # Two months at 12 %: 10000 * 0.01 * 1.0201 / 0.0201 = 5075.12…
        (10_000, 1_200, 2, 5_076),
        # The textbook's 100,000 over 30 years at 6 %: 599.55.
        (10_000_000, 600, 360, 59_956),
        # 5,000 over 36 months at 9.99 %.
        (500_000, 999, 36, 16_132),
    ],
)
def test_level_payments(principal: int, rate_bps: int, months: int, payment: int) -> None:
    assert level_payment_minor(principal, rate_bps, months) == payment


@pytest.mark.parametrize(
    ("advance", "payment", "months", "apr"),
    [
        # 12 CFR 1026 Appendix J (c)(1)(i): $5,000 repaid by 24 payments of $230 costs 9.69 %.
        (500_000, 23_000, 24, 969),
        # The level payment of 36 months at 12 %, rounded to the cent.
        (500_000, 16_607, 36, 1_200),
        # One payment after a month: the rate of the month times twelve.
        (10_000, 10_100, 1, 1_200),
        (10_000, 10_000, 1, 0),
        # Two payments of 52.50 for 100.00: x² + x = 1.90476 has x = 0.967911, so 3.31528 % a month.
        (10_000, 5_250, 2, 3_978),
        # Two payments of 75.00 for 100.00: x² + x = 4/3 has x = 0.758306, so 31.8729 % a month.
        (10_000, 7_500, 2, 38_248),
    ],
)
def test_apr_of_level_payments(advance: int, payment: int, months: int, apr: int) -> None:
    assert apr_bps(advance, [payment] * months) == apr


def test_a_last_payment_of_another_size_counts_as_what_it_is() -> None:
    # 1 % a month on 100.00: pay 50.00, owe 51.00, and pay it with its interest.
    assert apr_bps(10_000, [5_000, 5_151]) == 1_200


def test_a_fee_is_a_finance_charge() -> None:
    payment = level_payment_minor(500_000, 1_000, 12)
    assert apr_bps(500_000, [payment] * 12) == 1_000
    # 100.00 kept back at the start of 5,000.00 for a year costs about 3.9 points more.
    with_fee = apr_bps(490_000, [payment] * 12)
    exact = present_value([payment] * 12, Decimal(with_fee))
    assert 1_380 < with_fee < 1_400
    assert abs(exact - 490_000) < 15


LOANS = {
    "principal": st.integers(1_000, 10**9),
    "rate_bps": st.integers(0, 9_999),
    "months": st.integers(1, 480),
}


# Exact arithmetic over hundreds of months would take its time, and show nothing else.
@given(**{**LOANS, "months": st.integers(1, 24)})
def test_payments_cover_the_loan_and_no_cent_too_many(
    principal: int, rate_bps: int, months: int
) -> None:
    payment = level_payment_minor(principal, rate_bps, months)
    growth = 1 + Fraction(rate_bps, 120_000)
    annuity = sum((1 / growth) ** n for n in range(1, months + 1))
    assert (payment - 1) * annuity < principal <= payment * annuity


@given(**LOANS)
def test_the_rate_found_solves_the_equation(principal: int, rate_bps: int, months: int) -> None:
    payments = [level_payment_minor(principal, rate_bps, months)] * months
    try:
        found = apr_bps(principal, payments)
    except RateNotFound:
        pytest.fail("a level loan has a rate")
    # Half a basis point either way spans the advance: the rate is right to its last digit.
    assert present_value(payments, Decimal(found) - 1) > principal
    assert present_value(payments, Decimal(found) + 1) < principal


@given(fee=st.integers(0, 50_000), more=st.integers(0, 50_000), **LOANS)
def test_more_fees_never_lower_the_apr(
    fee: int, more: int, principal: int, rate_bps: int, months: int
) -> None:
    principal += 200_000
    payments = [level_payment_minor(principal, rate_bps, months)] * months
    assert apr_bps(principal - fee - more, payments) >= apr_bps(principal - fee, payments)
    assert apr_bps(principal - fee, payments) >= apr_bps(principal, payments)


@given(**LOANS)
def test_rounding_the_payment_up_never_lowers_the_apr_below_the_nominal_rate(
    principal: int, rate_bps: int, months: int
) -> None:
    payments = [level_payment_minor(principal, rate_bps, months)] * months
    assert apr_bps(principal, payments) >= rate_bps
