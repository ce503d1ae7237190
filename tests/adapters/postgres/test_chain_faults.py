"""The chain lane on a real chain and a real database, while the chain misbehaves.

Whatever happens, a settlement has one attempt, one nonce and one set of bytes; it is booked when
the chain says so, and its pending entries are reversed when the chain says no.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from activities.settlement import ChainActivities
from adapters.chain import eip712
from adapters.chain import watcher as watching
from adapters.chain.aggregator import EVMSettlementChain
from adapters.chain.rpc import JSONRPCProvider
from adapters.postgres.watching import PostgresOpenSettlements
from models.domain.errors import Transient
from models.domain.offer import Acceptance, AcceptOffer, LenderConfirmation, ProviderAnswer, Quote
from models.domain.settlement import FinalitySignal, SettlementOrder, SettlementState
from sandbox.services.chain import SANDBOX_CHAIN_ID, Anvil
from sandbox.services.deployment import Deployment, call_data, deploy
from sandbox.wallets import DEVELOPMENT_DEPLOYER_KEY, wallet
from tests.activities.people import Lenders

pytestmark = pytest.mark.stack

SEED = bytes(range(32))
LENDER, RELAYER, BORROWER = (wallet(name, SEED) for name in ("lender", "relayer", "borrower"))
OWNER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
PRINCIPAL = 5_000 * 10**6
FAR_FUTURE = 4_000_000_000


class Workflows:
    """Hears what settlements are told."""

    def __init__(self) -> None:
        self.heard: dict[str, FinalitySignal] = {}

    async def tell_settlement(
        self, tenant_id: str, application_id: str, observed: FinalitySignal
    ) -> None:
        self.heard[application_id] = observed


class Lender:
    """Confirms by signing what was quoted."""

    provider_id = "bank"

    def __init__(self, aggregator: str) -> None:
        self._aggregator = aggregator

    async def accept_offer(
        self, tenant_id: str, application_id: str, quote: Quote, acceptance: Acceptance
    ) -> LenderConfirmation:
        signature = eip712.sign_terms(
            quote.terms, SANDBOX_CHAIN_ID, self._aggregator, LENDER.private_key
        )
        return LenderConfirmation(quote.quote_id, quote.terms_hash, signature)


@dataclass
class Lane:
    """Everything of the chain lane but Temporal, and cheats for its chain."""

    lending: Any
    rpc: JSONRPCProvider
    at: Deployment
    chain: EVMSettlementChain
    workflows: Workflows = field(default_factory=Workflows)

    def __post_init__(self) -> None:
        records = self.lending.settlements(self.chain.sender)
        lender: Any = Lender(self.at.aggregator)
        self.activities = ChainActivities(records, self.chain, Lenders(lender))
        settlements = PostgresOpenSettlements(self.lending.chain, SANDBOX_CHAIN_ID)
        self.watcher = watching.BlockWatcher(self.chain, settlements, self.workflows)  # type: ignore[arg-type]

    async def accepted(self, deadline: int = FAR_FUTURE) -> SettlementOrder:
        """An application whose borrower has accepted an offer of the lender."""
        ref = await self.lending.application()
        usual = self.lending.quote(ref, "bank")
        terms = replace(
            usual.terms, lender=LENDER.address, borrower=BORROWER.address, token=self.at.token,
            nonce=uuid.uuid4().int, deadline=deadline,
        )  # fmt: skip
        quote = replace(usual, terms=terms, terms_hash=eip712.terms_hash(terms))
        book = await self.lending.offers.record_search(ref, [ProviderAnswer("bank", quote)])
        nonce = uuid.uuid4().int
        signature = eip712.sign_acceptance(
            quote.terms_hash, BORROWER.address, nonce, deadline, chain_id=SANDBOX_CHAIN_ID,
            aggregator=self.at.aggregator, private_key=BORROWER.private_key,
        )  # fmt: skip
        acceptance = Acceptance(quote.terms_hash, BORROWER.address, nonce, deadline, signature)
        offer_id = book.offers[0].offer_id
        await self.lending.offers.record_acceptance(
            ref, AcceptOffer(offer_id, ref.user_id, ref.user_id, acceptance)
        )
        return SettlementOrder(ref, offer_id, acceptance)

    async def mine(self, blocks: int = 1) -> None:
        await self.rpc.call("anvil_mine", hex(blocks))

    async def known(self, tx_hash: str) -> bool:
        return await self.rpc.call("eth_getTransactionByHash", tx_hash) is not None

    async def paid(self) -> int:
        """What the borrower holds."""
        data = "0x" + call_data("balanceOf(address)", BORROWER.address).hex()
        return int(await self.rpc.call("eth_call", {"to": self.at.token, "data": data}), 16)

    async def state(self, order: SettlementOrder) -> str:
        return str(
            await self.lending.value(
                "SELECT state FROM settlements WHERE tenant_id = $1", order.application.tenant_id
            )
        )

    async def entries(self, order: SettlementOrder) -> dict[str, str]:
        """State of the ledger entries by kind."""
        rows = await self.lending.rows(
            "SELECT kind, state FROM ledger_entries WHERE tenant_id = $1",
            order.application.tenant_id,
        )
        return {row["kind"]: row["state"] for row in rows}

    async def ends_paid_once(self, order: SettlementOrder, tx_hash: str, before: int) -> None:
        """The watcher tells of this very transaction; one attempt is on record, and one loan."""
        await self.mine(self.chain.confirmations)
        assert await self.watcher.look() >= 1
        observed = self.workflows.heard[order.application.application_id]
        assert (observed.tx_hash, observed.succeeded) == (tx_hash, True)
        block = await self.rpc.call("eth_getBlockByNumber", hex(observed.block_number), False)
        assert observed.block_hash == block["hash"]
        booked = await self.lending.loans.book_loan(order.application, observed)
        assert booked.state is SettlementState.FINAL
        assert await self.paid() - before == PRINCIPAL
        attempts = await self.attempts(order)
        assert [attempt["tx_hash"] for attempt in attempts] == [tx_hash]
        assert await self.entries(order) == {
            "commitment": "final", "disbursement": "final", "release": "final",
        }  # fmt: skip

    async def attempts(self, order: SettlementOrder) -> list[Any]:
        rows: list[Any] = await self.lending.rows(
            "SELECT * FROM chain_attempts WHERE tenant_id = $1", order.application.tenant_id
        )
        return rows


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lane(lending: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lane]:
    service = Anvil(tmp_path_factory.mktemp("chain"), SANDBOX_CHAIN_ID, block_time_s=None)
    await service.start()
    at = await deploy(
        service.rpc_url, SANDBOX_CHAIN_ID, DEVELOPMENT_DEPLOYER_KEY, [LENDER.private_key],
        relayer=RELAYER.address,
    )  # fmt: skip
    chain = await EVMSettlementChain.connect(
        service.rpc_url, SANDBOX_CHAIN_ID, at.aggregator, at.token, at.token_decimals,
        private_key=RELAYER.private_key, confirmations=3, sandbox_chain_ids={SANDBOX_CHAIN_ID},
    )  # fmt: skip
    rpc = JSONRPCProvider(service.rpc_url)
    await rpc.call("evm_setAutomine", False)
    yield Lane(lending, rpc, at, chain)
    await rpc.close()
    await chain.close()
    await service.kill()


async def test_a_dropped_transaction_is_sent_again_as_it_was(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, before = await lane.accepted(), await lane.paid()
    sent = await lane.activities.submit_settlement(order)
    await lane.rpc.call("anvil_dropTransaction", sent.tx_hash)
    await lane.mine()
    assert not await lane.known(sent.tx_hash)
    await lane.watcher.look()
    assert not await lane.known(sent.tx_hash)  # patience first: blocks may be full
    monkeypatch.setattr(watching, "RESEND_AFTER_S", 0.0)
    await lane.watcher.look()
    assert await lane.known(sent.tx_hash)
    await lane.ends_paid_once(order, sent.tx_hash, before)


async def test_a_reorganised_transaction_is_sent_again_at_once(lane: Lane) -> None:
    order, before = await lane.accepted(), await lane.paid()
    sent = await lane.activities.submit_settlement(order)
    await lane.mine()
    await lane.watcher.look()
    assert await lane.state(order) == "included"
    assert await lane.paid() - before == PRINCIPAL

    await lane.rpc.call("anvil_reorg", 1, [])
    assert await lane.paid() == before
    assert not await lane.known(sent.tx_hash)
    await lane.watcher.look()
    assert await lane.state(order) == "broadcast"
    assert await lane.known(sent.tx_hash)
    assert order.application.application_id not in lane.workflows.heard
    assert "settlement.reorged" in await lane.lending.audited(order.application.tenant_id)
    await lane.ends_paid_once(order, sent.tx_hash, before)


async def test_without_gas_money_a_settlement_waits_and_goes_on_when_there_is_some(
    lane: Lane,
) -> None:
    order, before = await lane.accepted(), await lane.paid()
    await lane.rpc.call("anvil_setBalance", RELAYER.address, "0x0")
    codes = []
    try:
        with capture_logs() as logs:
            for _ in range(3):
                with pytest.raises(Transient) as waits:
                    await lane.activities.submit_settlement(order)
                codes.append(waits.value.code)
    finally:
        await lane.rpc.call("anvil_setBalance", RELAYER.address, hex(10**19))
    assert codes == ["OUT_OF_GAS_MONEY"] * 3
    alarms = [line for line in logs if line["event"] == "relayer_out_of_gas_money"]
    assert [line["log_level"] for line in alarms] == ["error"] * 3
    [attempt] = await lane.attempts(order)
    assert {line["nonce"] for line in alarms} == {attempt["nonce"]}
    assert (await lane.entries(order))["disbursement"] == "pending"

    sent = await lane.activities.submit_settlement(order)
    assert (sent.tx_hash, sent.nonce) == (attempt["tx_hash"], attempt["nonce"])
    await lane.ends_paid_once(order, sent.tx_hash, before)


async def test_a_halted_chain_leaves_a_settlement_pending(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, before = await lane.accepted(), await lane.paid()
    sent = await lane.activities.submit_settlement(order)
    monkeypatch.setattr(watching, "RESEND_AFTER_S", 0.0)
    with capture_logs() as logs:
        for _ in range(5):  # sent again and again: the node knows it already
            assert await lane.watcher.look() == 0
    assert [line for line in logs if line["log_level"] in ("warning", "error")] == []
    with pytest.raises(Transient, match="NOT_FINAL_YET"):
        await lane.activities.observe_settlement(order.application)
    assert await lane.state(order) == "broadcast"
    assert (await lane.entries(order))["disbursement"] == "pending"
    await lane.ends_paid_once(order, sent.tx_hash, before)


async def test_a_reverted_settlement_is_reversed_once_nobody_can_relay_it(lane: Lane) -> None:
    block = await lane.rpc.call("eth_getBlockByNumber", "latest", False)
    order = await lane.accepted(deadline=int(block["timestamp"], 16) + 600)
    before = await lane.paid()
    sent = await lane.activities.submit_settlement(order)
    await _lender_listed(lane, 0)
    try:
        await lane.mine(lane.chain.confirmations)
        await lane.watcher.look()
        observed = lane.workflows.heard[order.application.application_id]
        assert (observed.tx_hash, observed.succeeded) == (sent.tx_hash, False)
        with pytest.raises(Transient, match="NOT_DECIDED_YET"):
            await lane.activities.resolve_settlement(order)
        assert (await lane.entries(order))["disbursement"] == "pending"
        await lane.rpc.call("evm_increaseTime", 700)
        await lane.mine(lane.chain.confirmations)
        resolved = await lane.activities.resolve_settlement(order)
    finally:
        await _lender_listed(lane, 1)
        await lane.mine()
    assert not resolved.succeeded
    failed = await lane.lending.failing(order.application, "TRANSACTION_REVERTED")
    assert failed.state is SettlementState.FAILED
    assert await lane.paid() == before
    assert await lane.entries(order) == {
        "commitment": "final", "disbursement": "void", "release": "final",
    }  # fmt: skip
    standing = await lane.lending.rows(
        "SELECT p.account, sum(p.amount_minor)::int8 AS units FROM ledger_postings p"
        " JOIN ledger_entries e USING (tenant_id, entry_id)"
        " WHERE p.tenant_id = $1 AND e.state <> 'void' GROUP BY 1",
        order.application.tenant_id,
    )
    assert standing
    assert all(row["units"] == 0 for row in standing)


async def _lender_listed(lane: Lane, listed: int) -> None:
    """The owner lists the lender or takes it off; at the head of the next block."""
    data = "0x" + call_data("setProvider(address,bool)", LENDER.address, bool(listed)).hex()
    call = {"from": OWNER, "to": lane.at.aggregator, "data": data, "gas": hex(100_000)}
    dear = {"maxFeePerGas": hex(10**11), "maxPriorityFeePerGas": hex(5 * 10**10)}
    await lane.rpc.call("eth_sendTransaction", {**call, **dear})
