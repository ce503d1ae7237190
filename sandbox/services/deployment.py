"""Put the contracts on a development chain and furnish those who use them.

States what must hold (contracts present, token and lenders listed, lenders funded and their
approval given, gas money for all) and sends only what is missing: a second run sends nothing. The
lending pool, where one is wanted, is in pool_deployment.py.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from eth_abi.abi import encode
from eth_account import Account
from eth_typing import HexAddress, HexStr
from web3.types import Nonce
from web3.utils.address import get_create_address

from adapters.chain import aggregator_mapping as mapping
from adapters.chain.rpc import JSONRPCProvider, RPCError
from adapters.chain.signature import address_of
from models.domain.errors import Permanent, Transient

TOKEN_DECIMALS: Final = 6
# Enough for the longest soak: play money that runs out would look like a fault.
DEFAULT_PRINCIPAL_UNITS: Final = 1_000_000_000 * 10**TOKEN_DECIMALS
DEFAULT_GAS_MONEY_WEI: Final = 10 * 10**18
_FEE_CAP_WEI: Final = 10**12
# Limits instead of estimates: calls to a contract that is deployed in the same block have none.
DEPLOY_GAS: Final = 4_000_000
CALL_GAS: Final = 200_000
_TRANSFER_GAS: Final = 21_000
UNLIMITED: Final = 2**256 - 1
_MINED_WITHIN_S: Final = 60.0
_POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where the contracts are."""

    aggregator: str
    token: str
    token_decimals: int
    chain_id: int


async def deploy(
    rpc_url: str,
    chain_id: int,
    deployer_key: str,
    lender_keys: Sequence[str],
    *,
    relayer: str,
    record: Path | None = None,
    principal_units: int = DEFAULT_PRINCIPAL_UNITS,
    gas_money_wei: int = DEFAULT_GAS_MONEY_WEI,
) -> Deployment:
    """Deploy, or find again what `record` names; then furnish lenders and relayer.

    Every lender ends with at least `principal_units` of TestUSD and an unlimited approval; lenders
    and relayer with at least half of `gas_money_wei`. Raises Permanent CHAIN_ID_MISMATCH or
    DEPLOYMENT_FAILED with the step that reverted.
    """
    rpc = JSONRPCProvider(rpc_url)
    try:
        found = mapping.quantity(await rpc.call("eth_chainId"))
        if found != chain_id:
            raise Permanent("CHAIN_ID_MISMATCH", f"configured {chain_id}, found {found}")
        owner = await Purse.open(rpc, chain_id, deployer_key)
        deployment = await _recorded(rpc, record, chain_id) or await _deploy(owner)
        lenders = [address_of(key) for key in lender_keys]
        for lender in lenders:
            await _furnish_lender(owner, deployment, lender, principal_units)
        for account in dict.fromkeys((*lenders, relayer)):
            await _give_gas_money(owner, account, gas_money_wei)
        await owner.wait()
        purses = [await Purse.open(rpc, chain_id, key) for key in lender_keys]
        for purse in purses:
            await _approve(purse, deployment, principal_units)
        await asyncio.gather(*(purse.wait() for purse in purses))
    finally:
        await rpc.close()
    if record is not None:
        _write(record, deployment)
    return deployment


class Purse:
    """An account that sends transactions in the order of its nonces and waits for all at once."""

    def __init__(
        self, rpc: JSONRPCProvider, chain_id: int, key: str, nonce: int, fees_wei: tuple[int, int]
    ) -> None:
        self.rpc = rpc
        self.chain_id = chain_id
        self.address = address_of(key)
        self.nonce = nonce
        self._account = Account.from_key(key)
        self._fees_wei = fees_wei
        self._sent: dict[str, str] = {}

    @classmethod
    async def open(cls, rpc: JSONRPCProvider, chain_id: int, key: str) -> Purse:
        """The account of this key, with its next nonce and today's fees."""
        calls = [
            ("eth_getTransactionCount", (address_of(key), "pending")),
            ("eth_feeHistory", ("0x1", "latest", [50])),
        ]
        nonce, history = mapping.results(await rpc.batch(calls))
        return cls(rpc, chain_id, key, mapping.quantity(nonce), mapping.fees(history, _FEE_CAP_WEI))

    async def send(
        self, step: str, *, to: str | None, data: bytes = b"", gas: int = CALL_GAS, value: int = 0
    ) -> None:
        """Send one step; `to` None creates a contract."""
        signed = self._account.sign_transaction(
            {
                "type": 2,
                "chainId": self.chain_id,
                "nonce": self.nonce,
                "value": value,
                "data": HexStr("0x" + data.hex()),
                "gas": gas,
                "maxFeePerGas": self._fees_wei[0],
                "maxPriorityFeePerGas": self._fees_wei[1],
                **({} if to is None else {"to": to}),
            }
        )
        raw = "0x" + bytes(signed.raw_transaction).hex()
        self._sent[await self.rpc.call("eth_sendRawTransaction", raw)] = step
        self.nonce += 1

    async def wait(self) -> None:
        """Wait until every step is in a block; raises DEPLOYMENT_FAILED for one that reverted."""
        try:
            async with asyncio.timeout(_MINED_WITHIN_S):
                while self._sent:
                    await self._settle_mined()
                    if self._sent:
                        # A development chain need not wait for its clock; others know no such call.
                        with suppress(RPCError):
                            await self.rpc.call("evm_mine")
                        await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise Transient("DEPLOYMENT_NOT_MINED", ", ".join(self._sent.values())) from None

    async def _settle_mined(self) -> None:
        hashes = list(self._sent)
        calls = [("eth_getTransactionReceipt", (tx_hash,)) for tx_hash in hashes]
        answers = mapping.results(await self.rpc.batch(calls))
        for tx_hash, answer in zip(hashes, answers, strict=True):
            if answer is None:
                continue
            step = self._sent.pop(tx_hash)
            if not mapping.receipt(tx_hash, answer).succeeded:
                raise Permanent("DEPLOYMENT_FAILED", step)


async def _deploy(owner: Purse) -> Deployment:
    """Create both contracts; their addresses follow from the nonces, so nothing is waited for."""
    addresses: list[str] = []
    for name in ("TestUSD", "CreditAggregator"):
        creator = HexAddress(HexStr(owner.address))
        addresses.append(get_create_address(creator, Nonce(owner.nonce)))
        arguments = encode(["address"], [owner.address])
        await owner.send(name, to=None, data=bytecode(name) + arguments, gas=DEPLOY_GAS)
    token, aggregator = addresses
    await owner.send(
        "setToken", to=aggregator, data=call_data("setToken(address,bool)", token, True)
    )
    return Deployment(aggregator, token, TOKEN_DECIMALS, owner.chain_id)


async def _recorded(rpc: JSONRPCProvider, record: Path | None, chain_id: int) -> Deployment | None:
    """The recorded deployment, if it is of this chain and its contracts are still there."""
    if record is None or not record.exists():
        return None
    try:
        deployment = Deployment(**json.loads(record.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        return None  # not one of ours: deploy anew and write a whole one
    if deployment.chain_id != chain_id:
        return None
    calls = [("eth_getCode", (at, "latest")) for at in (deployment.aggregator, deployment.token)]
    codes = mapping.results(await rpc.batch(calls))
    allowed = await view(rpc, deployment.aggregator, "allowedTokens(address)", deployment.token)
    return deployment if all(map(mapping.code_present, codes)) and allowed else None


async def _furnish_lender(owner: Purse, at: Deployment, lender: str, principal: int) -> None:
    """List the lender and fill its account up to the principal."""
    if not await view(owner.rpc, at.aggregator, "authorizedProviders(address)", lender):
        listing = call_data("setProvider(address,bool)", lender, True)
        await owner.send(f"setProvider {lender}", to=at.aggregator, data=listing)
    balance = await view(owner.rpc, at.token, "balanceOf(address)", lender)
    if balance < principal:
        minting = call_data("mint(address,uint256)", lender, principal - balance)
        await owner.send(f"mint {lender}", to=at.token, data=minting)


async def _give_gas_money(owner: Purse, account: str, gas_money_wei: int) -> None:
    balance = mapping.quantity(await owner.rpc.call("eth_getBalance", account, "latest"))
    if balance < gas_money_wei // 2:
        missing = gas_money_wei - balance
        await owner.send(f"gas money {account}", to=account, gas=_TRANSFER_GAS, value=missing)


async def _approve(lender: Purse, at: Deployment, principal: int) -> None:
    granted = await view(
        lender.rpc, at.token, "allowance(address,address)", lender.address, at.aggregator
    )
    if granted < principal:
        approval = call_data("approve(address,uint256)", at.aggregator, UNLIMITED)
        await lender.send(f"approve {lender.address}", to=at.token, data=approval)


async def view(rpc: JSONRPCProvider, to: str, signature: str, *arguments: Any) -> int:
    """The word a view returns; 0 where there is no contract yet."""
    call = {"to": to, "data": "0x" + call_data(signature, *arguments).hex()}
    answer = await rpc.call("eth_call", call, "latest")
    return 0 if answer == "0x" else mapping.word(answer)


def call_data(signature: str, *arguments: Any) -> bytes:
    """A call's selector and arguments."""
    types = signature[signature.index("(") + 1 : -1].split(",")
    return mapping.selector(signature) + encode(types, arguments)


def bytecode(name: str) -> bytes:
    """The creation code of one of our contracts."""
    artefact = json.loads((mapping.ARTIFACTS / f"{name}.json").read_text(encoding="utf-8"))
    return bytes.fromhex(artefact["bytecode"].removeprefix("0x"))


def _write(record: Path, deployment: Deployment) -> None:
    """Replace the record at once, so that a reader never sees half of it."""
    record.parent.mkdir(parents=True, exist_ok=True)
    partial = record.with_name(f"{record.name}.{os.getpid()}")
    partial.write_text(json.dumps(asdict(deployment), indent=2) + "\n", encoding="utf-8")
    partial.replace(record)
