"""A lender registered while the product runs lends a whole loan, to its own tenant alone."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sandbox.services.deployment import deploy
from sandbox.services.ports import claim_port
from sandbox.services.process import ManagedProcess
from sandbox.wallets import DEVELOPMENT_DEPLOYER_KEY, Wallet, wallet
from settings import ROOT
from tests.e2e.outside import World, eventually, word

pytestmark = pytest.mark.stack

CLIENT = "harvest-union"


@dataclass(frozen=True)
class OwnBank:
    """A bank of which the product's configuration knows nothing."""

    url: str
    secret: str
    account: Wallet
    journal: Path

    def effects(self, effect: str) -> list[dict[str, Any]]:
        """What it wrote down of one sort."""
        lines = map(json.loads, self.journal.read_text("utf-8").splitlines())
        return [each for each in lines if each.get("effect") == effect]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bank(world: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OwnBank]:
    """Running, with money to lend and the contract's leave to take it."""
    home = tmp_path_factory.mktemp("own-bank")
    port = claim_port(None, "")
    own = OwnBank(
        f"http://127.0.0.1:{port}",
        secrets.token_urlsafe(24),
        wallet("lender:own-bank", world.stack.seed),
        home / "journal.jsonl",
    )
    await _furnish(world, own, home / "deployment.json")
    config = home / "config.json"
    config.touch(mode=0o600)
    config.write_text(
        json.dumps(
            {
                "client_id": CLIENT,
                "client_secret": own.secret,
                "lender_private_key": own.account.private_key,
                "steering_secret": secrets.token_hex(16),
            }
        )
    )
    command = [
        sys.executable, "-m", "sandbox.counterparties.bank", "--port", str(port),
        "--config", str(config), "--log", str(own.journal),
    ]  # fmt: skip
    process = ManagedProcess("own-bank", command, state_dir=home, cwd=ROOT)
    await process.start()
    try:
        await process.ready(lambda: _answers(own.url), 60.0)
        yield own
    finally:
        await process.terminate()


async def _furnish(world: World, own: OwnBank, record: Path) -> None:
    stack = world.stack
    assert stack.deployment is not None
    record.write_text(json.dumps(asdict(stack.deployment)))
    await deploy(
        stack.chain.rpc_url, stack.chain.chain_id, DEVELOPMENT_DEPLOYER_KEY,
        [own.account.private_key], relayer=stack.relayer.address, record=record,
    )  # fmt: skip


async def _answers(url: str) -> bool:
    async with httpx.AsyncClient(trust_env=False) as http:
        try:
            return (await http.get(f"{url}/healthz")).is_success
        except httpx.TransportError:
            return False


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def registered(world: World, bank: OwnBank) -> tuple[str, str]:
    """The tenant that brought its bank along, and the name the product has given that."""
    tenant = f"own-lender-{secrets.token_hex(6)}"
    answer = await world.http.post(
        "/api/v1/providers",
        json={
            "name": "Harvest Union",
            "adapter": "bank-rest",
            "url": bank.url,
            "config": {"lender_address": bank.account.address},
            "credentials": {"client_id": CLIENT, "client_secret": bank.secret},
        },
        headers={**world.staff(tenant, "tenant_admin"), "Idempotency-Key": "own-lender"},
    )
    assert answer.status_code == 201, answer.text
    return tenant, str(answer.json()["provider_id"])


async def test_a_registered_lender_lends_a_whole_loan(
    world: World, bank: OwnBank, registered: tuple[str, str]
) -> None:
    tenant, provider_id = registered
    await eventually("it offers", lambda: _offers(world, tenant, provider_id))
    person = world.person(tenant=tenant)
    view = await world.apply_until(person, "offered")
    [own] = [each for each in view["offers"] if each["provider_id"] == provider_id]
    await person.accept(view["application_id"], own)
    funded = await world.until(person, view["application_id"], "funded")
    assert funded["accepted_offer_id"] == own["offer_id"]
    paid = funded["transaction"]
    [event] = await world.node.disbursements(person.deployment.aggregator, paid["loan_reference"])
    assert event["transactionHash"] == paid["tx_hash"]
    assert event["data"][2:66] == word(bank.account.address)
    [confirmed] = [
        each
        for each in bank.effects("quote.confirmed")
        if view["application_id"] in json.dumps(each)
    ]
    assert confirmed["answer"]["terms_hash"] == own["terms_hash"]


async def _offers(world: World, tenant: str, provider_id: str) -> bool:
    """Whether a search of the tenant's finds the lender; what is on record is read now and then."""
    found = await world.searched(tenant)
    return any(each["provider_id"] == provider_id for each in found["offers"])


async def test_it_lends_to_nobody_elses_people(
    world: World, bank: OwnBank, registered: tuple[str, str]
) -> None:
    _, provider_id = registered
    stranger = world.person()
    view = await world.apply_until(stranger, "offered")
    assert provider_id not in {each["provider_id"] for each in view["offers"]}
    assert view["application_id"] not in bank.journal.read_text("utf-8")
