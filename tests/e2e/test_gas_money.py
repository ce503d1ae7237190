"""The relayer runs out of gas money: settlements wait, an operator is told, and nothing is lost."""

from __future__ import annotations

import pytest

from tests.e2e.outside import World, eventually

pytestmark = pytest.mark.stack


async def test_a_settlement_without_gas_money_waits_for_it(world: World) -> None:
    stack, node = world.stack, world.node
    person = world.person()
    tenant = person.data["tenant"]
    offered = await world.apply_until(person, "offered")
    had = await node.call("eth_getBalance", stack.relayer.address, "latest")
    await node.call("anvil_setBalance", stack.relayer.address, "0x0")
    try:
        await person.accept(offered["application_id"], offered["offers"][0])

        async def told() -> bool:
            return "relayer_out_of_gas_money" in stack.processes["worker-chain"].log_tail()

        await eventually("the operators are told", told)
        [signed] = await world.truth.rows(
            "SELECT nonce, tx_hash FROM chain_attempts WHERE tenant_id = $1", tenant
        )
        waiting = await person.view(offered["application_id"])
        assert waiting["state"] == "settling"
    finally:
        await node.call("anvil_setBalance", stack.relayer.address, had)
    funded = await world.until(person, offered["application_id"], "funded")
    assert funded["transaction"]["tx_hash"] == signed["tx_hash"]
    mined = await node.call("eth_getTransactionByHash", signed["tx_hash"])
    assert int(mined["nonce"], 16) == signed["nonce"]
    assert await world.truth.rows(
        "SELECT nonce, tx_hash FROM chain_attempts WHERE tenant_id = $1", tenant
    ) == [signed]
