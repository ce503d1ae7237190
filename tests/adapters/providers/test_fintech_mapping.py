"""A fintech's offers as payloads: each of its words is held against what was asked."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.chain.eip712 import terms_hash
from adapters.providers.fintech_mapping import (
    MAX_OFFERS,
    confirmation_document,
    offers_request,
    page_of,
    quotes_of,
)
from adapters.providers.quote_check import Expected
from models.domain.errors import Permanent
from models.domain.offer import LoanTerms, Quote
from tests.adapters.providers.borrowing import AGGREGATOR, BORROWER, LENDER, REQUEST, TOKEN

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EXPECTED = Expected("quick", LENDER, terms_hash, NOW)

# 15,000.00 for 36 months at 9.47 %: r = 0.0947 / 12, and 15000 r / (1 - (1 + r)^-36)
# is 480.2839, rounded up to the cent; 36 of them make 17,290.44.
PAYMENT, TOTAL, APR_BPS = 48_029, 1_729_044, 947

Change = Callable[[dict[str, Any]], None]


def offer(offer_id: str = "instant_1", change: Change = lambda _: None) -> dict[str, Any]:
    """A true offer, changed, its terms hashed as a fintech would that means what it says."""
    offered: dict[str, Any] = {
        "offer_id": offer_id,
        "product": "instant",
        "principal_minor": 1_500_000,
        "currency": "USD",
        "months": 36,
        "rate_bps": APR_BPS,
        "fee_minor": 0,
        "instalment_minor": PAYMENT,
        "repay_minor": TOTAL,
        "apr_bps": APR_BPS,
        "valid_until": "2026-03-01T12:15:00+00:00",
        "terms": {
            "loan_reference": REQUEST.loan_reference,
            "lender": LENDER,
            "borrower": BORROWER,
            "token": TOKEN,
            "principal": "15000000000",
            "total_repayable": str(TOTAL * 10_000),
            "apr_bps": APR_BPS,
            "term_months": 36,
            "nonce": "5",
            "deadline": str(int((NOW + timedelta(hours=1)).timestamp())),
        },
    }
    change(offered)
    big = ("principal", "total_repayable", "nonce", "deadline")
    terms = {k: int(v) if k in big else v for k, v in offered["terms"].items()}
    offered["terms_hash"] = terms_hash(LoanTerms(**terms))
    return offered


def quotes(*offers: Any) -> tuple[Quote, ...]:
    return quotes_of([page_of({"offers": list(offers), "next_cursor": None})], REQUEST, EXPECTED)


def test_an_offer_is_taken_over_in_our_words() -> None:
    [quote] = quotes(offer())
    assert (quote.provider_id, quote.quote_id, quote.apr_bps) == ("quick", "instant_1", APR_BPS)
    assert (quote.monthly_payment_minor, quote.total_repayable_minor) == (PAYMENT, TOTAL)
    assert quote.expires_at == "2026-03-01T12:15:00+00:00"
    assert quote.terms.principal == 15_000_000_000


def put(field: str, value: object) -> Change:
    return lambda offered: offered.update({field: value})


def terms(field: str, value: object) -> Change:
    return lambda offered: offered["terms"].update({field: value})


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (put("principal_minor", 1_499_999), "amount_minor"),
        (put("currency", "EUR"), "currency"),
        (put("months", 35), "term_months"),
        (put("rate_bps", APR_BPS + 2), "nominal_rate_bps"),
        (put("fee_minor", TOTAL), "fee_minor"),
        (put("instalment_minor", PAYMENT - 1), "total_repayable_minor"),
        (put("repay_minor", TOTAL + 1), "total_repayable_minor"),
        (put("apr_bps", APR_BPS - 2), "apr_bps"),
        (terms("loan_reference", "0x" + "cd" * 32), "terms.loan_reference"),
        (terms("lender", BORROWER), "terms.lender"),
        (terms("borrower", LENDER), "terms.borrower"),
        (terms("token", AGGREGATOR), "terms.token"),
        (terms("principal", "15000000001"), "terms.principal"),
        (terms("total_repayable", "1"), "terms.total_repayable"),
        (terms("apr_bps", 1), "terms.apr_bps"),
        (terms("term_months", 1), "terms.term_months"),
        (terms("deadline", str(int(NOW.timestamp()))), "terms.deadline"),
    ],
)
def test_another_offer_than_was_asked_for_is_refused_by_field(change: Change, field: str) -> None:
    with pytest.raises(Permanent) as raised:
        quotes(offer(), offer("flex_1", change))
    assert (raised.value.code, raised.value.detail) == ("TERMS_INVALID", field)


def test_an_expired_offer_is_told_from_a_wrong_one() -> None:
    with pytest.raises(Permanent, match="QUOTE_EXPIRED: expires_at"):
        quotes(offer(), offer("flex_1", put("valid_until", "2026-03-01T12:00:00Z")))


def test_another_hash_than_the_terms_have_is_refused() -> None:
    offered = offer()
    offered["terms_hash"] = "0x" + "00" * 32
    with pytest.raises(Permanent, match="TERMS_INVALID: terms_hash"):
        quotes(offered)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("offer_id", "../x"),
        ("principal_minor", "1500000"),
        ("months", 36.0),
        ("rate_bps", True),
        ("instalment_minor", 0),
        ("valid_until", 1_772_367_300),
        ("terms", None),
    ],
)
def test_a_malformed_field_is_refused_by_name(field: str, value: object) -> None:
    offered = {**offer(), field: value}
    with pytest.raises(Permanent) as raised:
        quotes(offered)
    assert raised.value.code == "MALFORMED_RESPONSE"
    assert raised.value.detail == f"offers.0.{field}"


def test_an_offer_listed_again_is_one_and_a_contradiction_none() -> None:
    assert len(quotes(offer(), offer(), offer("flex_1"), offer())) == 2
    with pytest.raises(Permanent, match="TERMS_INVALID: offer_id"):
        quotes(offer(), offer(change=terms("nonce", "6")))


def test_more_offers_than_anybody_has_are_refused() -> None:
    with pytest.raises(Permanent, match="MALFORMED_RESPONSE"):
        quotes(*(offer(f"o_{number}") for number in range(MAX_OFFERS + 1)))


def test_the_request_names_no_person() -> None:
    asked = offers_request(REQUEST)
    assert set(asked) == {
        "partner_reference", "loan_reference", "borrower", "principal_minor", "currency",
        "months", "country", "risk", "settlement",
    }  # fmt: skip


@pytest.mark.parametrize("missing", ["offer_id", "terms_hash", "signature"])
def test_a_confirmation_has_all_of_its_parts(missing: str) -> None:
    whole = {"offer_id": "o", "terms_hash": "0x" + "ab" * 32, "signature": "0x" + "11" * 65}
    assert confirmation_document(whole)["quote_id"] == "o"
    part = deepcopy(whole)
    del part[missing]
    with pytest.raises(Permanent, match=f"MALFORMED_RESPONSE: {missing}"):
        confirmation_document(part)
