"""The embedded chain mines, keeps what was mined across SIGKILL, and starts from a whole state."""

import asyncio
from pathlib import Path

import pytest

from sandbox.services import linux
from sandbox.services.chain import Anvil, RPCFailedError
from sandbox.services.ports import PortTakenError, free_port

pytestmark = pytest.mark.stack
SENDER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
RECIPIENT = "0x00000000000000000000000000000000000ca500"
ONE_ETHER = hex(10**18)


async def pay(chain: Anvil) -> str:
    """Send one ether and wait until it is mined; returns the transaction's hash."""
    payment = {"from": SENDER, "to": RECIPIENT, "value": ONE_ETHER}
    tx_hash = await chain.rpc("eth_sendTransaction", payment)
    async with asyncio.timeout(60):
        while await chain.rpc("eth_getTransactionReceipt", tx_hash) is None:
            await asyncio.sleep(0.05)
    assert isinstance(tx_hash, str)
    return tx_hash


async def saved(chain: Anvil, state_dir: Path) -> None:
    """Wait until the chain's next save, and the copy of it, have been written."""
    copy = state_dir / "anvil/state.whole.json"
    at_first = copy.stat().st_mtime_ns if copy.exists() else 0
    async with asyncio.timeout(60):
        for _ in range(2):
            while not copy.exists() or copy.stat().st_mtime_ns == at_first:
                await asyncio.sleep(0.05)
            at_first = copy.stat().st_mtime_ns


async def test_mined_payments_survive_sigkill_and_no_process_stays(tmp_path: Path) -> None:
    chain = Anvil(tmp_path)
    await chain.start()
    try:
        url = chain.rpc_url
        tx_hash = await pay(chain)
        await saved(chain, tmp_path)
        await chain.kill()
        await chain.start()
        assert chain.rpc_url == url
        assert await chain.rpc("eth_getBalance", RECIPIENT, "latest") == ONE_ETHER
        receipt = await chain.rpc("eth_getTransactionReceipt", tx_hash)
        assert isinstance(receipt, dict)
        assert receipt["status"] == "0x1"
        await chain.restart()
        assert await chain.rpc("eth_getBalance", RECIPIENT, "latest") == ONE_ETHER
        process = linux.seen(chain.process.pid)
        assert process is not None
    finally:
        await chain.stop()
    assert not linux.is_alive(process)


async def test_half_a_saved_state_gives_way_to_the_save_before(tmp_path: Path) -> None:
    chain = Anvil(tmp_path)
    await chain.start()
    try:
        await pay(chain)
        await saved(chain, tmp_path)
        await chain.kill()
        state = tmp_path / "anvil/state.json"
        state.write_bytes(state.read_bytes()[: state.stat().st_size // 2])
        await chain.start()
        assert await chain.rpc("eth_getBalance", RECIPIENT, "latest") == ONE_ETHER
    finally:
        await chain.stop()


async def test_two_chains_with_ids_of_their_own_share_a_state_directory(tmp_path: Path) -> None:
    chains = [
        Anvil(tmp_path, chain_id, block_time_s=None, name=f"chain-{chain_id}")
        for chain_id in (31337, 31338)
    ]
    try:
        for chain in chains:
            await chain.start()
            assert await chain.rpc("eth_chainId") == hex(chain.chain_id)
        await pay(chains[0])
        assert await chains[1].rpc("eth_getBalance", RECIPIENT, "latest") == "0x0"
    finally:
        for chain in chains:
            await chain.stop()


async def test_a_refused_call_and_a_taken_port_are_told(tmp_path: Path) -> None:
    chain = Anvil(tmp_path, block_time_s=None, port=free_port())
    await chain.start()
    try:
        with pytest.raises(RPCFailedError, match="caas_noSuchMethod"):
            await chain.rpc("caas_noSuchMethod")
        port = int(chain.rpc_url.rpartition(":")[2])
        with pytest.raises(PortTakenError, match=r"anvil \(pid \d+\).*CAAS_CHAIN_PORT"):
            await Anvil(tmp_path, port=port, name="second").start()
    finally:
        await chain.stop()


async def test_a_chain_that_is_not_saved_writes_nothing_and_begins_anew(tmp_path: Path) -> None:
    chain = Anvil(tmp_path, block_time_s=None, saved=False)
    await chain.start()
    try:
        await pay(chain)
        await chain.restart()
        assert await chain.rpc("eth_getBalance", RECIPIENT, "latest") == "0x0"
    finally:
        await chain.stop()
    assert list((tmp_path / "anvil").glob("state*")) == []
