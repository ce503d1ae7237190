"""The light banks of the benchmark quote as true banks do, hang, and fail."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.chain import eip712
from adapters.providers.bank_mapping import quote_of, quote_request
from adapters.providers.plugin import utc_now
from adapters.providers.quote_check import Expected
from bench.lenders import Bank, Desk
from bench.providers import FAILING, GOOD, HANGING, plan
from models.domain.offer import Quote
from tests.adapters.lenders import CRITERIA, indicative

TOKEN = {b"authorization": b"Bearer bench-token", b"idempotency-key": b"k" * 16}


def asked(desk: Desk, headers: dict[bytes, bytes] = TOKEN) -> Any:
    return desk.answer(b"/v1/quotes", headers, json.dumps(quote_request(indicative())).encode())


def test_a_good_one_quotes_what_our_adapter_believes() -> None:
    bank = Bank(3, "good", 0)
    status, document = asked(Desk(bank))
    expected = Expected("bank-03", bank.lender_address, eip712.terms_hash, now=utc_now())
    request = indicative()
    quote = quote_of(document, request, expected)
    assert status == 200
    assert isinstance(quote, Quote)
    assert (quote.amount_minor, quote.term_months) == (CRITERIA.amount_minor, CRITERIA.term_months)


def test_it_answers_the_same_to_the_same_key_and_nothing_without_a_token() -> None:
    desk = Desk(Bank(3, "good", 0))
    assert asked(desk) == asked(desk)
    assert asked(desk) != asked(desk, {**TOKEN, b"idempotency-key": b"another"})
    assert asked(desk, {b"idempotency-key": b"k" * 16})[0] == 401


@pytest.mark.parametrize(("mode", "status"), [("hang", None), ("fail", 503)])
def test_others_hang_or_fail(mode: str, status: int | None) -> None:
    reply = asked(Desk(Bank(3, mode, 0)))
    assert (reply and reply[0]) == status


def test_three_of_the_twenty_hang_and_two_fail() -> None:
    modes = [each.mode for each in plan()]
    assert (modes.count("good"), modes.count("hang"), modes.count("fail")) == (15, 3, 2)
    assert (GOOD, HANGING, FAILING) == (15, 3, 2)
    assert max(each.delay_ms for each in plan()) < 400
