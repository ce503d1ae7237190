"""A CreditPool read from its chain: limits, rate curve and what is free, all of one block.

The same contract is the lender of its loans; it signs through its underwriter (ERC-1271). Source:
contracts/src/interfaces/ICreditPool.sol, `standing()`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from adapters.chain import aggregator_mapping as mapping
from adapters.chain.rpc import JSONRPCProvider, RPCError
from adapters.chain.signature import checksum
from models.domain.errors import Permanent, Transient

_LIMITS: Final = "(uint256,uint256,uint32,uint32)"
_CURVE: Final = "(uint32,uint32,uint32,uint32)"
_STANDING: Final = f"(uint256,address,address,bool,uint256,uint256,uint256,{_LIMITS},{_CURVE})"
_CALLDATA: Final = "0x" + mapping.selector("standing()").hex()


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """What the pool's underwriter may sign; token units, basis points a year, months."""

    max_principal: int
    max_outstanding: int
    min_apr_bps: int
    max_term_months: int


@dataclass(frozen=True, slots=True)
class RateCurve:
    """How the pool prices: basis points a year, and the highest PD it prices in millionths."""

    base_rate_bps: int
    utilisation_slope_bps: int
    loss_given_default_bps: int
    max_pd_ppm: int


@dataclass(frozen=True, slots=True)
class PoolStanding:
    """The pool after one block; amounts in token units, addresses checksummed."""

    block_number: int
    aggregator: str
    asset: str
    paused: bool
    idle: int
    outstanding: int
    total_assets: int
    limits: PoolLimits
    curve: RateCurve


async def newest_standing(rpc: JSONRPCProvider, pool: str) -> PoolStanding:
    """The pool at the newest block, which it names itself; raises as `standing_at` does."""
    call = {"to": pool, "data": _CALLDATA}
    [answer] = await rpc.batch([("eth_call", (call, "latest"))])
    return _standing(answer)


async def standing_at(
    rpc: JSONRPCProvider, pool: str, block_number: int, *, max_age_blocks: int
) -> PoolStanding:
    """The pool at a block that is there and not older than `max_age_blocks`.

    Raises Transient CHAIN_BEHIND for a block this node does not have yet; Permanent BLOCK_TOO_OLD;
    Permanent POOL_ABSENT where nothing answers as a pool does.
    """
    call = {"to": pool, "data": _CALLDATA}
    head, answer = await rpc.batch(
        [("eth_blockNumber", ()), ("eth_call", (call, hex(block_number)))]
    )
    [head] = mapping.results([head])
    age = mapping.quantity(head) - block_number
    if age < 0:
        raise Transient("CHAIN_BEHIND", f"block {block_number} is not there yet")
    if age > max_age_blocks:
        raise Permanent("BLOCK_TOO_OLD", f"{age} blocks, of {max_age_blocks}")
    standing = _standing(answer)
    if standing.block_number != block_number:
        raise Transient("CHAIN_ANSWER_MALFORMED", "the standing of another block")
    return standing


def _standing(answer: Any) -> PoolStanding:
    if isinstance(answer, RPCError):
        if mapping.revert_of(answer) is None:
            raise answer
        raise Permanent("POOL_ABSENT", "it answers otherwise than a pool")
    try:
        [fields] = decode([_STANDING], bytes.fromhex(str(answer).removeprefix("0x")))
    except (DecodingError, ValueError):
        raise Permanent("POOL_ABSENT", "it answers otherwise than a pool") from None
    block_number, aggregator, asset, *amounts, limits, curve = fields
    paused, idle, outstanding, total_assets = amounts
    return PoolStanding(
        block_number=block_number,
        aggregator=checksum(aggregator),
        asset=checksum(asset),
        paused=paused,
        idle=idle,
        outstanding=outstanding,
        total_assets=total_assets,
        limits=PoolLimits(*limits),
        curve=RateCurve(*curve),
    )
