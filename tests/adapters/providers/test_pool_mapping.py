"""A pool's quote as a payload, held against the pool's own parameters."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.chain.eip712 import terms_hash
from adapters.chain.pool import PoolLimits, PoolStanding, RateCurve
from adapters.providers.pool_mapping import quote_of, stated_quote_of
from adapters.providers.pool_pricing import nominal_rate_bps, refusal
from adapters.providers.quote_check import Declined, Expected
from models.domain.errors import Permanent
from models.domain.offer import LoanTerms, Quote, QuoteRequest
from models.domain.rates import apr_bps
from tests.adapters.providers.borrowing import AGGREGATOR, BORROWER, REQUEST, TOKEN

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
POOL = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
EXPECTED = Expected("pool", POOL, terms_hash, NOW)
UNITS = 10**6

# 100,000 in the pool, 5,000 of it lent.
STANDING = PoolStanding(
    block_number=77,
    aggregator=AGGREGATOR,
    asset=TOKEN,
    paused=False,
    idle=95_000 * UNITS,
    outstanding=5_000 * UNITS,
    total_assets=100_000 * UNITS,
    limits=PoolLimits(20_000 * UNITS, 50_000 * UNITS, 500, 60),
    curve=RateCurve(500, 400, 4_500, 200_000),
)
# 5.00 % + a fifth (5,000 lent, 15,000 asked for) of 4.00 % + 1.25 % of 45 % = 0.5625 %, rounded up.
# 15,000.00 for 36 months at 6.37 %: r = 0.0637 / 12; 15000 r / (1 - (1 + r)^-36) = 458.8480
RATE, PAYMENT = 500 + 80 + 57, 45_885
TOTAL = 36 * PAYMENT


def body(**changes: Any) -> dict[str, Any]:
    """The underwriter's true answer, with other figures where told; its hash is of its terms."""
    quote: dict[str, Any] = {
        "quote_id": "pq_1",
        "nominal_rate_bps": RATE,
        "fee_minor": 0,
        "monthly_payment_minor": PAYMENT,
        "total_repayable_minor": TOTAL,
        "apr_bps": RATE,
        "amount_minor": 1_500_000,
        "currency": "USD",
        "term_months": 36,
        "expires_at": "2026-03-01T12:15:00+00:00",
        "block_number": 77,
        **changes,
    }
    terms = LoanTerms(
        REQUEST.loan_reference, POOL, BORROWER, TOKEN, 15_000_000_000,
        quote["total_repayable_minor"] * 10_000, quote["apr_bps"], 36, 5,
        int((NOW + timedelta(hours=1)).timestamp()),
    )  # fmt: skip
    big = ("principal", "total_repayable", "nonce", "deadline")
    quote["terms"] = {
        name: str(getattr(terms, name)) if name in big else getattr(terms, name)
        for name in LoanTerms.__slots__
    }
    quote["terms_hash"] = terms_hash(terms)
    return {"quote": quote}


def read(
    answer: dict[str, Any], standing: PoolStanding = STANDING, request: QuoteRequest = REQUEST
) -> Quote:
    stated = stated_quote_of(answer)
    assert not isinstance(stated, Declined)
    return quote_of(stated, request, EXPECTED, standing)


def refused(*arguments: Any) -> str:
    with pytest.raises(Permanent) as raised:
        read(*arguments)
    assert raised.value.code == "TERMS_INVALID"
    return raised.value.detail


def test_what_the_pools_parameters_come_to_is_taken_over() -> None:
    quote = read(body())
    assert (quote.nominal_rate_bps, quote.apr_bps, quote.fee_minor) == (RATE, RATE, 0)
    assert (quote.monthly_payment_minor, quote.total_repayable_minor) == (PAYMENT, TOTAL)
    assert quote.terms.lender == POOL


def dearer(cents: int) -> dict[str, Any]:
    """Consistent in itself, and honest about its APR, but not what the pool asks."""
    payment = PAYMENT + cents
    return body(
        monthly_payment_minor=payment,
        total_repayable_minor=payment * 36,
        apr_bps=apr_bps(1_500_000, [payment] * 36),
    )


@pytest.mark.parametrize("cents", [-2, -1, 1, 300])
def test_another_price_than_the_pools_is_refused_however_consistent(cents: int) -> None:
    assert refused(dearer(cents)) in ("monthly_payment_minor", "nominal_rate_bps")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"nominal_rate_bps": RATE - 1}, "nominal_rate_bps"),
        ({"fee_minor": 1}, "fee_minor"),
        ({"apr_bps": RATE + 2}, "apr_bps"),
        ({"amount_minor": 1_499_999}, "amount_minor"),
        ({"term_months": 35}, "term_months"),
    ],
)
def test_a_changed_figure_is_refused_by_field(changes: dict[str, Any], field: str) -> None:
    assert refused(body(**changes)) == field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"aggregator": TOKEN}, "pool.aggregator"),
        ({"asset": AGGREGATOR}, "pool.asset"),
        ({"paused": True}, "pool.POOL_PAUSED"),
        ({"idle": 14_999_999_999}, "pool.LIQUIDITY_SHORT"),
        ({"outstanding": 35_000_000_001}, "pool.LIQUIDITY_SHORT"),
        ({"limits": PoolLimits(14_999_999_999, 10**12, 500, 60)}, "pool.AMOUNT_TOO_HIGH"),
        ({"limits": PoolLimits(10**12, 10**12, 500, 35)}, "pool.TERM_TOO_LONG"),
        ({"limits": PoolLimits(10**12, 10**12, RATE + 1, 60)}, "apr_bps"),
        ({"curve": RateCurve(500, 400, 4_500, 12_499)}, "pool.RISK_TOO_HIGH"),
        ({"curve": RateCurve(501, 400, 4_500, 200_000)}, "nominal_rate_bps"),
        ({"total_assets": 99_000 * UNITS}, "nominal_rate_bps"),
    ],
)
def test_what_the_pool_itself_would_not_lend_is_refused(
    changes: dict[str, Any], field: str
) -> None:
    assert refused(body(), replace(STANDING, **changes)) == field


def test_nobody_is_lent_to_whose_risk_nobody_computed() -> None:
    request = replace(REQUEST, pd=None, score=None)
    assert refused(body(), STANDING, request) == "pool.RISK_UNKNOWN"


@pytest.mark.parametrize("block", [None, -1, 1.0, "77", 2**63])
def test_a_quote_names_its_block(block: object) -> None:
    with pytest.raises(Permanent, match=r"MALFORMED_RESPONSE: quote.block_number"):
        stated_quote_of(body(block_number=block))


@pytest.mark.parametrize("answer", [{}, {"quote": None}, {**body(), "declined": {"code": "A"}}])
def test_neither_or_both_is_no_answer(answer: dict[str, Any]) -> None:
    with pytest.raises(Permanent, match="MALFORMED_RESPONSE"):
        stated_quote_of(answer)


def test_a_decline_is_an_answer() -> None:
    assert stated_quote_of({"declined": {"code": "POOL_PAUSED"}}) == Declined("POOL_PAUSED")


@given(
    st.integers(0, 10**12), st.integers(0, 10**12), st.floats(0, 1), st.floats(0, 1)
)  # fmt: skip
def test_more_risk_or_use_never_costs_less(a: int, b: int, pd_a: float, pd_b: float) -> None:
    less = nominal_rate_bps(STANDING, min(a, b), min(pd_a, pd_b))
    more = nominal_rate_bps(STANDING, max(a, b), max(pd_a, pd_b))
    assert 500 <= less <= more <= 500 + 400 + 4_500


def test_a_pool_with_room_lends() -> None:
    assert refusal(STANDING, 20_000 * UNITS, 60, 0.1999) is None
