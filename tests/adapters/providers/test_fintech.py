"""The fintech over real HTTP: signed requests, pages, acceptances, and abuse of each."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from dataclasses import replace

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from adapters.chain.eip712 import recover, terms_digest, terms_hash
from adapters.http import HTTPCaller
from adapters.providers.fintech import MAX_PAGES, FintechProvider
from adapters.providers.fintech_mapping import offers_request
from adapters.providers.request_signature import RequestSigner
from models.domain.errors import Permanent, Transient, Unavailable
from models.domain.provider import ProviderStatus
from tests.adapters.providers.borrowing import (
    AGGREGATOR,
    BORROWER,
    LENDER,
    LENDER_KEY,
    REQUEST,
    accepted,
)

API_KEY = "key-of-ours"


@pytest.fixture
def lender(counterparty, secret_token):
    """Start (or restart) the fintech, with other settings where a test wants them."""

    def start(**changes):
        return counterparty(
            "fintech",
            **{
                "api_key": API_KEY,
                "signing_secret": secret_token,
                "lender_private_key": LENDER_KEY,
                "steering_secret": "steer",
                **changes,
            },
        )

    return start


@pytest.fixture
def fintech(lender):
    return lender()


def provider_of(client, url, secret, **changes) -> FintechProvider:
    arguments = {
        "signer": RequestSigner(API_KEY, secret),
        "terms_hash": terms_hash,
        "lender_address": LENDER,
        **changes,
    }
    return FintechProvider(HTTPCaller(client, url), "quick", **arguments)


@pytest.fixture
def provider(client, fintech) -> FintechProvider:
    return provider_of(client, fintech.url, fintech.config["signing_secret"])


def effects(fintech) -> list[str]:
    return [line["effect"] for line in fintech.lines("effect")]


async def told(browser, fintech, **do) -> None:
    rule = {"id": "r", "match": {"field": "borrower", "equals": BORROWER}, "do": do}
    if "changed_terms" in do:
        rule["match"] = {"field": "acceptance.borrower", "equals": BORROWER}
    answer = await browser.post(
        f"{fintech.url}/steering",
        json={"rules": [rule]},
        headers={"authorization": "Bearer steer"},
    )
    assert answer.status_code == 201


async def test_its_products_are_checked_offers_of_the_loan_asked_for(provider, fintech) -> None:
    instant, flex = await provider.get_offers(REQUEST)
    # 7.60 % + PD 1.25 % of 45 %, rounded up, + 130 points below 850.
    assert (instant.nominal_rate_bps, instant.fee_minor) == (760 + 57 + 130, 0)
    assert (flex.nominal_rate_bps, flex.fee_minor) == (760 + 57 + 130 - 60, 60_000)
    assert instant.apr_bps == instant.nominal_rate_bps < flex.apr_bps
    for quote in (instant, flex):
        assert (quote.provider_id, quote.terms.lender) == ("quick", LENDER)
        assert quote.terms.principal == 15_000_000_000
        assert quote.terms_hash == terms_hash(quote.terms)
    assert instant.terms.nonce != flex.terms.nonce
    assert [line["key"] for line in fintech.lines("effect")] == ["app_1:offers"]


async def test_pages_are_put_together(client, lender) -> None:
    fintech = lender(page_size=1)
    provider = provider_of(client, fintech.url, fintech.config["signing_secret"])
    assert len(await provider.get_offers(REQUEST)) == 2
    asked = [line["endpoint"] for line in fintech.lines("request")]
    assert asked == ["POST /v2/offers", "GET /v2/offers"]


async def test_asking_again_gives_the_same_offers_and_one_effect(provider, fintech) -> None:
    answers = await asyncio.gather(*(provider.get_offers(REQUEST) for _ in range(5)))
    assert len(set(answers)) == 1
    assert effects(fintech) == ["offers.issued"]


@pytest.mark.parametrize(
    "unwanted",
    [{"score": None, "pd": None}, {"score": 579}, {"amount_minor": 5_000_001}, {"term_months": 61}],
)
async def test_a_loan_it_does_not_want_has_no_offer(provider, fintech, unwanted) -> None:
    assert await provider.get_offers(replace(REQUEST, **unwanted)) == ()
    assert effects(fintech) == ["offers.declined"]


async def test_offers_listed_again_are_one_each(browser, provider, fintech) -> None:
    await told(browser, fintech, duplicate_offers=3)
    assert len(await provider.get_offers(REQUEST)) == 2


async def test_an_offer_may_be_told_to_expire_sooner(browser, provider, fintech) -> None:
    await told(browser, fintech, validity_s=60)
    for quote in await provider.get_offers(REQUEST):
        assert 0 < quote.terms.deadline - 3_600 - time.time() <= 60


async def test_an_acceptance_is_confirmed_by_the_lenders_signature(provider, fintech) -> None:
    instant, _ = await provider.get_offers(REQUEST)
    acceptance = accepted(instant)
    confirm = [provider.accept_offer("acme", "app_1", instant, acceptance) for _ in range(5)]
    [confirmation] = set(await asyncio.gather(*confirm))
    digest = terms_digest(instant.terms, 31337, AGGREGATOR)
    assert recover(digest, confirmation.lender_signature) == LENDER
    assert effects(fintech) == ["offers.issued", "quote.confirmed"]


async def test_one_loan_is_confirmed_under_one_offer_only(provider) -> None:
    instant, flex = await provider.get_offers(REQUEST)
    await provider.accept_offer("acme", "app_1", instant, accepted(instant))
    with pytest.raises(Permanent, match="LOAN_ALREADY_CONFIRMED"):
        await provider.accept_offer("acme", "app_1", flex, accepted(flex))


async def test_terms_changed_at_the_confirmation_are_refused(browser, provider, fintech) -> None:
    instant, _ = await provider.get_offers(REQUEST)
    await told(browser, fintech, changed_terms=True)
    with pytest.raises(Permanent) as raised:
        await provider.accept_offer("acme", "app_1", instant, accepted(instant))
    assert raised.value.code == "TERMS_CHANGED"


async def test_an_expired_offer_is_not_confirmed(browser, client, lender) -> None:
    fintech = lender()
    provider = provider_of(client, fintech.url, fintech.config["signing_secret"])
    await told(browser, fintech, validity_s=0.5)
    instant, _ = await provider.get_offers(REQUEST)
    await asyncio.sleep(0.6)
    with pytest.raises(Permanent) as raised:
        await provider.accept_offer("acme", "app_1", instant, accepted(instant))
    assert raised.value.code == "QUOTE_EXPIRED"


async def test_a_restarted_fintech_forgets_nothing(client, lender) -> None:
    fintech = lender(page_size=1)
    provider = provider_of(client, fintech.url, fintech.config["signing_secret"])
    offers = await provider.get_offers(REQUEST)
    acceptance = accepted(offers[0])
    confirmed = await provider.accept_offer("acme", "app_1", offers[0], acceptance)
    fintech.stop()
    again = lender(page_size=1)
    provider = provider_of(client, again.url, again.config["signing_secret"])
    assert await provider.get_offers(REQUEST) == offers
    assert await provider.accept_offer("acme", "app_1", offers[0], acceptance) == confirmed


async def test_a_fintech_that_lends_from_another_address_is_not_passed_on(client, fintech) -> None:
    secret = fintech.config["signing_secret"]
    provider = provider_of(client, fintech.url, secret, lender_address=BORROWER)
    with pytest.raises(Permanent) as raised:
        await provider.get_offers(REQUEST)
    assert (raised.value.code, raised.value.detail) == ("TERMS_INVALID", "terms.lender")


# Signed requests.


def clock(offset_s: float):
    return lambda: time.time() + offset_s


@pytest.mark.parametrize(
    ("signer", "code"),
    [
        (lambda secret: RequestSigner("other-key", secret), "KEY_UNKNOWN"),
        (lambda secret: RequestSigner(API_KEY, secret + "x"), "SIGNATURE_INVALID"),
        (lambda secret: RequestSigner(API_KEY, secret, now=clock(-310)), "REQUEST_STALE"),
        (lambda secret: RequestSigner(API_KEY, secret, now=clock(310)), "REQUEST_STALE"),
        (lambda secret: RequestSigner(API_KEY, secret, nonce=lambda: "short"), "SIGNATURE_INVALID"),
    ],
    ids=["key", "secret", "late", "early", "nonce"],
)
async def test_a_request_that_is_not_genuine_is_ours_to_repair(
    client, fintech, signer, code
) -> None:
    secret = fintech.config["signing_secret"]
    provider = provider_of(client, fintech.url, secret, signer=signer(secret))
    with pytest.raises(Transient) as raised:
        await provider.get_offers(REQUEST)
    assert raised.value.code == "CREDENTIALS_REFUSED"
    assert code in raised.value.detail
    assert effects(fintech) == []
    assert secret not in str(raised.value)


async def test_a_request_counts_once(client, fintech) -> None:
    secret = fintech.config["signing_secret"]
    same = RequestSigner(API_KEY, secret, nonce=lambda: "ab" * 16)
    provider = provider_of(client, fintech.url, secret, signer=same)
    await provider.get_offers(REQUEST)
    with pytest.raises(Transient, match="REQUEST_REPLAYED"):
        await provider.get_offers(REQUEST)


async def test_a_forged_request_does_not_use_up_anothers_nonce(client, fintech) -> None:
    secret = fintech.config["signing_secret"]
    forger = RequestSigner(API_KEY, "guess", nonce=lambda: "cd" * 16)
    with pytest.raises(Transient, match="SIGNATURE_INVALID"):
        await provider_of(client, fintech.url, secret, signer=forger).get_offers(REQUEST)
    ours = RequestSigner(API_KEY, secret, nonce=lambda: "cd" * 16)
    assert await provider_of(client, fintech.url, secret, signer=ours).get_offers(REQUEST)


@pytest.mark.parametrize("change", ["method", "query", "path", "body", "timestamp", "nonce"])
async def test_everything_that_matters_is_signed(browser, fintech, change: str) -> None:
    secret = fintech.config["signing_secret"]
    stamp, nonce, body = str(int(time.time())), "ef" * 16, b'{"a":1}'
    signed = {
        "method": "POST", "target": "/v2/offers", "timestamp": stamp, "nonce": nonce, "body": body,
    }  # fmt: skip
    other = {
        "method": {"method": "GET"},
        "query": {"target": "/v2/offers?cursor=x"},
        "path": {"target": "/v2/offers/"},
        "body": {"body": b'{"a":2}'},
        "timestamp": {"timestamp": str(int(stamp) - 1)},
        "nonce": {"nonce": "ff" * 16},
    }[change]
    of = {**signed, **other}
    digest = hashlib.sha256(of["body"]).hexdigest()
    # Written out here as the fintech's documentation has it, not by the code under test.
    text = f"v1\n{of['method']}\n{of['target']}\n{of['timestamp']}\n{of['nonce']}\n{digest}"
    headers = {
        "x-api-key": API_KEY,
        "x-timestamp": stamp,
        "x-nonce": nonce,
        "x-signature": hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest(),
    }
    answer = await browser.post(f"{fintech.url}/v2/offers", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "SIGNATURE_INVALID")


async def test_the_genuine_text_is_admitted(browser, fintech) -> None:
    signer = RequestSigner(API_KEY, fintech.config["signing_secret"])
    headers = signer("POST", "/v2/offers", b"{}")
    answer = await browser.post(f"{fintech.url}/v2/offers", content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "REQUEST_MALFORMED")


async def test_the_log_holds_no_secret(provider, fintech) -> None:
    instant, _ = await provider.get_offers(REQUEST)
    await provider.accept_offer("acme", "app_1", instant, accepted(instant))
    log = fintech.log.read_text()
    for secret in (fintech.config["signing_secret"], LENDER_KEY[2:], API_KEY):
        assert secret not in log


# Pages of a fintech that has lost its way.


def paging(serve, page):
    """A fintech whose every page is `page(cursor)`; a first page has no cursor."""
    asked: list[str | None] = []

    async def answer(request):
        asked.append(request.query_params.get("cursor"))
        return JSONResponse(page(asked[-1]))

    return serve(Starlette(routes=[Route("/v2/offers", answer, methods=["GET", "POST"])])), asked


@pytest.mark.parametrize(
    ("page", "detail", "requests"),
    [
        (lambda _: {"offers": [], "next_cursor": "again"}, "a cursor came twice", 2),
        (
            lambda cursor: {"offers": [], "next_cursor": f"{cursor or ''}x"},
            f"over {MAX_PAGES} pages",
            MAX_PAGES,
        ),
        (lambda _: {"offers": [], "next_cursor": "../admin"}, "next_cursor", 1),
        (lambda _: {"offers": [], "next_cursor": "a&b=c"}, "next_cursor", 1),
        (lambda _: {"offers": [], "next_cursor": 7}, "next_cursor", 1),
        (lambda _: {"offers": []}, "next_cursor", 1),
        (lambda _: {"offers": {}, "next_cursor": None}, "offers", 1),
        (lambda _: {"next_cursor": None}, "offers", 1),
    ],
    ids=["loop", "endless", "path", "query", "number", "absent", "object", "no offers"],
)
async def test_a_lost_fintech_is_followed_no_further(
    client, serve, page, detail: str, requests: int
) -> None:
    server, asked = paging(serve, page)
    with pytest.raises(Permanent) as raised:
        await provider_of(client, server.url, "s").get_offers(REQUEST)
    assert (raised.value.code, raised.value.detail) == ("MALFORMED_RESPONSE", detail)
    assert len(asked) == requests


async def test_one_bad_offer_discredits_the_lender(client, serve, provider, fintech) -> None:
    await provider.get_offers(REQUEST)
    signer = RequestSigner(API_KEY, fintech.config["signing_secret"])
    answer = await HTTPCaller(client, fintech.url).call(
        "POST",
        "/v2/offers",
        json=offers_request(REQUEST),
        headers={"idempotency-key": "app_1:offers"},
        sign=signer,
    )
    true = dict(answer.body)
    server, _ = paging(serve, lambda _: true)
    assert len(await provider_of(client, server.url, "s").get_offers(REQUEST)) == 2
    true["offers"][1]["repay_minor"] += 1
    with pytest.raises(Permanent, match=r"TERMS_INVALID: total_repayable_minor"):
        await provider_of(client, server.url, "s").get_offers(REQUEST)


async def test_status_is_whether_it_answers(provider, fintech) -> None:
    assert await provider.get_status() is ProviderStatus.ACTIVE
    fintech.stop()
    assert await provider.get_status() is ProviderStatus.INACTIVE
    with pytest.raises(Unavailable):
        await provider.get_offers(REQUEST)


@pytest.mark.parametrize(
    "cursor", ["", "x", "W10", "WyJhcHBfMjpvZmZlcnMiLDBd", "WzEsMF0", "WyJhIl0"]
)
async def test_a_cursor_it_never_gave_is_refused(client, fintech, cursor: str) -> None:
    signer = RequestSigner(API_KEY, fintech.config["signing_secret"])
    target = f"/v2/offers?cursor={cursor}"
    async with httpx.AsyncClient(trust_env=False) as plain:
        answer = await plain.get(fintech.url + target, headers=signer("GET", target, b""))
    assert (answer.status_code, answer.json()["code"]) == (400, "CURSOR_UNKNOWN")
