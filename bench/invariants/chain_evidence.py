"""The chain as anybody sees it: plain JSON-RPC, from the first block to the newest."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

import httpx
from eth_hash.auto import keccak

from bench.invariants.evidence import Chain, Log, Sent
from sandbox.access import Access

DISBURSED: Final = (
    "0x" + keccak(b"Disbursed(bytes32,uint256,address,address,address,uint256)").hex()
)
TRANSFER: Final = "0x" + keccak(b"Transfer(address,address,uint256)").hex()
_BALANCE_OF: Final = "0x" + keccak(b"balanceOf(address)").hex()[:8]
# Blocks asked for in one batch; each comes with its transactions.
_BATCH: Final = 100


class ChainRefusedError(Exception):
    """The node answered with an error."""


async def read_chain(http: httpx.AsyncClient, access: Access, lenders: Iterable[str]) -> Chain:
    """Everything our contracts and our relaying key ever did; balances at the final block."""
    node = _Node(http, access.rpc)
    [head] = await node.ask([("eth_blockNumber", [])])
    newest = int(head, 16)
    blocks = await _blocks(node, newest)
    final = max(newest - access.confirmations + 1, 0)
    relayer = access.relayer.lower()
    owners = {relayer, access.aggregator.lower(), *(each.lower() for each in lenders)}
    return Chain(
        head=newest,
        confirmations=access.confirmations,
        aggregator=access.aggregator.lower(),
        token=access.token.lower(),
        token_decimals=access.token_decimals,
        relayer=relayer,
        disbursed=await _logs(node, access.aggregator, DISBURSED, newest),
        transfers=await _logs(node, access.token, TRANSFER, newest),
        sent=[
            Sent(each["hash"], each["from"].lower(), int(each["nonce"], 16), number)
            for number, block in blocks.items()
            for each in block["transactions"]
        ],
        block_hashes={number: block["hash"] for number, block in blocks.items()},
        block_times={number: int(block["timestamp"], 16) for number, block in blocks.items()},
        transaction_counts={
            relayer: int(
                (await node.ask([("eth_getTransactionCount", [relayer, "latest"])]))[0], 16
            )
        },
        behind_s=max(0.0, time.time() - int(blocks[newest]["timestamp"], 16)),
        balances=await _balances(node, access.token, sorted(owners), final),
    )


class _Node:
    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http = http
        self._url = url

    async def ask(self, calls: Sequence[tuple[str, Sequence[object]]]) -> list[Any]:
        """The results of several calls, in their order."""
        batch = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
            for number, (method, params) in enumerate(calls)
        ]
        answers = (await self._http.post(self._url, json=batch)).json()
        for answer in answers:
            if "error" in answer:
                raise ChainRefusedError(answer["error"]["message"])
        return [each["result"] for each in sorted(answers, key=lambda each: int(each["id"]))]


async def _blocks(node: _Node, newest: int) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for first in range(0, newest + 1, _BATCH):
        numbers = range(first, min(first + _BATCH, newest + 1))
        answers = await node.ask([("eth_getBlockByNumber", [hex(n), True]) for n in numbers])
        found.update(zip(numbers, answers, strict=True))
    return found


async def _logs(node: _Node, address: str, topic: str, newest: int) -> list[Log]:
    asked = {"address": address, "topics": [topic], "fromBlock": "0x0", "toBlock": hex(newest)}
    [logs] = await node.ask([("eth_getLogs", [asked])])
    return [
        Log(
            block_number=int(each["blockNumber"], 16),
            block_hash=each["blockHash"],
            tx_hash=each["transactionHash"],
            topics=[topic.lower() for topic in each["topics"]],
            words=_words(each["data"]),
        )
        for each in logs
    ]


async def _balances(node: _Node, token: str, owners: Sequence[str], block: int) -> dict[str, int]:
    calls = [
        (
            "eth_call",
            [{"to": token, "data": _BALANCE_OF + f"{int(owner, 16):064x}"}, hex(block)],
        )
        for owner in owners
    ]
    answers = await node.ask(calls)
    return {owner: int(answer, 16) for owner, answer in zip(owners, answers, strict=True)}


def _words(data: str) -> list[str]:
    """A log's data as 32-byte words."""
    digits = data.removeprefix("0x")
    return [digits[start : start + 64] for start in range(0, len(digits), 64)]


def address_in(word: str) -> str:
    """The address in the lowest 20 bytes of a word or topic, in lower case."""
    return "0x" + word[-40:].lower()
