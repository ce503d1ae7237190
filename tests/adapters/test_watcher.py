"""The block watcher: depth is counted anew at every look, and nobody is left untold."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from adapters.chain.watcher import BATCH, RESEND_AFTER_S, TELL_AGAIN_S, BlockWatcher
from adapters.postgres.watching import OpenSettlement
from models.domain.errors import Permanent, Unavailable
from models.domain.settlement import (
    ChainReceipt,
    FinalitySignal,
    SettlementState,
    SignedTransaction,
)

DEPTH = 3


class GrowingChain:
    """Holds transactions in blocks; a reorganisation takes them out again."""

    confirmations = DEPTH

    def __init__(self) -> None:
        self.head = 100
        self.mined: dict[str, ChainReceipt] = {}
        self.sent: list[str] = []
        self.away = False
        self.refuses: set[str] = set()

    def mine(self, tx_hash: str, *, succeeded: bool = True, block_hash: str = "0xb1") -> None:
        self.head += 1
        self.mined[tx_hash] = ChainReceipt(tx_hash, self.head, block_hash, succeeded, 1, 21_000)

    def grow(self, blocks: int = 1) -> None:
        self.head += blocks

    async def receipts(self, tx_hashes: Sequence[str]) -> dict[str, ChainReceipt]:
        if self.away:
            raise Unavailable("CHAIN_UNAVAILABLE")
        return {
            each: replace(found, confirmations=self.head - found.block_number + 1)
            for each in tx_hashes
            if (found := self.mined.get(each))
        }

    async def broadcast(self, transaction: SignedTransaction) -> None:
        if transaction.tx_hash in self.refuses:
            raise Permanent("NONCE_TOO_LOW")
        self.sent.append(transaction.tx_hash)


class RememberingSettlements:
    """Keeps open settlements in memory as the database does; time is moved by hand."""

    def __init__(self) -> None:
        self.known: dict[str, OpenSettlement] = {}
        self.records: list[tuple[str, int | None]] = []
        self.asked_for: list[int] = []
        self.away = False

    def add(self, name: str, state: SettlementState = SettlementState.BROADCAST) -> str:
        tx_hash = f"0x{name}"
        transaction = SignedTransaction(31337, "0xsender", len(self.known), tx_hash, "0xraw")
        self.known[name] = OpenSettlement(
            "acme", f"app_{name}", f"set_{name}", state, transaction, (None, None), 0.0
        )
        return tx_hash

    def later(self, seconds: float) -> None:
        self.known = {
            name: replace(each, age_s=each.age_s + seconds) for name, each in self.known.items()
        }

    async def open(self, limit: int) -> Sequence[OpenSettlement]:
        if self.away:
            raise Unavailable("DATABASE_UNAVAILABLE")
        self.asked_for.append(limit)
        return list(self.known.values())[:limit]

    async def seen(self, settlement: OpenSettlement, receipt: ChainReceipt | None) -> None:
        name = settlement.settlement_id.removeprefix("set_")
        state = SettlementState.INCLUDED if receipt else SettlementState.BROADCAST
        depth = receipt.confirmations if receipt else None
        self.records.append((name, depth))
        self.known[name] = replace(
            self.known[name],
            state=state,
            seen_at=(receipt.block_hash if receipt else None, depth),
        )


class HearingWorkflows:
    """Hears what settlements are told; may be away."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, FinalitySignal]] = []
        self.away = False

    async def tell_settlement(self, tenant_id: str, application_id: str, observed: Any) -> None:
        if self.away:
            raise Unavailable("TEMPORAL_UNAVAILABLE")
        assert tenant_id == "acme"
        self.heard.append((application_id, observed))


class Watch:
    """A watcher with everything it looks at."""

    def __init__(self) -> None:
        self.chain, self.settlements = GrowingChain(), RememberingSettlements()
        self.workflows = HearingWorkflows()
        self.watcher = BlockWatcher(self.chain, self.settlements, self.workflows)  # type: ignore[arg-type]


async def test_a_settlement_is_told_at_depth_and_not_before() -> None:
    watch = Watch()
    tx_hash = watch.settlements.add("a")
    assert await watch.watcher.look() == 0
    watch.chain.mine(tx_hash)
    for depth in (1, 2):
        assert await watch.watcher.look() == 0
        assert watch.settlements.records[-1] == ("a", depth)
        assert watch.workflows.heard == []
        watch.chain.grow()
    assert await watch.watcher.look() == 1
    ((application_id, observed),) = watch.workflows.heard
    assert application_id == "app_a"
    assert observed == FinalitySignal(tx_hash, 101, "0xb1", DEPTH, True)


async def test_depths_skipped_between_looks_are_still_deep_enough() -> None:
    watch = Watch()
    watch.chain.mine(watch.settlements.add("a"))
    watch.chain.grow(50)
    assert await watch.watcher.look() == 1
    assert watch.workflows.heard[0][1].confirmations == 51


async def test_an_unchanged_depth_is_not_recorded_again() -> None:
    watch = Watch()
    watch.chain.mine(watch.settlements.add("a"))
    for _ in range(3):
        await watch.watcher.look()
    assert watch.settlements.records == [("a", 1)]


async def test_whoever_does_not_act_is_told_again_after_a_while() -> None:
    watch = Watch()
    watch.chain.mine(watch.settlements.add("a"))
    watch.chain.grow(5)
    await watch.watcher.look()
    watch.settlements.later(TELL_AGAIN_S - 0.1)
    await watch.watcher.look()
    assert len(watch.workflows.heard) == 1
    watch.settlements.later(0.1)
    await watch.watcher.look()
    assert len(watch.workflows.heard) == 2


async def test_a_reorganisation_undoes_what_was_seen_and_counts_anew() -> None:
    watch = Watch()
    tx_hash = watch.settlements.add("a")
    watch.chain.mine(tx_hash)
    watch.chain.grow()
    await watch.watcher.look()
    del watch.chain.mined[tx_hash]
    await watch.watcher.look()
    assert watch.settlements.records == [("a", 2), ("a", None)]
    assert watch.settlements.known["a"].state is SettlementState.BROADCAST
    await watch.watcher.look()
    assert len(watch.settlements.records) == 2  # said once
    watch.chain.mine(tx_hash, block_hash="0xb2")
    await watch.watcher.look()
    assert watch.settlements.records[-1] == ("a", 1)
    assert watch.workflows.heard == []


async def test_a_reorganised_transaction_is_sent_again_at_once_and_then_with_patience() -> None:
    watch = Watch()
    tx_hash = watch.settlements.add("a")
    watch.chain.mine(tx_hash)
    await watch.watcher.look()
    watch.settlements.later(1.0)
    del watch.chain.mined[tx_hash]
    for _ in range(3):
        await watch.watcher.look()
    assert watch.chain.sent == [tx_hash]
    watch.settlements.later(RESEND_AFTER_S)
    await watch.watcher.look()
    assert watch.chain.sent == [tx_hash, tx_hash]


async def test_what_is_closed_is_not_remembered() -> None:
    watch = Watch()
    watch.settlements.add("a")
    watch.chain.mine(watch.settlements.add("b"))
    watch.chain.grow(5)
    watch.settlements.later(RESEND_AFTER_S)
    await watch.watcher.look()
    del watch.settlements.known["b"]
    await watch.watcher.look()
    assert set(watch.watcher._resent_at) == {"set_a"}
    assert watch.watcher._told_at == {}


async def test_another_block_at_the_same_depth_is_a_change() -> None:
    watch = Watch()
    tx_hash = watch.settlements.add("a")
    watch.chain.mine(tx_hash)
    await watch.watcher.look()
    watch.chain.mine(tx_hash, block_hash="0xb2")
    await watch.watcher.look()
    assert watch.settlements.known["a"].seen_at == ("0xb2", 1)


async def test_a_transaction_nobody_mines_is_sent_again_from_time_to_time() -> None:
    watch = Watch()
    tx_hash = watch.settlements.add("a")
    watch.settlements.later(RESEND_AFTER_S - 0.1)
    await watch.watcher.look()
    assert watch.chain.sent == []
    watch.settlements.later(0.1)
    for _ in range(3):
        await watch.watcher.look()
    assert watch.chain.sent == [tx_hash]
    watch.settlements.later(RESEND_AFTER_S)
    await watch.watcher.look()
    assert watch.chain.sent == [tx_hash, tx_hash]


async def test_signed_bytes_that_were_never_sent_are_sent() -> None:
    """The process died between storing and sending: the watcher does not need a record of it."""
    watch = Watch()
    tx_hash = watch.settlements.add("a", SettlementState.SIGNED)
    watch.settlements.later(RESEND_AFTER_S)
    await watch.watcher.look()
    assert watch.chain.sent == [tx_hash]


async def test_a_reverted_transaction_is_told_as_one() -> None:
    watch = Watch()
    watch.chain.mine(watch.settlements.add("a"), succeeded=False)
    await watch.watcher.look()
    assert watch.workflows.heard == []  # a reorganisation might still undo the revert
    watch.chain.grow(DEPTH - 1)
    await watch.watcher.look()
    ((_, observed),) = watch.workflows.heard
    assert observed.succeeded is False


async def test_one_settlements_trouble_is_not_the_others() -> None:
    watch = Watch()
    refused = watch.settlements.add("a")
    watch.chain.refuses.add(refused)
    watch.settlements.later(RESEND_AFTER_S)
    watch.chain.mine(watch.settlements.add("b"))
    watch.chain.grow(5)
    assert await watch.watcher.look() == 1
    assert [application_id for application_id, _ in watch.workflows.heard] == ["app_b"]


async def test_one_batch_looks_at_all_of_them() -> None:
    watch = Watch()
    for number in range(40):
        watch.chain.mine(watch.settlements.add(f"n{number}"))
    watch.chain.grow(50)
    assert await watch.watcher.look() == 40
    assert len(watch.workflows.heard) == 40
    assert watch.settlements.asked_for == [BATCH]


async def test_what_was_not_heard_is_told_at_the_next_look() -> None:
    watch = Watch()
    watch.chain.mine(watch.settlements.add("a"))
    watch.chain.grow(5)
    watch.workflows.away = True
    await watch.watcher.look()
    watch.workflows.away = False
    await watch.watcher.look()
    assert len(watch.workflows.heard) == 1


async def test_outages_are_outlived(monkeypatch: Any) -> None:
    monkeypatch.setattr("adapters.chain.watcher.LOOK_EVERY_S", 0.001)
    watch = Watch()
    watch.chain.mine(watch.settlements.add("a"))
    watch.chain.grow(5)
    watch.chain.away = watch.settlements.away = True
    stop = asyncio.Event()
    running = asyncio.create_task(watch.watcher.run(stop))
    for _ in range(20):
        await asyncio.sleep(0.001)
    watch.settlements.away = False
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert watch.settlements.asked_for  # it went on, as far as it could
    assert not running.done()
    watch.chain.away = False
    async with asyncio.timeout(60):
        while not watch.workflows.heard:
            await asyncio.sleep(0.001)
    stop.set()
    await asyncio.wait_for(running, 60)


async def test_it_stops_when_told_to_and_not_after_a_pause() -> None:
    watch = Watch()
    stop = asyncio.Event()
    stop.set()
    await asyncio.wait_for(watch.watcher.run(stop), 60)
    assert watch.settlements.asked_for == []
