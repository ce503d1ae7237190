"""Guard, adapter and wire together: what a real lender does shows in what is asked of it next."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from activities.ports.credit_provider import CreditProvider
from adapters.chain.eip712 import terms_hash
from adapters.http import HTTPCaller, RetryLater
from adapters.providers.breaker import BreakerPolicy, BreakerState
from adapters.providers.guard import Guarded
from adapters.providers.opening import Surroundings, open_provider
from adapters.providers.plugin import plugins
from models.domain.errors import Permanent, Transient
from models.domain.provider import ProviderStatus
from tests.adapters.providers.borrowing import LENDER, LENDER_KEY, REQUEST, accepted

SECRETS = {
    "bank-rest": ("bank", {"client_id": "caas", "client_secret": "hush"}),
    "fintech-hmac": ("fintech", {"api_key": "caas", "signing_secret": "hush"}),
    "bank-soap": ("soap_bank", {"username": "caas", "password": "hush"}),
}


@pytest.fixture
def opened(client, counterparty):
    """Start a lender and open its adapter with these limits."""

    def open_(adapter: str, config: dict[str, Any] | None = None, **limits: Any):
        name, secrets = SECRETS[adapter]
        told = {**secrets, "lender_private_key": LENDER_KEY, "steering_secret": "steer"}
        lender = counterparty(name, **told, **(config or {}))
        plugin = plugins()[adapter]
        narrow = replace(plugin.manifest, limits=replace(plugin.manifest.limits, **limits))
        around = Surroundings(
            lambda url, deadline_s, max_bytes: HTTPCaller(client, url, deadline_s, max_bytes),
            lambda: None,
            terms_hash,
            breaker=BreakerPolicy(failures_in_a_row=2, open_s=0.2),
        )
        provider = open_provider(
            replace(plugin, manifest=narrow),
            "lender",
            lender.url,
            {"lender_address": LENDER},
            secrets,
            around,
        )
        return lender, provider

    return open_


async def told(browser, lender, **do: Any) -> None:
    headers = {"authorization": "Bearer steer"}
    await browser.delete(f"{lender.url}/steering", headers=headers)
    rules = {"rules": [{"id": "r", "do": do}]} if do else {"rules": []}
    answer = await browser.post(f"{lender.url}/steering", json=rules, headers=headers)
    assert answer.status_code == 201


def asked(lender) -> int:
    return len(lender.lines("request"))


ROUNDS = [replace(REQUEST, round=number) for number in range(1, 20)]


@pytest.mark.parametrize("adapter", sorted(SECRETS))
async def test_a_lender_that_asks_for_a_pause_gets_it(browser, opened, adapter) -> None:
    lender, provider = opened(adapter, deadline_s=2.0)
    await told(browser, lender, status=429, retry_after_s=60)
    with pytest.raises(RetryLater):
        await provider.get_offers(REQUEST)
    before = asked(lender)
    with pytest.raises(Transient, match="RATE_LIMITED"):
        await provider.get_offers(REQUEST)
    assert asked(lender) == before
    assert await provider.get_status() is ProviderStatus.ACTIVE  # asking how it is goes on
    assert guard_of(provider).breaker_state is BreakerState.CLOSED  # it answers, after all


async def test_every_page_counts_as_a_request(opened) -> None:
    limits = {"requests_per_s": 0.01, "burst": 3, "deadline_s": 2.0}
    lender, provider = opened("fintech-hmac", {"page_size": 1}, **limits)
    assert len(await provider.get_offers(REQUEST)) == 2  # two pages
    with pytest.raises(Transient, match="RATE_LIMITED"):
        await provider.get_offers(ROUNDS[1])  # the first of two, and no token for the second
    assert asked(lender) == 3


@pytest.mark.parametrize("adapter", sorted(SECRETS))
async def test_a_lender_that_fails_is_left_alone_and_believed_again(
    browser, opened, adapter
) -> None:
    lender, provider = opened(adapter)
    await provider.connect()
    await told(browser, lender, status=503)
    for _ in range(2):
        with pytest.raises(RetryLater):
            await provider.get_offers(REQUEST)
    before = asked(lender)
    with pytest.raises(Transient, match="CIRCUIT_OPEN"):
        await provider.get_offers(REQUEST)
    assert asked(lender) == before
    await told(browser, lender)
    async with asyncio.timeout(60):
        while guard_of(provider).breaker_state is BreakerState.OPEN:
            await asyncio.sleep(0.02)
    first, second = [await provider.get_offers(each) for each in ROUNDS[:2]]
    assert first
    assert second
    assert guard_of(provider).breaker_state is BreakerState.CLOSED


@pytest.mark.parametrize("adapter", sorted(SECRETS))
async def test_the_deadline_is_of_all_requests_together(browser, opened, adapter) -> None:
    lender, provider = opened(adapter, deadline_s=0.4)
    await provider.connect()
    await told(browser, lender, drip_s=0.05)
    with pytest.raises(Transient) as raised:
        await provider.get_offers(REQUEST)
    assert raised.value.code in ("DEADLINE_EXCEEDED", "UPSTREAM_UNREACHABLE")


@pytest.mark.parametrize("adapter", sorted(SECRETS))
async def test_what_a_program_cannot_decide_comes_before_a_person(opened, adapter) -> None:
    """The lender holds another contract for this loan: nobody may guess which one is meant."""
    _, provider = opened(adapter)
    first, second = [(await provider.get_offers(each))[0] for each in ROUNDS[:2]]
    await provider.accept_offer("acme", "app_1", first, accepted(first))
    with pytest.raises(Permanent) as raised:
        await provider.accept_offer("acme", "app_1", second, accepted(second))
    assert (type(raised.value), raised.value.code) == (Permanent, "PROVIDER_NEEDS_PERSON")
    assert "LOAN_ALREADY_CONFIRMED" in raised.value.detail


@pytest.mark.parametrize("adapter", sorted(SECRETS))
async def test_answers_are_bounded_by_the_manifest(opened, adapter) -> None:
    """A token is short, a quote is longer."""
    _, provider = opened(adapter, max_bytes=500)
    with pytest.raises(Permanent, match="over 500 bytes"):
        await provider.get_offers(REQUEST)


def guard_of(provider: CreditProvider) -> Guarded:
    assert isinstance(provider, Guarded)
    return provider
