"""The bank over SOAP and real HTTP: quotes, acceptances, faults, and who may ask at all."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from adapters.chain.eip712 import recover, terms_digest, terms_hash
from adapters.http import HTTPCaller
from adapters.providers import soap_bank
from adapters.providers.soap_bank import ACCEPTANCES, QUOTES, WSDL, SOAPBankProvider
from adapters.providers.soap_messages import Messages, UsernameDigest
from adapters.providers.soap_xml import Schema, parsed
from models.domain.errors import Permanent, Transient, Unavailable
from models.domain.provider import ProviderStatus
from sandbox.counterparties.soap_bank_door import Door
from tests.adapters.providers.borrowing import (
    AGGREGATOR,
    BORROWER,
    LENDER,
    LENDER_KEY,
    REQUEST,
    TOKEN,
    accepted,
)

USERNAME = "caas"
MESSAGES = Messages(WSDL)


@pytest.fixture
def lender(counterparty, secret_token):
    """Start (or restart) the bank, with other settings where a test wants them."""

    def start(**changes):
        settings = {
            "username": USERNAME,
            "password": secret_token,
            "lender_private_key": LENDER_KEY,
            "steering_secret": "steer",
            **changes,
        }
        return counterparty("soap_bank", **settings)

    return start


@pytest.fixture
def bank(lender):
    return lender()


def provider_of(client, url, password, **changes) -> SOAPBankProvider:
    arguments = {"terms_hash": terms_hash, "lender_address": LENDER, **changes}
    credentials = UsernameDigest(arguments.pop("username", USERNAME), password)
    return SOAPBankProvider(
        HTTPCaller(client, url), "soap-bank", MESSAGES, credentials, **arguments
    )


@pytest.fixture
def provider(client, bank) -> SOAPBankProvider:
    return provider_of(client, bank.url, bank.config["password"])


def effects(bank) -> list[str]:
    return [line["effect"] for line in bank.lines("effect")]


async def told(browser, bank, endpoint: str, **do) -> None:
    rule = {"id": "r", "match": {"endpoint": f"POST {endpoint}"}, "do": do}
    headers = {"authorization": "Bearer steer"}
    answer = await browser.post(f"{bank.url}/steering", json={"rules": [rule]}, headers=headers)
    assert answer.status_code == 201


async def test_a_quote_is_what_was_asked_for(provider, bank) -> None:
    [quote] = await provider.get_offers(REQUEST)
    assert (quote.provider_id, quote.amount_minor, quote.term_months) == (
        "soap-bank",
        1_500_000,
        36,
    )
    assert quote.terms.principal == 15_000_000_000
    # As the bank over REST prices it: test_bank.py reckons these by hand.
    assert (quote.nominal_rate_bps, quote.fee_minor) == (450 + 57 + 130 + 72, 15_000)
    assert quote.monthly_payment_minor * 36 == quote.total_repayable_minor
    assert quote.apr_bps > quote.nominal_rate_bps
    assert quote.terms_hash == terms_hash(quote.terms)
    assert [line["key"] for line in bank.lines("effect")] == ["app_1:quote"]


async def test_asking_again_gives_the_same_quote_and_one_effect(provider, bank) -> None:
    answers = await asyncio.gather(*(provider.get_offers(REQUEST) for _ in range(5)))
    assert len(set(answers)) == 1
    assert effects(bank) == ["quote.issued"]
    [anew] = await provider.get_offers(replace(REQUEST, round=2))
    assert anew.quote_id != answers[0][0].quote_id


async def test_the_same_key_with_another_request_is_refused(provider, bank) -> None:
    await provider.get_offers(REQUEST)
    with pytest.raises(Permanent, match="REQUEST_ID_REUSED") as raised:
        await provider.get_offers(replace(REQUEST, amount_minor=1_500_001))
    assert raised.value.code == "PROVIDER_REFUSED"
    assert effects(bank) == ["quote.issued"]


@pytest.mark.parametrize(
    "unwanted", [{"score": 559}, {"amount_minor": 49_999}, {"term_months": 61}]
)
async def test_a_loan_the_bank_does_not_want_has_no_quote(provider, bank, unwanted) -> None:
    assert await provider.get_offers(replace(REQUEST, **unwanted)) == ()
    assert effects(bank) == ["quote.declined"]


async def test_a_loan_that_no_model_scored_is_asked_for_without_a_score(provider) -> None:
    [quote] = await provider.get_offers(replace(REQUEST, score=None, pd=None))
    # The worst it lends to: 45 % of a PD of 10 %, which as a float is a little more, rounded up.
    assert quote.nominal_rate_bps == 450 + 451 + 290 + 72


async def test_an_acceptance_is_confirmed_by_the_lender_s_signature(provider, bank) -> None:
    [quote] = await provider.get_offers(REQUEST)
    acceptance = accepted(quote)
    accept = [provider.accept_offer("acme", "app_1", quote, acceptance) for _ in range(5)]
    [confirmation] = set(await asyncio.gather(*accept))
    digest = terms_digest(quote.terms, 31337, AGGREGATOR)
    assert recover(digest, confirmation.lender_signature) == LENDER
    assert effects(bank) == ["quote.issued", "quote.confirmed"]


async def test_an_expired_quote_is_not_confirmed(browser, provider, bank) -> None:
    await told(browser, bank, QUOTES, validity_s=0.2)
    [quote] = await provider.get_offers(REQUEST)
    await asyncio.sleep(0.3)
    with pytest.raises(Permanent) as raised:
        await provider.accept_offer("acme", "app_1", quote, accepted(quote))
    assert raised.value.code == "QUOTE_EXPIRED"
    assert effects(bank) == ["quote.issued"]


async def test_other_terms_than_quoted_are_not_confirmed(browser, provider, bank) -> None:
    [quote] = await provider.get_offers(REQUEST)
    tampered = replace(quote, terms_hash="0x" + "00" * 32)
    with pytest.raises(Permanent) as raised:
        await provider.accept_offer("acme", "app_1", tampered, accepted(tampered))
    assert raised.value.code == "TERMS_CHANGED"
    await told(browser, bank, ACCEPTANCES, changed_terms=True)
    with pytest.raises(Permanent) as raised:
        await provider.accept_offer("acme", "app_1", quote, accepted(quote))
    assert raised.value.code == "TERMS_CHANGED"


async def test_the_bank_itself_checks_the_borrower_s_signature(provider, bank) -> None:
    [quote] = await provider.get_offers(REQUEST)
    with pytest.raises(Permanent, match="ACCEPTANCE_SIGNATURE_INVALID"):
        await provider.accept_offer("acme", "app_1", quote, accepted(quote, key=LENDER_KEY))
    assert effects(bank) == ["quote.issued"]


async def test_one_loan_is_confirmed_under_one_quote_only(provider, bank) -> None:
    [first] = await provider.get_offers(REQUEST)
    [second] = await provider.get_offers(replace(REQUEST, round=2))
    await provider.accept_offer("acme", "app_1", first, accepted(first))
    with pytest.raises(Permanent, match="LOAN_ALREADY_CONFIRMED"):
        await provider.accept_offer("acme", "app_1", second, accepted(second))
    assert effects(bank).count("quote.confirmed") == 1


async def test_a_restarted_bank_forgets_nothing(client, provider, bank, lender) -> None:
    [quote] = await provider.get_offers(REQUEST)
    acceptance = accepted(quote)
    confirmation = await provider.accept_offer("acme", "app_1", quote, acceptance)
    bank.stop()
    restarted = lender()
    provider = provider_of(client, restarted.url, restarted.config["password"])
    assert await provider.get_offers(REQUEST) == (quote,)
    assert await provider.accept_offer("acme", "app_1", quote, acceptance) == confirmation


async def test_a_bank_that_lends_from_another_address_is_not_passed_on(client, bank) -> None:
    provider = provider_of(client, bank.url, bank.config["password"], lender_address=BORROWER)
    with pytest.raises(Permanent) as raised:
        await provider.get_offers(REQUEST)
    assert (raised.value.code, raised.value.detail) == ("TERMS_INVALID", "terms.lender")


async def test_wrong_credentials_are_for_us_to_repair(client, bank) -> None:
    for changes in ({"password": "wrong-secret"}, {"username": "somebody"}):
        arguments = {"password": bank.config["password"], **changes}
        with pytest.raises(Transient) as raised:
            await provider_of(client, bank.url, **arguments).get_offers(REQUEST)
        assert (type(raised.value), raised.value.code) == (Transient, "CREDENTIALS_REFUSED")
        assert "wrong-secret" not in str(raised.value)
    assert effects(bank) == []


async def test_the_bank_s_log_holds_no_secret(provider, bank) -> None:
    [quote] = await provider.get_offers(REQUEST)
    await provider.accept_offer("acme", "app_1", quote, accepted(quote))
    log = bank.log.read_text()
    assert LENDER_KEY[2:] not in log
    assert bank.config["password"] not in log


async def test_status_is_whether_it_answers(provider, bank) -> None:
    assert await provider.get_status() is ProviderStatus.ACTIVE
    bank.stop()
    assert await provider.get_status() is ProviderStatus.INACTIVE
    with pytest.raises(Unavailable):
        await provider.get_offers(REQUEST)


# The token of WS-Security, written out here as its profile has it and not by the code under test.


def token(envelope: bytes) -> dict[str, str]:
    root = parsed(envelope)
    found = {e.tag.rpartition("}")[2]: e.text for e in root.iter() if "oasis" in str(e.tag)}
    return {name: text or "" for name, text in found.items()}


def test_the_password_is_digested_with_a_fresh_nonce() -> None:
    sent = [MESSAGES.request("AcceptQuote", ACCEPT, UsernameDigest("me", "pa ss")) for _ in "ab"]
    first, second = map(token, sent)
    assert first["Nonce"] != second["Nonce"]
    text = base64.b64decode(first["Nonce"]) + first["Created"].encode() + b"pa ss"
    assert base64.b64decode(first["Password"]) == hashlib.sha1(text).digest()
    assert first["Created"].endswith("Z")
    assert b"pa ss" not in sent[0]


def test_a_stolen_message_is_good_for_nothing() -> None:
    now = [0.0]
    door = Door("me", "secret", now=lambda: now[0])
    message = MESSAGES.request("AcceptQuote", ACCEPT, UsernameDigest("me", "secret"))
    now[0] = _moment(token(message)["Created"])
    envelope = parsed(message)
    assert door.admits(envelope)
    assert not door.admits(envelope)
    now[0] += 301
    assert not Door("me", "secret", now=lambda: now[0]).admits(envelope)
    assert not door.admits(parsed(message.replace(b"PasswordDigest", b"PasswordText")))


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


ACCEPT: dict[str, Any] = {
    "RequestId": "k",
    "QuoteId": "q",
    "TermsHash": "0x" + "ab" * 32,
    "Acceptance": {
        "TermsHash": "0x" + "ab" * 32,
        "Borrower": BORROWER,
        "Nonce": "1",
        "Deadline": "2",
        "Signature": "0x" + "ab" * 65,
    },
}


# A bank that has lost its way.


def envelope(content: str) -> bytes:
    body = f"<s:Body>{content}</s:Body>"
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">{body}</s:Envelope>'
    ).encode()


def declined(code: str) -> str:
    return (
        '<RequestQuoteResponse xmlns="urn:lending:bank:v1"><Declined>'
        f"<Code>{code}</Code></Declined></RequestQuoteResponse>"
    )


def refused(kind: str, code: str | None = None) -> bytes:
    detail = (
        f'<detail><Refused xmlns="urn:lending:bank:v1"><Code>{code}</Code></Refused></detail>'
        if code
        else ""
    )
    text = "<faultstring>no</faultstring>"
    return envelope(f"<s:Fault><faultcode>{kind}</faultcode>{text}{detail}</s:Fault>")


def answering(serve, raw: bytes, status: int = 200, media_type: str = "text/xml"):
    async def answer(_):
        return Response(raw, status, media_type=media_type)

    return serve(Starlette(routes=[Route(QUOTES, answer, methods=["POST"])]))


BOMB = (
    b'<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>' + envelope(declined("&b;"))
).replace(b'<?xml version="1.0" encoding="utf-8"?>', b"")
OUTSIDE = b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd">' + envelope(declined("NO"))[38:]

MALFORMED = {
    "entities": (BOMB, "a document type"),
    "external document type": (OUTSIDE, "a document type"),
    "unclosed": (envelope(declined("NO"))[:-4], "not well-formed"),
    "empty": (b"", "not well-formed"),
    "other encoding": (envelope(declined("NO")).decode().encode("utf-16"), "not well-formed"),
    "undeclared entity": (envelope(declined("&a;")), "not well-formed"),
    "deep": (envelope("<a>" * 200 + "</a>" * 200), "over 24 elements deep"),
    "no envelope": (b"<surprise/>", "no SOAP 1.1 envelope"),
    "empty body": (envelope(""), "not one element in one body"),
    "two bodies": (envelope(declined("NO") * 2), "not one element in one body"),
    "another operation": (
        envelope('<AcceptQuoteResponse xmlns="urn:lending:bank:v1"/>'),
        "the answer to another operation",
    ),
    "wrong type": (envelope(declined("not a code")), "Code"),
    "unknown element": (envelope(declined("NO</Code><Extra/><Code>B")), "Extra"),
    "nothing in it": (
        envelope('<RequestQuoteResponse xmlns="urn:lending:bank:v1"/>'),
        "RequestQuoteResponse",
    ),
    "other namespace": (
        envelope(declined("NO").replace("urn:lending:bank:v1", "urn:other")),
        "RequestQuoteResponse",
    ),
}


@pytest.mark.parametrize(("raw", "detail"), MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_answer_is_permanent(client, serve, raw, detail) -> None:
    server = answering(serve, raw)
    with pytest.raises(Permanent) as raised:
        await provider_of(client, server.url, "s").get_offers(REQUEST)
    assert (raised.value.code, raised.value.detail) == ("MALFORMED_RESPONSE", detail)


@pytest.mark.parametrize(
    ("raw", "status", "kind", "code"),
    [
        (refused("s:Client", "ANY"), 500, soap_bank.LenderRefused, "PROVIDER_REFUSED"),
        (refused("s:Client"), 500, soap_bank.LenderRefused, "PROVIDER_REFUSED"),
        (refused("s:Client", "ANY"), 200, soap_bank.LenderRefused, "PROVIDER_REFUSED"),
        (refused("s:Server", "LEDGER_CLOSED"), 500, soap_bank.LenderRefused, "PROVIDER_REFUSED"),
        (refused("s:Server"), 500, soap_bank.RetryLater, "UPSTREAM_BUSY"),
        (refused("wsse:FailedAuthentication"), 500, Transient, "CREDENTIALS_REFUSED"),
        (refused("wsse:InvalidSecurity"), 500, Transient, "CREDENTIALS_REFUSED"),
        (refused("s:Client", "not a code"), 500, soap_bank.RetryLater, "UPSTREAM_BUSY"),
        (b"<html>", 500, soap_bank.RetryLater, "UPSTREAM_BUSY"),
        (refused("s:Server"), 503, soap_bank.RetryLater, "UPSTREAM_BUSY"),
        (envelope(declined("NO")), 500, Permanent, "MALFORMED_RESPONSE"),
        (b"", 401, Transient, "CREDENTIALS_REFUSED"),
        (b"", 404, soap_bank.LenderRefused, "PROVIDER_REFUSED"),
    ],
)
async def test_faults_are_told_apart(client, serve, raw, status, kind, code) -> None:
    server = answering(serve, raw, status)
    with pytest.raises((Permanent, Transient)) as raised:
        await provider_of(client, server.url, "s").get_offers(REQUEST)
    assert (type(raised.value), raised.value.code) == (kind, code)


async def test_only_xml_is_read(client, serve) -> None:
    server = answering(serve, envelope(declined("NO")), media_type="text/html")
    with pytest.raises(Permanent) as raised:
        await provider_of(client, server.url, "s").get_offers(REQUEST)
    assert raised.value.detail == "not of type text/xml"
    server = answering(serve, envelope(declined("NO")))
    assert await provider_of(client, server.url, "s").get_offers(REQUEST) == ()


async def test_the_bank_refuses_a_malformed_request(browser, bank) -> None:
    for raw in (b"<a/>", BOMB, envelope('<RequestQuote xmlns="urn:lending:bank:v1"/>')):
        answer = await browser.post(bank.url + QUOTES, content=raw)
        assert answer.status_code == 500
        assert "REQUEST_MALFORMED" in answer.text
    assert effects(bank) == []


async def test_every_message_of_the_bank_follows_the_contract(browser, provider, bank) -> None:
    [quote] = await provider.get_offers(REQUEST)
    credentials = UsernameDigest(USERNAME, bank.config["password"])
    wrong = {**ACCEPT, "QuoteId": quote.quote_id}
    message = MESSAGES.request("AcceptQuote", wrong, credentials)
    answer = await browser.post(bank.url + ACCEPTANCES, content=message)
    detail = parsed(answer.content).find(".//detail")
    Schema(WSDL).check(detail[0])
    assert detail.findtext("{urn:lending:bank:v1}Refused/{urn:lending:bank:v1}Code") == (
        "TERMS_MISMATCH"
    )
    assert TOKEN not in json.dumps(bank.lines("refused"))


def test_the_contract_refers_to_nothing_outside(monkeypatch) -> None:
    """Loading it opens no connection and no other file."""
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("it connects"))
    Messages(WSDL)
    text = WSDL.read_text()
    assert "import" not in text.replace("imported", "")
    assert "include" not in text
