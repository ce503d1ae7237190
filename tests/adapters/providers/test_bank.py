"""The bank over real HTTP: quotes, acceptances, tokens, and a bank that forgets nothing."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict, replace

import httpx
import pytest

from adapters.chain.eip712 import (
    address_of,
    recover,
    sign_acceptance,
    terms_digest,
    terms_hash,
)
from adapters.http import HTTPCaller
from adapters.providers.bank import BankProvider
from adapters.providers.client_credentials import ClientCredentials
from models.domain.errors import Permanent, Transient, Unavailable
from models.domain.offer import Acceptance, Quote, QuoteRequest, SettlementVenue
from models.domain.provider import ProviderStatus

LENDER_KEY = "0x" + "2b" * 32
BORROWER_KEY = "0x" + "3c" * 32
LENDER, BORROWER = address_of(LENDER_KEY), address_of(BORROWER_KEY)
TOKEN = "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB"
AGGREGATOR = "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb"

REQUEST = QuoteRequest(
    tenant_id="acme",
    application_id="app_1",
    loan_reference="0x" + "ab" * 32,
    borrower=BORROWER,
    amount_minor=1_500_000,
    currency="USD",
    term_months=36,
    jurisdiction="US",
    score=720,
    pd=0.0125,
    venue=SettlementVenue(31337, AGGREGATOR, TOKEN, 6),
)


@pytest.fixture
def lender(counterparty, secret_token):
    """Start (or restart) the bank, with other settings where a test wants them."""

    def start(**changes):
        settings = {
            "client_id": "caas",
            "client_secret": secret_token,
            "lender_private_key": LENDER_KEY,
            **changes,
        }
        return counterparty("bank", **settings)

    return start


@pytest.fixture
def bank(lender):
    return lender()


def provider_of(client, bank, **changes) -> BankProvider:
    arguments = {
        "provider_id": "first-bank",
        "client_id": "caas",
        "client_secret": bank.config["client_secret"],
        "terms_hash": terms_hash,
        "lender_address": LENDER,
        **changes,
    }
    return BankProvider(HTTPCaller(client, bank.url), **arguments)


@pytest.fixture
def provider(client, bank) -> BankProvider:
    return provider_of(client, bank)


def accepted(quote: Quote, **changes) -> Acceptance:
    """The borrower's acceptance, signed over what `changes` make of it."""
    fields = {
        "terms_hash": quote.terms_hash,
        "borrower": BORROWER,
        "nonce": 7,
        "deadline": int(time.time()) + 600,
        "key": BORROWER_KEY,
        "aggregator": AGGREGATOR,
        **changes,
    }
    key, aggregator = fields.pop("key"), fields.pop("aggregator")
    signature = sign_acceptance(**fields, chain_id=31337, aggregator=aggregator, private_key=key)
    return Acceptance(**fields, signature=signature)


def effects(bank) -> list[str]:
    return [line["effect"] for line in bank.lines("effect")]


def requests(bank, endpoint: str) -> int:
    return sum(line["endpoint"] == endpoint for line in bank.lines("request"))


async def test_a_quote_is_what_was_asked_for(provider, bank) -> None:
    [quote] = await provider.get_offers(REQUEST)
    assert (quote.provider_id, quote.amount_minor, quote.term_months) == (
        "first-bank",
        1_500_000,
        36,
    )
    assert quote.terms.principal == 15_000_000_000
    assert quote.terms.total_repayable == quote.total_repayable_minor * 10_000
    assert quote.monthly_payment_minor * 36 == quote.total_repayable_minor
    # 4.50 % + PD 1.25 % of 45 % + 130 points below 850 + 36 months of 2 bps, and 1 % of fee.
    assert (quote.nominal_rate_bps, quote.fee_minor) == (450 + 57 + 130 + 72, 15_000)
    assert quote.apr_bps > quote.nominal_rate_bps
    assert quote.terms_hash == terms_hash(quote.terms)
    assert [line["key"] for line in bank.lines("effect")] == ["app_1:quote"]


async def test_asking_again_gives_the_same_quote_and_one_effect(provider, bank) -> None:
    answers = await asyncio.gather(*(provider.get_offers(REQUEST) for _ in range(5)))
    assert len(set(answers)) == 1
    assert effects(bank) == ["quote.issued"]
    attempts = [r["attempt"] for r in bank.lines("request") if r["endpoint"] == "POST /v1/quotes"]
    assert attempts == [1, 2, 3, 4, 5]


async def test_the_same_application_with_another_request_is_refused(provider, bank) -> None:
    await provider.get_offers(REQUEST)
    with pytest.raises(Permanent) as raised:
        await provider.get_offers(replace(REQUEST, amount_minor=1_500_001))
    assert raised.value.code == "PROVIDER_REFUSED"
    assert "422, IDEMPOTENCY_KEY_REUSED" in raised.value.detail
    assert effects(bank) == ["quote.issued"]


@pytest.mark.parametrize(
    "unwanted",
    [
        {"score": 559},
        {"amount_minor": 49_999},
        {"amount_minor": 10_000_001},
        {"term_months": 61},
    ],
)
async def test_a_loan_the_bank_does_not_want_has_no_quote(provider, bank, unwanted) -> None:
    assert await provider.get_offers(replace(REQUEST, **unwanted)) == ()
    assert effects(bank) == ["quote.declined"]


async def test_a_bank_that_lends_from_another_address_is_not_passed_on(client, bank) -> None:
    provider = provider_of(client, bank, lender_address=BORROWER)
    with pytest.raises(Permanent) as raised:
        await provider.get_offers(REQUEST)
    assert (raised.value.code, raised.value.detail) == ("TERMS_INVALID", "terms.lender")


async def test_an_acceptance_is_confirmed_by_the_lender_s_signature(provider, bank) -> None:
    [quote] = await provider.get_offers(REQUEST)
    confirmation = await provider.accept_offer("acme", "app_1", quote, accepted(quote))
    assert confirmation.terms_hash == quote.terms_hash
    digest = terms_digest(quote.terms, 31337, AGGREGATOR)
    assert recover(digest, confirmation.lender_signature) == LENDER
    assert effects(bank) == ["quote.issued", "quote.confirmed"]
    assert bank.lines("effect")[1]["key"] == f"app_1:accept:{quote.quote_id}"


async def test_accepting_again_gives_the_same_confirmation_and_one_effect(provider, bank) -> None:
    [quote] = await provider.get_offers(REQUEST)
    acceptance = accepted(quote)
    accept = [provider.accept_offer("acme", "app_1", quote, acceptance) for _ in range(5)]
    assert len(set(await asyncio.gather(*accept))) == 1
    assert effects(bank).count("quote.confirmed") == 1


async def test_an_expired_quote_is_not_confirmed(client, lender, eventually) -> None:
    bank = lender(quote_validity_s=1)
    provider = provider_of(client, bank)
    [quote] = await provider.get_offers(REQUEST)
    expires_at = json.loads(bank.log.read_text().splitlines()[-1])["answer"]["quote"]["expires_at"]
    assert expires_at.endswith("+00:00")
    await asyncio.sleep(1.1)
    with pytest.raises(Permanent) as raised:
        await provider.accept_offer("acme", "app_1", quote, accepted(quote))
    assert raised.value.code == "QUOTE_EXPIRED"
    assert effects(bank) == ["quote.issued"]


async def test_a_confirmation_outlives_its_quote(client, lender) -> None:
    bank = lender(quote_validity_s=1)
    provider = provider_of(client, bank)
    [quote] = await provider.get_offers(REQUEST)
    acceptance = accepted(quote)
    confirmation = await provider.accept_offer("acme", "app_1", quote, acceptance)
    await asyncio.sleep(1.1)
    # The answer was lost on its way and is asked for again after the expiry.
    assert await provider.accept_offer("acme", "app_1", quote, acceptance) == confirmation


async def test_other_terms_than_quoted_are_not_confirmed(provider, bank) -> None:
    [quote] = await provider.get_offers(REQUEST)
    tampered = replace(quote, terms=replace(quote.terms, total_repayable=1))
    tampered = replace(tampered, terms_hash=terms_hash(tampered.terms))
    with pytest.raises(Permanent) as raised:
        await provider.accept_offer("acme", "app_1", tampered, accepted(tampered))
    assert raised.value.code == "TERMS_CHANGED"
    assert effects(bank) == ["quote.issued"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"key": LENDER_KEY}, "ACCEPTANCE_SIGNATURE_INVALID"),
        ({"aggregator": TOKEN}, "ACCEPTANCE_SIGNATURE_INVALID"),
        ({"borrower": LENDER, "key": LENDER_KEY}, "ACCEPTANCE_SIGNATURE_INVALID"),
        ({"deadline": 1_700_000_000}, "ACCEPTANCE_EXPIRED"),
    ],
)
async def test_the_bank_itself_checks_the_borrower_s_signature(
    provider, bank, changes, code
) -> None:
    [quote] = await provider.get_offers(REQUEST)
    with pytest.raises(Permanent) as raised:
        await provider.accept_offer("acme", "app_1", quote, accepted(quote, **changes))
    assert raised.value.code == "PROVIDER_REFUSED"
    assert code in raised.value.detail
    assert effects(bank) == ["quote.issued"]
    # A right acceptance under the same key is not held back by the wrong one.
    await provider.accept_offer("acme", "app_1", quote, accepted(quote))


async def test_a_quote_of_another_bank_is_refused(provider) -> None:
    [quote] = await provider.get_offers(REQUEST)
    foreign = replace(quote, quote_id="qte_unknown")
    with pytest.raises(Permanent) as raised:
        await provider.accept_offer("acme", "app_1", foreign, accepted(quote))
    assert raised.value.code == "PROVIDER_REFUSED"


async def test_one_loan_is_confirmed_under_one_quote_only(provider, bank) -> None:
    [first] = await provider.get_offers(REQUEST)
    [second] = await provider.get_offers(replace(REQUEST, application_id="app_2"))
    assert first.terms.nonce != second.terms.nonce
    await provider.accept_offer("acme", "app_1", first, accepted(first))
    with pytest.raises(Permanent, match="LOAN_ALREADY_CONFIRMED"):
        await provider.accept_offer("acme", "app_2", second, accepted(second))
    assert effects(bank).count("quote.confirmed") == 1


async def test_one_token_serves_many_calls(client, bank) -> None:
    provider = provider_of(client, bank)
    await asyncio.gather(
        *(provider.get_offers(replace(REQUEST, application_id=f"app_{n}")) for n in range(8))
    )
    assert requests(bank, "POST /oauth2/token") == 1


async def test_connecting_fetches_the_token_and_disconnecting_drops_it(provider, bank) -> None:
    await provider.connect()
    await provider.get_offers(REQUEST)
    assert requests(bank, "POST /oauth2/token") == 1
    await provider.disconnect()
    await provider.get_offers(REQUEST)
    assert requests(bank, "POST /oauth2/token") == 2


async def test_a_token_is_replaced_before_it_expires(client, bank) -> None:
    now = [0.0]
    credentials = ClientCredentials(
        HTTPCaller(client, bank.url), "caas", bank.config["client_secret"], clock=lambda: now[0]
    )
    first = await credentials.token()
    now[0] = 269.0
    assert await credentials.token() == first
    now[0] = 270.0
    assert await credentials.token() != first


async def test_an_expired_token_is_replaced_once_and_the_call_repeated(client, lender) -> None:
    bank = lender(token_validity_s=31)
    caller = HTTPCaller(client, bank.url)
    frozen = ClientCredentials(caller, "caas", bank.config["client_secret"], clock=lambda: 0.0)
    provider = provider_of(client, bank)
    provider._credentials = frozen
    await provider.connect()
    bank.stop()  # the tokens die with the process, as they would by expiry
    restarted = lender(token_validity_s=31)
    provider._caller = frozen._caller = HTTPCaller(client, restarted.url)
    quotes = await asyncio.gather(*(provider.get_offers(REQUEST) for _ in range(5)))
    assert len(set(quotes)) == 1
    refused = [line["code"] for line in restarted.lines("refused")]
    assert refused == ["TOKEN_INVALID"] * len(refused)
    assert 1 <= len(refused) <= 5
    # One token of the first process, and one fetch however many calls were turned away.
    assert requests(restarted, "POST /oauth2/token") == 2


async def test_wrong_credentials_are_for_us_to_repair(client, bank) -> None:
    provider = provider_of(client, bank, client_secret="wrong-secret")
    for call in (provider.connect(), provider.get_offers(REQUEST)):
        with pytest.raises(Transient) as raised:
            await call
        assert raised.value.code == "CREDENTIALS_REFUSED"
        assert "wrong-secret" not in str(raised.value)


async def test_a_restarted_bank_forgets_nothing(client, provider, bank, lender) -> None:
    [quote] = await provider.get_offers(REQUEST)
    [other] = await provider.get_offers(replace(REQUEST, application_id="app_2"))
    acceptance = accepted(quote)
    confirmation = await provider.accept_offer("acme", "app_1", quote, acceptance)
    bank.stop()
    restarted = lender()
    provider = provider_of(client, restarted)
    assert await provider.get_offers(REQUEST) == (quote,)
    assert await provider.accept_offer("acme", "app_1", quote, acceptance) == confirmation
    with pytest.raises(Permanent, match="LOAN_ALREADY_CONFIRMED"):
        await provider.accept_offer("acme", "app_2", other, accepted(other))
    assert effects(restarted) == ["quote.issued", "quote.issued", "quote.confirmed"]


async def test_a_line_cut_off_by_a_kill_is_not_believed(client, provider, bank, lender) -> None:
    [quote] = await provider.get_offers(REQUEST)
    bank.stop()
    with bank.log.open("a") as log:
        log.write('{"at":"2026-03-01T12:00:00+00:00","kind":"effect","key":"app_2:quo')
    restarted = lender()
    assert await provider_of(client, restarted).get_offers(REQUEST) == (quote,)
    assert effects(restarted) == ["quote.issued"]


async def test_the_bank_s_log_holds_no_secret(provider, bank) -> None:
    [quote] = await provider.get_offers(REQUEST)
    await provider.accept_offer("acme", "app_1", quote, accepted(quote))
    log = bank.log.read_text()
    assert LENDER_KEY[2:] not in log
    assert bank.config["client_secret"] not in log
    assert await provider._credentials.token() not in log


async def test_status_is_whether_it_answers(client, provider, bank) -> None:
    assert await provider.get_status() is ProviderStatus.ACTIVE
    bank.stop()
    assert await provider.get_status() is ProviderStatus.INACTIVE
    with pytest.raises(Unavailable):
        await provider.get_offers(REQUEST)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"pd": 1.5}, 400),
        ({"amount_minor": "1500000"}, 400),
        ({"amount_minor": True}, 400),
        ({"borrower": BORROWER.lower()}, 400),
        ({"unknown": 1}, 400),
        ({"currency": "XAU"}, 400),
    ],
)
async def test_the_bank_refuses_a_malformed_request(
    client, bank, provider, changes, status
) -> None:
    body = {
        "application_reference": "app_1",
        **{k: v for k, v in asdict(REQUEST).items() if k not in ("tenant_id", "application_id")},
        **changes,
    }
    headers = {
        "authorization": f"Bearer {await provider._credentials.token()}",
        "idempotency-key": "app_1:quote",
    }
    answer = await HTTPCaller(client, bank.url).call(
        "POST", "/v1/quotes", json=body, headers=headers
    )
    assert (answer.status, answer.body["code"]) == (status, "REQUEST_MALFORMED")
    assert effects(bank) == []


async def test_the_bank_bounds_what_it_reads(bank, provider) -> None:
    token = await provider._credentials.token()
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(
            bank.url + "/v1/quotes",
            content=b" " * 100_000,
            headers={"authorization": f"Bearer {token}", "idempotency-key": "k"},
        )
    assert answer.status_code == 413
