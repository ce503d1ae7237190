"""A bank's quote is believed only where it follows from the request, or can be recomputed."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.chain.eip712 import terms_hash
from adapters.providers.bank_mapping import quote_of
from adapters.providers.quote_check import Declined, Expected, confirmation_of
from models.domain.errors import Permanent
from models.domain.offer import LoanTerms, Quote, QuoteRequest, SettlementVenue

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LENDER = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
BORROWER = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
TOKEN = "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB"
AGGREGATOR = "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb"
REFERENCE = "0x" + "ab" * 32

REQUEST = QuoteRequest(
    tenant_id="acme",
    application_id="app_1",
    loan_reference=REFERENCE,
    borrower=BORROWER,
    amount_minor=100_000,
    currency="USD",
    term_months=2,
    jurisdiction="US",
    score=700,
    pd=0.02,
    venue=SettlementVenue(31337, AGGREGATOR, TOKEN, 6),
)
EXPECTED = Expected("bank", LENDER, terms_hash, NOW)

# 1,000.00 repaid by twice 510.00: the monthly rate r solves 510/(1+r) + 510/(1+r)^2 = 1000, that is
# 1+r = (510 + sqrt(510^2 + 4*1000*510)) / 2000 = 1.01330403, so the APR is 15.9648 % = 1596 bps.
APR_BPS = 1596


def body(change: Callable[[dict[str, Any]], None] = lambda _: None, *, sign: bool = True) -> Any:
    """A true answer, changed, its terms hashed as a bank would that means what it says."""
    quote: dict[str, Any] = {
        "quote_id": "qte_1",
        "nominal_rate_bps": 1200,
        "fee_minor": 500,
        "monthly_payment_minor": 51_000,
        "total_repayable_minor": 102_000,
        "apr_bps": APR_BPS,
        "amount_minor": 100_000,
        "currency": "USD",
        "term_months": 2,
        "expires_at": "2026-03-01T12:15:00.000+00:00",
        "terms": {
            "loan_reference": REFERENCE,
            "lender": LENDER,
            "borrower": BORROWER,
            "token": TOKEN,
            "principal": "1000000000",
            "total_repayable": "1020000000",
            "apr_bps": APR_BPS,
            "term_months": 2,
            "nonce": str(2**256 - 1),
            "deadline": str(int((NOW + timedelta(hours=1)).timestamp())),
        },
        "terms_hash": "",
        "something_new": 1,
    }
    if sign:
        change(quote)
    big = ("principal", "total_repayable", "nonce", "deadline")
    terms = {k: int(v) if k in big else v for k, v in quote["terms"].items()}
    quote["terms_hash"] = terms_hash(LoanTerms(**terms)) if terms["nonce"] < 2**256 else REFERENCE
    if not sign:
        change(quote)
    return {"quote": quote}


def refused(
    answer: Any, request: QuoteRequest = REQUEST, expected: Expected = EXPECTED
) -> Permanent:
    with pytest.raises(Permanent) as raised:
        quote_of(answer, request, expected)
    return raised.value


def test_a_true_quote_is_taken_over() -> None:
    quote = quote_of(body(), REQUEST, EXPECTED)
    assert isinstance(quote, Quote)
    assert (quote.provider_id, quote.quote_id, quote.apr_bps) == ("bank", "qte_1", APR_BPS)
    assert quote.total_cost_minor == 2_000
    assert quote.expires_at == "2026-03-01T12:15:00+00:00"
    assert quote.terms.principal == 1_000_000_000
    assert quote.terms.nonce == 2**256 - 1
    assert quote.terms_hash == terms_hash(quote.terms)


def set_terms(field: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda quote: quote["terms"].update({field: value})


def put(field: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda quote: quote.update({field: value})


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (set_terms("loan_reference", "0x" + "cd" * 32), "terms.loan_reference"),
        (set_terms("lender", BORROWER), "terms.lender"),
        (set_terms("lender", LENDER.lower()), "terms.lender"),
        (set_terms("borrower", LENDER), "terms.borrower"),
        (set_terms("token", AGGREGATOR), "terms.token"),
        (set_terms("principal", "999999999"), "terms.principal"),
        (set_terms("principal", "100000"), "terms.principal"),
        (set_terms("total_repayable", "1020000001"), "terms.total_repayable"),
        (set_terms("apr_bps", APR_BPS - 1), "terms.apr_bps"),
        (set_terms("term_months", 3), "terms.term_months"),
        (set_terms("nonce", str(2**256)), "terms.nonce"),
        (set_terms("deadline", str(int(NOW.timestamp()))), "terms.deadline"),
        (set_terms("deadline", str(2**64)), "terms.deadline"),
        (put("amount_minor", 99_999), "amount_minor"),
        (put("currency", "EUR"), "currency"),
        (put("term_months", 3), "term_months"),
        (put("monthly_payment_minor", 50_999), "total_repayable_minor"),
        (put("monthly_payment_minor", 102_000), "total_repayable_minor"),
        (put("total_repayable_minor", 102_001), "total_repayable_minor"),
        (put("total_repayable_minor", 51_000), "total_repayable_minor"),
        (put("apr_bps", APR_BPS + 2), "apr_bps"),
        (put("apr_bps", APR_BPS - 2), "apr_bps"),
        (put("nominal_rate_bps", APR_BPS + 2), "nominal_rate_bps"),
        (put("fee_minor", 2_001), "fee_minor"),
    ],
)
def test_other_terms_than_asked_are_refused_by_field(change, field: str) -> None:
    error = refused(body(change))
    assert (error.code, error.detail) == ("TERMS_INVALID", field)


@pytest.mark.parametrize("moment", ["2026-03-01T12:00:00Z", "2026-03-01T13:00:00+02:00"])
def test_an_expired_quote_is_told_from_a_wrong_one(moment: str) -> None:
    error = refused(body(put("expires_at", moment)))
    assert (error.code, error.detail) == ("QUOTE_EXPIRED", "expires_at")


@pytest.mark.parametrize("field", ["nonce", "deadline"])
def test_terms_changed_after_they_were_hashed_are_refused(field: str) -> None:
    change = set_terms(field, str(int((NOW + timedelta(hours=2)).timestamp())))
    error = refused(body(change, sign=False))
    assert (error.code, error.detail) == ("TERMS_INVALID", "terms_hash")


def test_payments_below_the_advance_have_no_rate() -> None:
    def change(quote: dict[str, Any]) -> None:
        quote.update(monthly_payment_minor=49_999, total_repayable_minor=99_998, fee_minor=0)

    assert refused(body(change)).detail == "total_repayable_minor"


@pytest.mark.parametrize("difference", [-1, 1])
def test_the_bank_may_round_the_apr_otherwise_but_ours_is_stored(difference: int) -> None:
    quote = quote_of(body(put("apr_bps", APR_BPS + difference)), REQUEST, EXPECTED)
    assert isinstance(quote, Quote)
    assert quote.apr_bps == APR_BPS


def test_the_last_payment_may_be_smaller() -> None:
    # 510.00 + 509.00: r = 1.26444 % a month by the same equation, 15.1733 % a year.
    root = (51_000 + (51_000**2 + 4 * 100_000 * 50_900) ** 0.5) / 200_000
    apr = round((root - 1) * 12 * 10_000)

    def change(quote: dict[str, Any]) -> None:
        quote.update(total_repayable_minor=101_900, apr_bps=apr)
        quote["terms"].update(total_repayable="1019000000", apr_bps=apr)

    quote = quote_of(body(change), REQUEST, EXPECTED)
    assert isinstance(quote, Quote)
    assert quote.apr_bps == apr == 1517


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("quote_id", "../admin"),
        ("quote_id", ""),
        ("nominal_rate_bps", -1),
        ("fee_minor", -1),
        ("fee_minor", 1.0),
        ("monthly_payment_minor", 0),
        ("monthly_payment_minor", "51000"),
        ("total_repayable_minor", 2**256),
        ("apr_bps", True),
        ("currency", "usd"),
        ("expires_at", "soon"),
        ("expires_at", "2026-03-01T12:15:00"),
        ("expires_at", 1772367300),
        ("expires_at", "0001-01-01T00:00:00+14:00"),
        ("terms_hash", "0x" + "AB" * 32),
        ("terms", None),
    ],
)
def test_a_malformed_field_is_refused_by_name(field: str, value: object) -> None:
    error = refused(body(put(field, value), sign=False))
    assert (error.code, error.detail) == ("MALFORMED_RESPONSE", f"quote.{field}")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("principal", 1_000_000_000),
        ("principal", "1e9"),
        ("principal", "01000000000"),
        ("principal", "١٠"),
        ("nonce", "-1"),
        ("nonce", "1" * 79),
        ("deadline", "1772367300.5"),
        ("borrower", "0x00"),
        ("token", TOKEN + "\n"),
    ],
)
def test_malformed_terms_are_refused_by_name(field: str, value: object) -> None:
    error = refused(body(set_terms(field, value), sign=False))
    assert (error.code, error.detail) == ("MALFORMED_RESPONSE", f"quote.terms.{field}")


def test_a_decline_is_an_answer() -> None:
    declined = {"declined": {"code": "SCORE_TOO_LOW", "message": "..."}}
    assert quote_of(declined, REQUEST, EXPECTED) == Declined("SCORE_TOO_LOW")


@pytest.mark.parametrize("extra", [{}, {"quote": None}, {**body(), "declined": {"code": "A"}}])
def test_neither_or_both_is_no_answer(extra: dict[str, Any]) -> None:
    assert refused(deepcopy(extra)).code == "MALFORMED_RESPONSE"


def quoted() -> Quote:
    quote = quote_of(body(), REQUEST, EXPECTED)
    assert isinstance(quote, Quote)
    return quote


def confirmed(**changes: str) -> dict[str, str]:
    quote = quoted()
    return {
        "quote_id": quote.quote_id,
        "terms_hash": quote.terms_hash,
        "lender_signature": "0x" + "11" * 65,
        **changes,
    }


def test_a_confirmation_of_exactly_these_terms_is_taken_over() -> None:
    confirmation = confirmation_of(confirmed(), quoted())
    assert (confirmation.quote_id, confirmation.terms_hash) == ("qte_1", quoted().terms_hash)
    assert confirmation.lender_signature == "0x" + "11" * 65


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quote_id": "qte_2"}, "TERMS_CHANGED"),
        ({"terms_hash": REFERENCE}, "TERMS_CHANGED"),
        ({"lender_signature": "0x"}, "MALFORMED_RESPONSE"),
        ({"lender_signature": "0x" + "11" * 64}, "MALFORMED_RESPONSE"),
        ({"lender_signature": "11" * 65}, "MALFORMED_RESPONSE"),
    ],
)
def test_a_confirmation_of_something_else_is_refused(changes: dict[str, str], code: str) -> None:
    with pytest.raises(Permanent) as raised:
        confirmation_of(confirmed(**changes), quoted())
    assert raised.value.code == code


def test_what_is_expected_comes_from_the_request_not_from_the_quote() -> None:
    assert refused(body(), replace(REQUEST, borrower=LENDER)).detail == "terms.borrower"
    assert refused(body(), replace(REQUEST, loan_reference="0x" + "00" * 32)).detail == (
        "terms.loan_reference"
    )
    other_venue = replace(REQUEST.venue, token_decimals=18)
    assert refused(body(), replace(REQUEST, venue=other_venue)).detail == "terms.principal"
    assert (
        refused(body(), expected=replace(EXPECTED, lender_address=TOKEN)).detail == "terms.lender"
    )
