"""The sandbox's contracts: put on the chain once, found again, completed where something lacks."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from adapters.chain import aggregator_mapping as mapping
from adapters.chain.rpc import JSONRPCProvider
from models.domain.errors import Permanent
from sandbox.services.deployment import Deployment, deploy
from sandbox.wallets import DEVELOPMENT_DEPLOYER_KEY, wallet
from tests.adapters.chain.conftest import CHAIN_ID, SEED

pytestmark = pytest.mark.stack

BANK, POOL, OTHER, RELAYER = (wallet(name, SEED) for name in ("bank", "pool", "other", "relay"))


async def furnish(
    url: str, record: Path, *lenders: str, key: str = DEVELOPMENT_DEPLOYER_KEY
) -> Deployment:
    return await deploy(
        url, CHAIN_ID, key, lenders, relayer=RELAYER.address, record=record, principal_units=5_000
    )


async def view(rpc: JSONRPCProvider, to: str, signature: str, *accounts: str) -> int:
    words = "".join(account[2:].rjust(64, "0") for account in accounts)
    data = "0x" + mapping.selector(signature).hex() + words
    return int(await rpc.call("eth_call", {"to": to, "data": data}, "latest"), 16)


async def sent(rpc: JSONRPCProvider) -> list[int]:
    """How many transactions the accounts have sent."""
    owner = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    counts = [
        await rpc.call("eth_getTransactionCount", account, "latest")
        for account in (owner, BANK.address, POOL.address)
    ]
    return [int(count, 16) for count in counts]


async def test_it_is_deployed_once_and_completed(anvil: str, tmp_path: Path) -> None:
    rpc, record = JSONRPCProvider(anvil), tmp_path / "state" / "deployment.json"
    first = await furnish(anvil, record, BANK.private_key)
    assert json.loads(record.read_text()) == asdict(first)
    assert (first.chain_id, first.token_decimals) == (CHAIN_ID, 6)
    after_first = await sent(rpc)

    assert await furnish(anvil, record, BANK.private_key) == first
    assert await sent(rpc) == after_first

    assert await furnish(anvil, record, BANK.private_key, POOL.private_key) == first
    by_each = [now - then for now, then in zip(await sent(rpc), after_first, strict=True)]
    assert by_each == [3, 0, 1]

    for lender in (BANK.address, POOL.address):
        assert await view(rpc, first.token, "balanceOf(address)", lender) == 5_000
        assert await view(rpc, first.aggregator, "authorizedProviders(address)", lender) == 1
        allowance = await view(
            rpc, first.token, "allowance(address,address)", lender, first.aggregator
        )
        assert allowance == 2**256 - 1
    assert await view(rpc, first.aggregator, "allowedTokens(address)", first.token) == 1
    assert int(await rpc.call("eth_getBalance", RELAYER.address, "latest"), 16) == 10**19
    await rpc.close()


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"aggregator": "0x12"}',
     json.dumps(asdict(Deployment(BANK.address, BANK.address, 6, CHAIN_ID))),
     json.dumps(asdict(Deployment(BANK.address, BANK.address, 6, 1)))],
)  # fmt: skip
async def test_a_record_that_names_nothing_is_replaced(
    anvil: str, tmp_path: Path, content: str
) -> None:
    record = tmp_path / "deployment.json"
    record.write_text(content)
    made = await furnish(anvil, record, BANK.private_key)
    assert json.loads(record.read_text()) == asdict(made)
    assert made.aggregator != BANK.address


async def test_a_stranger_cannot_complete_it(anvil: str, tmp_path: Path) -> None:
    record = tmp_path / "deployment.json"
    await furnish(anvil, record, BANK.private_key)
    rpc = JSONRPCProvider(anvil)
    await rpc.call("anvil_setBalance", BANK.address, hex(10**21))
    await rpc.close()
    with pytest.raises(Permanent, match="DEPLOYMENT_FAILED: setProvider"):
        await furnish(anvil, record, OTHER.private_key, key=BANK.private_key)


async def test_another_chain_is_refused(anvil: str) -> None:
    with pytest.raises(Permanent, match="CHAIN_ID_MISMATCH"):
        await deploy(anvil, 1, DEVELOPMENT_DEPLOYER_KEY, [], relayer=RELAYER.address)


async def test_it_does_not_wait_for_slow_blocks(anvil: str, tmp_path: Path) -> None:
    rpc = JSONRPCProvider(anvil)
    await rpc.call("evm_setAutomine", False)
    try:
        before = int(await rpc.call("eth_blockNumber"), 16)
        await furnish(anvil, tmp_path / "deployment.json", BANK.private_key)
        assert int(await rpc.call("eth_blockNumber"), 16) - before <= 4
    finally:
        await rpc.call("evm_setAutomine", True)
        await rpc.close()
