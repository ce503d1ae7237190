"""The simulated bank's prices: monotone in risk, and what they say they are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.domain.rates import apr_bps
from sandbox.counterparties.bank_pricing import nominal_rate_bps
from sandbox.counterparties.pricing import price

PDS = st.floats(0, 1, allow_nan=False)
SCORES = st.integers(300, 850)


def test_a_rate_by_hand() -> None:
    # 4.50 % + 2 % of 45 % = 0.90 % + 150 points of 1 bp + 24 months of 2 bps.
    assert nominal_rate_bps(450, 0.02, 700, 24) in (450 + 90 + 150 + 48, 450 + 91 + 150 + 48)
    assert nominal_rate_bps(450, 0.0, 850, 1) == 452
    assert nominal_rate_bps(450, 1.0, 300, 60) == 450 + 4500 + 550 + 120


@given(PDS, PDS, SCORES, SCORES, st.integers(1, 60))
def test_more_risk_never_costs_less(pd_a, pd_b, score_a, score_b, months) -> None:
    better = nominal_rate_bps(450, min(pd_a, pd_b), max(score_a, score_b), months)
    worse = nominal_rate_bps(450, max(pd_a, pd_b), min(score_a, score_b), months)
    assert better <= worse


def test_a_price_by_hand() -> None:
    # 1,000.00 for 2 months, no interest, 1 % of fee: twice 505.00.
    # (505 + sqrt(505^2 + 4*1000*505)) / 2000 = 1.00665930, so 7.9912 % a year.
    cost = price(100_000, 2, 0, 100)
    assert (cost.fee_minor, cost.monthly_payment_minor) == (1_000, 50_500)
    assert (cost.total_repayable_minor, cost.apr_bps) == (101_000, 799)


@given(st.integers(50_000, 10_000_000), st.integers(1, 60), st.integers(0, 6_000))
def test_every_figure_follows_from_the_cash_flows(amount, months, rate) -> None:
    cost = price(amount, months, rate, 100)
    assert cost.total_repayable_minor == cost.monthly_payment_minor * months
    assert cost.apr_bps == apr_bps(amount, [cost.monthly_payment_minor] * months)
    assert cost.apr_bps >= rate
    assert cost.total_repayable_minor >= amount + cost.fee_minor
