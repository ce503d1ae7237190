"""Adapters are found by name and opened with checked settings; a wrong one is named, not shown."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from dataclasses import replace
from importlib import import_module

import httpx
import pytest

from adapters.chain.eip712 import terms_hash
from adapters.http import HTTPCaller
from adapters.providers.opening import ProviderMisconfigured, Surroundings, open_provider
from adapters.providers.plugin import SHIPPED, PluginUnusable, plugins
from adapters.providers.provider_metrics import ProviderMetrics
from models.domain.errors import Permanent
from models.domain.provider import ProviderType
from settings import Settings, WrongSetting
from tests.adapters.providers.borrowing import BORROWER_KEY, LENDER, LENDER_KEY, REQUEST, accepted
from wiring import wired
from worker import served

CONTENT = "c0ntent-n0b0dy-may-see"
KEYS = {"v1": base64.b64encode(bytes(32)).decode()}
CREDENTIALS = {
    "bank-rest": {"client_id": "caas", "client_secret": CONTENT},
    "fintech-hmac": {"api_key": "caas", "signing_secret": CONTENT},
    "defi-pool": {"api_key": CONTENT},
}


def around(client) -> Surroundings:
    def caller(url: str, deadline_s: float, max_bytes: int) -> HTTPCaller:
        return HTTPCaller(client, url, deadline_s, max_bytes)

    return Surroundings(caller, lambda: None, terms_hash)


def test_the_shipped_adapters_are_found_by_name() -> None:
    found = plugins()
    assert {name: found[name].manifest.type for name in CREDENTIALS} == {
        "bank-rest": ProviderType.TRADITIONAL,
        "fintech-hmac": ProviderType.FINTECH,
        "defi-pool": ProviderType.DEFI,
    }
    assert len(found) >= len(SHIPPED)


@pytest.mark.parametrize("name", sorted(plugins()))
def test_every_manifest_names_a_counterparty_to_rehearse_with(name) -> None:
    manifest = plugins()[name].manifest
    assert manifest.adapter == name
    assert manifest.rehearsal is not None
    assert callable(import_module(manifest.rehearsal).build)


@pytest.mark.parametrize(
    "path",
    ["no.such.module:PLUGIN", "json:loads", "json", "", "adapters.providers.bank:NOTHING"],
)
def test_a_plugin_that_cannot_be_loaded_is_no_silent_absence(path) -> None:
    with pytest.raises(PluginUnusable, match="^" + path):
        plugins([path])


def test_two_adapters_cannot_have_one_name(monkeypatch) -> None:
    module = import_module("adapters.providers.fintech")
    monkeypatch.setattr(module, "COPY", replace(module.PLUGIN), raising=False)
    with pytest.raises(PluginUnusable, match="another adapter called 'fintech-hmac'"):
        plugins(["adapters.providers.fintech:COPY"])


ADDRESS = {"lender_address": LENDER}
OAUTH = CREDENTIALS["bank-rest"]


@pytest.mark.parametrize(
    ("config", "credentials", "field"),
    [
        ({}, OAUTH, "config.lender_address"),
        ({"lender_address": CONTENT}, OAUTH, "config.lender_address"),
        ({"lender_address": LENDER.lower()}, OAUTH, "config.lender_address"),
        ({**ADDRESS, "adress": CONTENT}, OAUTH, "config.adress"),
        (ADDRESS, {"client_id": "caas"}, "credentials.client_secret"),
        (ADDRESS, {**OAUTH, "client_secret": ""}, "credentials.client_secret"),
        (ADDRESS, {**OAUTH, "api_key": CONTENT}, "credentials.api_key"),
    ],
)
async def test_a_wrong_value_is_named_and_not_shown(client, config, credentials, field) -> None:
    plugin = plugins()["bank-rest"]
    with pytest.raises(ProviderMisconfigured) as raised:
        open_provider(plugin, "a", "http://127.0.0.1:1", config, credentials, around(client))
    assert raised.value.field == field
    assert raised.value.reason
    assert CONTENT not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("provider", "line"),
    [
        ({"adapter": "bank"}, "CAAS_PROVIDERS__1__ADAPTER: must be one of bank-rest, "),
        ({"credentials": {}}, "CAAS_PROVIDERS__1__CREDENTIALS__CLIENT_ID: Field required"),
        (
            {"config": {"lender_address": CONTENT}},
            "CAAS_PROVIDERS__1__CONFIG__LENDER_ADDRESS: Value error, must be an address",
        ),
    ],
)
async def test_a_wrong_provider_stops_the_start(provider, line) -> None:
    right = {
        "provider_id": "a",
        "adapter": "bank-rest",
        "url": "http://127.0.0.1:1",
        "config": ADDRESS,
        "credentials": OAUTH,
    }
    wrong = {**right, "provider_id": "b", **provider}
    settings = Settings.model_validate({"master_keys": KEYS, "providers": [right, wrong]})
    async with wired(settings) as wiring:
        with pytest.raises(WrongSetting) as raised:
            wiring.lenders()
    assert line in str(raised.value)
    assert CONTENT not in str(raised.value)


async def test_two_providers_of_one_name_stop_the_start() -> None:
    told = {
        "provider_id": "a",
        "adapter": "bank-rest",
        "url": "http://127.0.0.1:1",
        "config": ADDRESS,
        "credentials": OAUTH,
    }
    settings = Settings.model_validate({"master_keys": KEYS, "providers": [told, told]})
    async with wired(settings) as wiring:
        with pytest.raises(WrongSetting, match="CAAS_PROVIDERS__1__PROVIDER_ID: is there twice"):
            wiring.lenders()


async def test_what_is_counted_about_lenders_is_served() -> None:
    metrics = ProviderMetrics()
    metrics.called("a", "get_offers", "ok", 0.1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    end = served(metrics.registry, "127.0.0.1", port)
    async with httpx.AsyncClient(trust_env=False) as browser:
        shown = await browser.get(f"http://127.0.0.1:{port}/metrics")
    end()
    line = 'provider_calls_total{call="get_offers",outcome="ok",provider="a"} 1.0'
    assert line in shown.text
    assert line in metrics.text().decode()


async def test_a_plugin_that_is_not_there_stops_the_start() -> None:
    settings = Settings.model_validate({"master_keys": KEYS, "plugins": ["no.such:PLUGIN"]})
    async with wired(settings) as wiring:
        with pytest.raises(WrongSetting, match=r"CAAS_PLUGINS: no\.such:PLUGIN: ModuleNotFound"):
            wiring.lenders()


CONFIGS = {
    "bank-rest": ("bank", {"client_id": "caas", "client_secret": CONTENT}),
    "fintech-hmac": ("fintech", {"api_key": "caas", "signing_secret": CONTENT}),
}


@pytest.mark.parametrize("adapter", sorted(CONFIGS))
async def test_a_new_round_is_answered_anew_and_one_quote_of_all_is_confirmed(
    client, counterparty, adapter
) -> None:
    name, secrets = CONFIGS[adapter]
    lender = counterparty(name, lender_private_key=LENDER_KEY, **secrets)
    provider = open_provider(
        plugins()[adapter], "a", lender.url, ADDRESS, CREDENTIALS[adapter], around(client)
    )
    rounds = [replace(REQUEST, round=n) for n in (1, 2, 2)]
    first, second, again = await asyncio.gather(*map(provider.get_offers, rounds))
    assert second == again
    assert {q.quote_id for q in first}.isdisjoint(q.quote_id for q in second)
    keys = [line["key"].partition(":")[2] for line in lender.lines("effect")]
    assert sorted(keys) in (["quote", "quote:2"], ["offers", "offers:2"])

    await provider.accept_offer("acme", "app_1", second[0], accepted(second[0]))
    for other in first:
        with pytest.raises(Permanent):
            await provider.accept_offer("acme", "app_1", other, accepted(other))
    confirmed = [e for e in lender.lines("effect") if e["effect"] == "quote.confirmed"]
    assert len(confirmed) == 1
    assert BORROWER_KEY not in json.dumps(confirmed)
