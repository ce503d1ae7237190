"""The search for a rate: what it finds solves the equation, and otherwise it says why not."""

from __future__ import annotations

from dataclasses import replace
from decimal import Context, Decimal, localcontext
from fractions import Fraction as F

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models.domain import apr, apr_us
from models.domain.apr import (
    HIGHEST_RATE,
    MAX_AMOUNT_MINOR,
    MAX_FLOWS,
    MAX_PERIODS,
    CashFlow,
    CashFlows,
    rate_per_period,
    rounded_percent,
)
from models.domain.errors import Invalid
from models.domain.rates import (
    NoRate,
    RateNotFound,
    apr_bps,
    level_payment_minor,
    total_cost_minor,
)

EXACT = Context(prec=80)
HAIR = Decimal("1e-18")


def flows(advances: list[tuple[int, int]], payments: list[tuple[int, int]]) -> CashFlows:
    """Sums by their period, the first written before the time."""
    sides = (tuple(CashFlow(m, F(t)) for m, t in side) for side in (advances, payments))
    return CashFlows(*sides)


def worth(of: CashFlows, rate: Decimal) -> Decimal:
    """Payments less advances on the first day, computed apart from the code under test."""
    with localcontext(EXACT):
        total = Decimal(0)
        for sign, side in ((-1, of.advances), (1, of.payments)):
            for flow in side:
                full = Decimal(flow.full.numerator) / flow.full.denominator
                odd = Decimal(flow.odd.numerator) / flow.odd.denominator
                grown = (full * (1 + rate).ln()).exp() * (1 + odd * rate)
                total += sign * flow.amount_minor / grown
        return total


@pytest.mark.parametrize(
    ("given", "rate"),
    [
        (flows([(100, 0)], [(100, 0)]), "0"),
        (flows([(100, 0)], [(100, 9)]), "0"),
        (flows([(100, 0)], [(121, 2)]), "0.1"),
        (flows([(100, 0)], [(10, 1), (110, 2)]), "0.1"),
        # A second advance: 100·1.1 + 100 = 210, a period later 231.
        (flows([(100, 0), (100, 1)], [(231, 2)]), "0.1"),
        # A payment between two advances: 100·1.1 − 10 + 100 = 200, a period later 220.
        (flows([(100, 0), (100, 1)], [(10, 1), (220, 2)]), "0.1"),
        # Half a period of simple interest, then one that compounds: 100·1.05·1.1.
        (CashFlows((CashFlow(1000, F(0)),), (CashFlow(1155, F(1), F(1, 2)),)), "0.1"),
        # Half a period that compounds: the square root of 1.21.
        (CashFlows((CashFlow(100, F(0)),), (CashFlow(110, F(1, 2)),)), "0.21"),
        (flows([(1, 0)], [(1_000_000, 1)]), "999999"),
    ],
)
def test_rates_worked_by_hand(given: CashFlows, rate: str) -> None:
    assert abs(rate_per_period(given) - Decimal(rate)) < HAIR


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (flows([(100, 0)], [(99, 1)]), NoRate.NO_SIGN_CHANGE),
        (flows([(100, 0)], [(100, 0), (5, 1)]), NoRate.NO_SIGN_CHANGE),
        (flows([(100, 0)], [(150, 0)]), NoRate.NO_SIGN_CHANGE),
        # Whoever pays 150 for 100 and gets 60 later was owed something in between.
        (flows([(100, 0), (60, 2)], [(150, 1), (20, 3)]), NoRate.AMBIGUOUS),
        (flows([(100, 0), (130, 2)], [(230, 1)]), NoRate.AMBIGUOUS),
        (flows([(1, 0)], [(1_000_002, 1)]), NoRate.OUT_OF_RANGE),
    ],
)
def test_no_rate_is_told_with_its_reason(given: CashFlows, reason: NoRate) -> None:
    with pytest.raises(RateNotFound) as told:
        rate_per_period(given)
    assert told.value.reason is reason
    assert str(told.value).startswith(f"{reason}: ")


def test_a_textbook_case_of_two_rates_is_refused() -> None:
    """−1000, +2500, −1540: both 10 % and 40 % fit, and neither is the price of a credit."""
    two = flows([(1_000, 0), (1_540, 2)], [(2_500, 1), (40, 3)])
    with pytest.raises(RateNotFound, match="AMBIGUOUS"):
        rate_per_period(two)


def test_of_several_rates_the_lowest_is_told_where_payments_are_meant_to_run_ahead() -> None:
    """100 − 300·v + 210·v² = 0 has v = (300 ± √6000) / 420: rates of 11.27 % and 88.73 %."""
    sides = [(300, 1)], [(100, 0), (210, 2)]
    with pytest.raises(Invalid, match="PAYMENT_BEFORE_ADVANCE"):
        flows(*sides)
    meant = replace(flows([(300, 0)], [(310, 0)]), in_advance=True)
    meant = replace(meant, advances=flows([(300, 1)], [(1, 1)]).advances)
    meant = replace(meant, payments=flows([(1, 0)], [(100, 0), (210, 2)]).payments)
    v = (300 + Decimal(6_000).sqrt()) / 420
    assert abs(rate_per_period(meant) - (1 / v - 1)) < HAIR
    # Said where it is not needed, it changes nothing.
    plain = flows([(100, 0)], [(121, 2)])
    assert rate_per_period(replace(plain, in_advance=True)) == rate_per_period(plain)


def test_payments_in_advance_have_an_end_too() -> None:
    ahead = CashFlows(
        (CashFlow(300, F(1)),), (CashFlow(290, F(0)), CashFlow(11, F(2))), in_advance=True
    )
    with pytest.raises(RateNotFound, match="OUT_OF_RANGE"):
        rate_per_period(ahead)


@pytest.mark.parametrize("amount", [0, -1, MAX_AMOUNT_MINOR + 1])
def test_amounts_have_bounds(amount: int) -> None:
    with pytest.raises(Invalid, match="AMOUNT_OUT_OF_RANGE"):
        CashFlow(amount, F(0))


@pytest.mark.parametrize("amount", [1.5, True, "1"])
def test_amounts_are_whole_minor_units(amount: object) -> None:
    with pytest.raises(TypeError):
        CashFlow(amount, F(0))  # type: ignore[arg-type]


@pytest.mark.parametrize("when", [(F(-1), F(0)), (F(0), F(-1, 2)), (F(MAX_PERIODS), F(1, 30))])
def test_time_has_bounds(when: tuple[F, F]) -> None:
    with pytest.raises(Invalid, match="TIME_OUT_OF_RANGE"):
        CashFlow(1, *when)


def test_each_side_has_some_flows_and_not_too_many() -> None:
    one = (CashFlow(1, F(0)),)
    for sides in ((one, ()), ((), one)):
        with pytest.raises(Invalid, match="CASH_FLOWS_INCOMPLETE"):
            CashFlows(*sides)
    with pytest.raises(Invalid, match="CASH_FLOWS_TOO_MANY"):
        CashFlows(one, one * (MAX_FLOWS + 1))


def test_a_payment_may_not_precede_the_first_advance() -> None:
    with pytest.raises(Invalid, match="PAYMENT_BEFORE_ADVANCE"):
        flows([(100, 1)], [(110, 0)])


@pytest.mark.parametrize(
    ("rate", "decimals", "percent"),
    [
        ("0.12005", 2, "12.01"),  # exactly a half goes up
        ("0.1200499999999999999999", 2, "12.01"),  # a hair below, where a search may end
        ("0.1200499", 2, "12.00"),
        ("0.12945", 1, "12.9"),
        ("0.12950", 1, "13.0"),
        ("0", 2, "0.00"),
    ],
)
def test_percentages_are_rounded_halves_up(rate: str, decimals: int, percent: str) -> None:
    assert str(rounded_percent(Decimal(rate), decimals)) == percent


AMOUNTS = st.integers(1, 10**9)
TIMES = st.builds(F, st.integers(0, 400)) | st.builds(F, st.integers(0, 4_000), st.just(365))
ODD = st.builds(F, st.integers(0, 30), st.just(30))
FLOW = st.builds(CashFlow, AMOUNTS, TIMES, ODD)


@st.composite
def any_flows(draw: st.DrawFn) -> CashFlows:
    """Whatever can be written down, with no thought of whether it is a credit."""
    advances = [CashFlow(draw(AMOUNTS), F(0)), *draw(st.lists(FLOW, max_size=3))]
    return CashFlows(tuple(advances), tuple(draw(st.lists(FLOW, min_size=1, max_size=12))))


@st.composite
def credits(draw: st.DrawFn) -> CashFlows:
    """A credit: something received, and more of it paid back by some payments thereafter."""
    times = draw(st.lists(st.builds(F, st.integers(1, 240)), min_size=1, max_size=12))
    received = draw(st.integers(10_000, 10**9))
    each = -(-received // len(times)) + draw(st.integers(0, received // len(times)))
    odd = draw(ODD)
    return CashFlows(
        (CashFlow(received, F(0)),), tuple(CashFlow(each, when, odd) for when in times)
    )


def search(of: CashFlows) -> Decimal | NoRate:
    try:
        return rate_per_period(of)
    except RateNotFound as told:
        return told.reason


@settings(max_examples=200, deadline=None)
@given(any_flows())
def test_the_search_converges_or_says_why(given_flows: CashFlows) -> None:
    found = search(given_flows)
    if isinstance(found, Decimal):
        assert 0 <= found <= HIGHEST_RATE
        assert_solves(given_flows, found)
    else:
        assert found is not NoRate.NOT_CONVERGED
    meant = search(replace(given_flows, in_advance=True))
    if isinstance(meant, Decimal):
        assert_solves(given_flows, meant)
    else:
        assert meant in (NoRate.NO_SIGN_CHANGE, NoRate.OUT_OF_RANGE)


@pytest.mark.parametrize("late", [F(1), F(2), F(5, 2)])
def test_an_advance_late_in_the_term_does_not_mislead_the_search(late: F) -> None:
    """The value of such flows rises again at high rates, where Newton's step leads away."""
    late_advance = CashFlows((CashFlow(1, F(0)), CashFlow(970, late)), (CashFlow(1_097, F(13, 5)),))
    assert_solves(late_advance, rate_per_period(late_advance))


def test_the_search_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Newton's steps, not halving: a loan of 30 years is looked at a dozen times, not a hundred."""
    looks: list[Decimal] = []
    at = apr._Equation.at

    def counted(equation: apr._Equation, rate: Decimal) -> tuple[Decimal, Decimal]:
        looks.append(rate)
        return at(equation, rate)

    monkeypatch.setattr(apr._Equation, "at", counted)
    rate_per_period(flows([(20_000_000, 0)], [(119_911, month) for month in range(1, 361)]))
    assert 3 < len(looks) < 20


def assert_solves(of: CashFlows, rate: Decimal) -> None:
    """The two sides are worth the same to within a millionth of a millionth of a minor unit."""
    advanced = sum(flow.amount_minor for flow in of.advances)
    assert abs(worth(of, rate)) <= advanced * Decimal("1e-18")


@settings(max_examples=100, deadline=None)
@given(credits())
def test_a_credit_has_a_rate_and_it_is_the_only_one_nearby(credit: CashFlows) -> None:
    rate = rate_per_period(credit)
    assert worth(credit, rate + HAIR) < 0 or rate == 0
    assert rate < HAIR or worth(credit, rate - HAIR) > 0


@settings(max_examples=100, deadline=None)
@given(credits(), st.integers(1, 10**6), TIMES)
def test_more_fees_never_lower_the_rate(credit: CashFlows, fee: int, when: F) -> None:
    """Neither a fee paid at any time, nor one kept back from what is received."""
    without = rate_per_period(credit)
    later = CashFlows(credit.advances, (*credit.payments, CashFlow(fee, when)))
    assert_no_lower(search(later), without)
    kept_back = fee % credit.advances[0].amount_minor
    less = replace(credit.advances[0], amount_minor=credit.advances[0].amount_minor - kept_back)
    assert_no_lower(search(CashFlows((less,), credit.payments)), without)


def assert_no_lower(found: Decimal | NoRate, before: Decimal) -> None:
    if isinstance(found, Decimal):
        assert found >= before - HAIR
    else:  # so dear that there is no credit left
        assert found in (NoRate.OUT_OF_RANGE, NoRate.NO_SIGN_CHANGE)


@settings(max_examples=100, deadline=None)
@given(any_flows(), st.integers(2, 10_000))
def test_amounts_in_another_unit_have_the_same_rate(given_flows: CashFlows, factor: int) -> None:
    scaled = CashFlows(
        *(
            tuple(replace(flow, amount_minor=flow.amount_minor * factor) for flow in side)
            for side in (given_flows.advances, given_flows.payments)
        )
    )
    before, after = search(given_flows), search(scaled)
    if isinstance(before, Decimal) and isinstance(after, Decimal):
        assert abs(before - after) <= HAIR * (1 + before)
    else:
        assert before == after


@settings(max_examples=60, deadline=None)
@given(
    principal=st.integers(1_000, 10**9),
    rate_bps=st.integers(0, 9_999),
    months=st.integers(1, 120),
    fee=st.integers(0, 900),
)
def test_it_agrees_with_the_fast_path_of_offers(
    principal: int, rate_bps: int, months: int, fee: int
) -> None:
    payment = level_payment_minor(principal, rate_bps, months)
    payments = tuple(CashFlow(payment, F(n)) for n in range(1, months + 1))
    credit = CashFlows((CashFlow(principal - fee, F(0)),), payments)
    rate = apr_us.apr(credit, F(12))
    assume(rate < 120)  # the fast path stops at 12,000 %
    bps = rate * 10_000
    # Floats cannot be held to a half that they cannot represent.
    assume(abs(bps % 1 - Decimal("0.5")) > Decimal("1e-6"))
    assert apr_bps(principal - fee, [payment] * months) == rounded_percent(rate, 2) * 100


@pytest.mark.parametrize(
    ("received", "payments", "apart", "cost"),
    [
        (10_000, [5_075, 5_075], 0, 150),
        (10_000, [5_000, 5_000], 0, 0),
        (10_000, [9_000], 0, -1_000),  # a gift
        # A fee of 100: lent on top, kept back from the principal, or paid at the counter.
        (10_000, [5_126, 5_126], 0, 252),
        (9_900, [5_075, 5_075], 0, 250),
        (10_000, [5_075, 5_075], 100, 250),
    ],
)
def test_the_total_cost_counts_each_fee_once(
    received: int, payments: list[int], apart: int, cost: int
) -> None:
    assert total_cost_minor(received, payments, paid_apart_minor=apart) == cost


@pytest.mark.parametrize(
    ("received", "payments", "apart"),
    [(0, [1], 0), (-1, [1], 0), (1, [], 0), (1, [-1], 0), (1, [1], -1)],
)
def test_no_cost_of_what_is_no_credit(received: int, payments: list[int], apart: int) -> None:
    with pytest.raises(ValueError, match="received"):
        total_cost_minor(received, payments, paid_apart_minor=apart)


@given(st.integers(1, 10**9), st.lists(st.integers(0, 10**9), min_size=1), st.integers(0, 10**6))
def test_a_fee_costs_what_it_is_however_it_is_taken(
    received: int, payments: list[int], fee: int
) -> None:
    before = total_cost_minor(received + fee, payments)
    assert total_cost_minor(received, payments) == before + fee
    assert total_cost_minor(received + fee, payments, paid_apart_minor=fee) == before + fee
