"""Put a lending pool on a development chain: listed, filled by a provider, with an underwriter."""

from __future__ import annotations

from typing import Final

from eth_abi.abi import encode
from eth_typing import HexAddress, HexStr
from web3.types import Nonce
from web3.utils.address import get_create_address

from adapters.chain.rpc import JSONRPCProvider
from sandbox.services.deployment import (
    CALL_GAS,
    DEFAULT_PRINCIPAL_UNITS,
    DEPLOY_GAS,
    TOKEN_DECIMALS,
    Deployment,
    Purse,
    bytecode,
    call_data,
)

_LIMITS_TYPE: Final = "(uint256,uint256,uint32,uint32)"
_CURVE_TYPE: Final = "(uint32,uint32,uint32,uint32)"
_DEPOSIT_GAS: Final = 2 * CALL_GAS

_MAX_PRINCIPAL_UNITS: Final = 250_000 * 10**TOKEN_DECIMALS
_MIN_APR_BPS: Final = 500
_MAX_TERM_MONTHS: Final = 60
# 9.5 % for an idle pool, 4 % more when all is lent, 45 % lost at default, no PD above 20 %: dearer
# than the sandbox's bank and fintech, as lending without knowing the borrower is.
_CURVE: Final = (950, 400, 4_500, 200_000)


async def deploy_pool(
    rpc_url: str,
    at: Deployment,
    owner_key: str,
    underwriter: str,
    *,
    deposited_units: int = DEFAULT_PRINCIPAL_UNITS,
    max_principal_units: int = _MAX_PRINCIPAL_UNITS,
) -> str:
    """The address of a new pool for which `underwriter` signs; four fifths of it may be lent.

    `owner_key` owns token and aggregator, and then the pool; it is also the pool's first provider.
    Raises Permanent DEPLOYMENT_FAILED with the step that reverted.
    """
    rpc = JSONRPCProvider(rpc_url)
    try:
        owner = await Purse.open(rpc, at.chain_id, owner_key)
        creator = HexAddress(HexStr(owner.address))
        pool: str = get_create_address(creator, Nonce(owner.nonce))
        limits = (
            max_principal_units, deposited_units * 4 // 5, _MIN_APR_BPS, _MAX_TERM_MONTHS,
        )  # fmt: skip
        arguments = encode(
            ["address", "address", "address", _LIMITS_TYPE, _CURVE_TYPE],
            [at.token, at.aggregator, owner.address, limits, _CURVE],
        )
        await owner.send(
            "CreditPool", to=None, data=bytecode("CreditPool") + arguments, gas=DEPLOY_GAS
        )
        steps = (
            (pool, call_data("setUnderwriter(address,bool)", underwriter, True)),
            (at.aggregator, call_data("setProvider(address,bool)", pool, True)),
            (at.token, call_data("mint(address,uint256)", owner.address, deposited_units)),
            (at.token, call_data("approve(address,uint256)", pool, deposited_units)),
            (pool, call_data("deposit(uint256,address)", deposited_units, owner.address)),
        )
        for number, (to, data) in enumerate(steps, start=1):
            await owner.send(f"step {number} of the pool", to=to, data=data, gas=_DEPOSIT_GAS)
        await owner.wait()
    finally:
        await rpc.close()
    return pool
