"""Our transaction reverts because somebody else relayed the same signatures first.

Calldata is public once broadcast and the contract lets anybody relay it. The borrower is paid then,
so the loan must be booked, with the transaction that paid it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes

from models.domain.failpoints import ENVIRONMENT_VARIABLE
from tests.e2e.outside import World, eventually

pytestmark = pytest.mark.stack


async def test_a_loan_paid_by_another_relayer_is_booked(world: World, tmp_path: Path) -> None:
    stack, marker = world.stack, tmp_path / "signed"
    person = world.person()
    tenant = person.data["tenant"]
    application_id = await person.apply()
    offered = await world.until(person, application_id, "offered")
    armed = {ENVIRONMENT_VARIABLE: f"settlement.attempt_persisted=pause:{marker}"}
    try:
        await stack.processes["worker-chain"].terminate()
        await stack.start_worker("worker-chain", armed)
        await person.accept(application_id, offered["offers"][0])

        async def signed() -> bool:
            return marker.exists()

        await eventually("our transaction is signed and stored", signed)
        [ours] = await world.truth.rows(
            "SELECT tx_hash, raw FROM chain_attempts WHERE tenant_id = $1", tenant
        )
        theirs = await _relay(world, ours["raw"])
    finally:
        await stack.processes["worker-chain"].kill()
        await stack.start_worker("worker-chain")
    funded = await world.until(person, application_id, "funded")
    assert funded["state"] == "funded", funded
    assert funded["transaction"]["tx_hash"] == theirs != ours["tx_hash"]
    assert await world.truth.value("SELECT count(*) FROM loans WHERE tenant_id = $1", tenant) == 1
    receipt = await world.node.call("eth_getTransactionReceipt", ours["tx_hash"])
    assert int(receipt["status"], 16) == 0
    token = stack.deployment.token if stack.deployment else ""
    assert await world.node.balance_of(token, person.wallet.address) == 5_000 * 10**6
    states = await world.truth.rows(
        "SELECT kind, state FROM ledger_entries WHERE tenant_id = $1", tenant
    )
    assert {row["state"] for row in states} == {"final"}


async def _relay(world: World, raw: str) -> str:
    """Send the same calldata from an account of the node's own; returns the mined hash."""
    call = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
    sender = (await world.node.call("eth_accounts"))[5]
    assert sender.lower() != Account.recover_transaction(raw).lower()
    tx_hash: str = await world.node.call(
        "eth_sendTransaction",
        {
            "from": sender,
            "to": "0x" + HexBytes(call["to"]).hex().removeprefix("0x"),
            "data": "0x" + HexBytes(call["data"]).hex().removeprefix("0x"),
        },
    )

    async def mined() -> bool:
        return await world.node.call("eth_getTransactionReceipt", tx_hash) is not None

    await eventually("the other relayer's transaction is mined", mined)
    return tx_hash
