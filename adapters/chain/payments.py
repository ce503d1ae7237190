"""What the final part of a chain says of a reference: paid, to whom, by which transaction."""

from __future__ import annotations

from typing import Any, Final

from eth_abi.abi import decode
from eth_hash.auto import keccak

from activities.ports.chain import Payment, ReferenceStanding
from adapters.chain import aggregator_mapping as mapping
from adapters.chain.eip712 import checksum
from adapters.chain.rpc import JSONRPCProvider
from models.domain.errors import Transient
from models.domain.offer import SettlementVenue

DISBURSED: Final = "Disbursed(bytes32,uint256,address,address,address,uint256)"
_TOPIC: Final = "0x" + keccak(DISBURSED.encode("ascii")).hex()

# Public nodes refuse longer ranges. A settlement is judged within hours of its signature, so the
# windows below reach far beyond it even with one block a second.
_WINDOW_BLOCKS: Final = 9_000
_WINDOWS: Final = 10


async def standing(
    rpc: JSONRPCProvider, venue: SettlementVenue, confirmations: int, loan_reference: str
) -> ReferenceStanding:
    """Read at the newest final block; raises Transient while the chain has none yet."""
    head = mapping.quantity(await rpc.call("eth_blockNumber"))
    final = head - confirmations + 1
    if final < 0:
        raise Transient("NOT_FINAL_YET", "the chain is younger than its depth")
    block = await rpc.call("eth_getBlockByNumber", hex(final), False)
    if not isinstance(block, dict):
        raise Transient("CHAIN_BEHIND", "the final block is not there")
    payment = await _find(rpc, venue, loan_reference, final)
    return ReferenceStanding(
        final_time=mapping.quantity(block.get("timestamp")),
        payment=None if payment is None else _with_depth(payment, head),
    )


async def _find(
    rpc: JSONRPCProvider, venue: SettlementVenue, loan_reference: str, final: int
) -> dict[str, Any] | None:
    """The `Disbursed` log of the reference in the final blocks, newest window first."""
    last = final
    for _ in range(_WINDOWS):
        first = max(last - _WINDOW_BLOCKS + 1, 0)
        logs = await rpc.call(
            "eth_getLogs",
            {
                "fromBlock": hex(first),
                "toBlock": hex(last),
                "address": venue.aggregator,
                "topics": [_TOPIC, loan_reference],
            },
        )
        if not isinstance(logs, list) or len(logs) > 1:
            raise Transient("CHAIN_ANSWER_MALFORMED", "a reference is paid once or never")
        if logs:
            log: dict[str, Any] = logs[0]
            return log
        if first == 0:
            break
        last = first - 1
    return None


def _with_depth(log: dict[str, Any], head: int) -> Payment:
    lender, token, principal = decode(
        ["address", "address", "uint256"], bytes.fromhex(log["data"].removeprefix("0x"))
    )
    number = mapping.quantity(log["blockNumber"])
    return Payment(
        tx_hash=log["transactionHash"],
        block_number=number,
        block_hash=log["blockHash"],
        confirmations=head - number + 1,
        borrower=checksum("0x" + log["topics"][3][-40:]),
        lender=checksum(lender),
        token=checksum(token),
        principal=principal,
    )
