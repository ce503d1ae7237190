"""Nodes that lag, change their minds or answer something else: no loan is lost or paid twice."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from eth_account import Account

from activities.ports.chain import GasTerms
from adapters.chain.aggregator import EVMSettlementChain
from adapters.chain.rpc import JSONRPCProvider, RPCError
from models.domain.errors import Permanent, Transient
from models.domain.offer import Acceptance, LoanTerms, SettlementVenue
from models.domain.settlement import SignedTransaction

AGGREGATOR = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
TERMS = LoanTerms("0x" + "ab" * 32, AGGREGATOR, AGGREGATOR, AGGREGATOR, 10, 11, 999, 12, 1, 2)
ACCEPTANCE = Acceptance("0x" + "cd" * 32, AGGREGATOR, 3, 4, "0x" + "ef" * 65)
TX, CANONICAL, ORPHANED = ("0x" + digit * 64 for digit in "abc")

Answer = Callable[..., object]
"""Answers a method with its result; an RPCError stands for an error object."""


@asynccontextmanager
async def chain_of(**methods: Answer) -> AsyncIterator[EVMSettlementChain]:
    """The adapter on a node that knows these methods only."""

    def one(call: dict[str, object]) -> dict[str, object]:
        answer = methods[str(call["method"])](*call["params"])
        said = {"jsonrpc": "2.0", "id": call["id"]}
        if isinstance(answer, RPCError):
            return said | {"error": {"code": answer.number, "message": answer.message}}
        return said | {"result": answer}

    async def post(request: web.Request) -> web.Response:
        asked = json.loads(await request.read())
        return web.json_response(
            [one(call) for call in asked] if isinstance(asked, list) else one(asked)
        )

    app = web.Application()
    app.router.add_post("/", post)
    server = TestServer(app)
    await server.start_server()
    adapter = EVMSettlementChain(
        JSONRPCProvider(str(server.make_url("/"))),
        SettlementVenue(5, AGGREGATOR, AGGREGATOR, 6),
        Account.from_key("0x" + "11" * 32),
        confirmations=3,
        fee_cap_wei=10**11,
    )
    try:
        yield adapter
    finally:
        await adapter.close()
        await server.close()


def receipt(block_hash: str = CANONICAL, number: int = 10) -> dict[str, str]:
    return {
        "transactionHash": TX,
        "blockNumber": hex(number),
        "blockHash": block_hash,
        "status": "0x1",
        "gasUsed": "0x5208",
    }


def block(number: str, full: bool) -> dict[str, str]:
    return {"number": number, "hash": CANONICAL}


def refusing(message: str) -> Answer:
    return lambda raw: RPCError(-32000, message)


def signed(chain: EVMSettlementChain) -> SignedTransaction:
    return chain.sign_settle(TERMS, "0x1234", ACCEPTANCE, 7, GasTerms(300_000, 10, 1))


async def test_a_receipt_of_a_canonical_block_counts() -> None:
    async with chain_of(
        eth_blockNumber=lambda: hex(12),
        eth_getTransactionReceipt=lambda tx: receipt(),
        eth_getBlockByNumber=block,
    ) as chain:
        assert (await chain.receipts([TX]))[TX].confirmations == 3


@pytest.mark.parametrize("canonical", [{"hash": CANONICAL}, None, {}])
async def test_a_receipt_of_an_orphaned_block_is_left_out(canonical: object) -> None:
    async with chain_of(
        eth_blockNumber=lambda: hex(12),
        eth_getTransactionReceipt=lambda tx: receipt(ORPHANED),
        eth_getBlockByNumber=lambda number, full: canonical,
    ) as chain:
        assert await chain.receipts([TX]) == {}


@pytest.mark.parametrize("heads", [(20, 11), (11, 20)])
async def test_the_depth_is_never_overstated(heads: tuple[int, int]) -> None:
    readings = iter(heads)
    async with chain_of(
        eth_blockNumber=lambda: hex(next(readings)),
        eth_getTransactionReceipt=lambda tx: receipt(),
        eth_getBlockByNumber=block,
    ) as chain:
        assert (await chain.receipts([TX]))[TX].confirmations == 2


async def test_receipts_the_node_cannot_look_up_are_not_absent() -> None:
    async with chain_of(
        eth_blockNumber=lambda: hex(12),
        eth_getTransactionReceipt=lambda tx: RPCError(-32000, "transaction indexing in progress"),
    ) as chain:
        with pytest.raises(Transient, match="indexing in progress"):
            await chain.receipts([TX])


async def test_a_used_nonce_with_our_receipt_is_success() -> None:
    async with chain_of(
        eth_sendRawTransaction=refusing("nonce too low"),
        eth_getTransactionCount=lambda account, at: hex(8),
        eth_getTransactionReceipt=lambda tx: receipt(),
    ) as chain:
        await chain.broadcast(signed(chain))


@pytest.mark.parametrize(
    ("count", "error", "code"), [(8, Permanent, "NONCE_TAKEN"), (7, Transient, "CHAIN_BEHIND")]
)
async def test_a_used_nonce_is_given_up_only_on_proof(
    count: int, error: type[Exception], code: str
) -> None:
    async with chain_of(
        eth_sendRawTransaction=refusing("nonce too low"),
        eth_getTransactionCount=lambda account, at: hex(count),
        eth_getTransactionReceipt=lambda tx: None,
    ) as chain:
        with pytest.raises(error, match=code):
            await chain.broadcast(signed(chain))


async def test_the_nonce_is_counted_before_the_receipt_is_looked_for() -> None:
    mined = False

    def count(account: str, at: str) -> str:
        nonlocal mined
        mined = True  # the transaction is mined right after the count was read
        return hex(7)

    async with chain_of(
        eth_sendRawTransaction=refusing("nonce too low"),
        eth_getTransactionCount=count,
        eth_getTransactionReceipt=lambda tx: receipt() if mined else None,
    ) as chain:
        await chain.broadcast(signed(chain))


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("insufficient funds for gas * price + value", "OUT_OF_GAS_MONEY"),
        ("transaction underpriced", "FEE_TOO_LOW"),
        ("txpool is full", "CHAIN_REFUSED"),
    ],
)
async def test_other_refusals_are_transient(message: str, code: str) -> None:
    async with chain_of(eth_sendRawTransaction=refusing(message)) as chain:
        with pytest.raises(Transient) as refused:
            await chain.broadcast(signed(chain))
    assert refused.value.code == code


async def test_another_hash_than_ours_is_not_believed() -> None:
    async with chain_of(eth_sendRawTransaction=lambda raw: TX) as chain:
        with pytest.raises(Transient, match="CHAIN_ANSWER_MALFORMED"):
            await chain.broadcast(signed(chain))


HISTORY = {"baseFeePerGas": ["0x1"], "reward": []}


@pytest.mark.parametrize(
    ("estimate", "gas_limit"), [(200_000, 250_000), (200_001, 250_002), (800_000, 1_000_000)]
)
async def test_the_gas_limit_is_the_estimate_and_a_quarter_rounded_up(
    estimate: int, gas_limit: int
) -> None:
    async with chain_of(
        eth_estimateGas=lambda call, at: hex(estimate), eth_feeHistory=lambda *asked: HISTORY
    ) as chain:
        gas = await chain.simulate(TERMS, "0x1234", ACCEPTANCE)
    assert gas == GasTerms(gas_limit, 1_000_002, 1_000_000)


async def test_a_lender_contract_that_burns_gas_is_refused() -> None:
    async with chain_of(
        eth_estimateGas=lambda call, at: hex(800_001), eth_feeHistory=lambda *asked: HISTORY
    ) as chain:
        with pytest.raises(Permanent, match="SETTLE_TOO_EXPENSIVE"):
            await chain.simulate(TERMS, "0x1234", ACCEPTANCE)


async def test_a_node_that_cannot_estimate_is_transient() -> None:
    for failing in ("eth_estimateGas", "eth_feeHistory"):
        methods: dict[str, Answer] = {
            "eth_estimateGas": lambda call, at: hex(200_000),
            "eth_feeHistory": lambda *asked: HISTORY,
        }
        methods[failing] = lambda *asked: RPCError(-32005, "limit exceeded")
        async with chain_of(**methods) as chain:
            with pytest.raises(Transient, match="limit exceeded"):
                await chain.simulate(TERMS, "0x1234", ACCEPTANCE)


async def test_a_view_without_an_answer_is_not_a_no() -> None:
    for answer in ("0x", None, "0x01"):
        async with chain_of(eth_call=lambda call, at, answer=answer: answer) as chain:
            with pytest.raises(Transient, match="CHAIN_ANSWER_MALFORMED"):
                await chain.is_settled("0x" + "ab" * 32)


async def test_what_is_signed_is_what_was_given() -> None:
    async with chain_of() as chain:
        transaction = signed(chain)
        assert (transaction.chain_id, transaction.nonce) == (5, 7)
        dearer = chain.sign_settle(TERMS, "0x1234", ACCEPTANCE, 7, GasTerms(300_000, 20, 2))
        assert dearer.tx_hash != transaction.tx_hash
        other = replace(TERMS, principal=11)
        changed = chain.sign_settle(other, "0x1234", ACCEPTANCE, 7, GasTerms(300_000, 10, 1))
        assert changed.tx_hash != transaction.tx_hash
