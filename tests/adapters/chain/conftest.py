"""A chain of its own for every module: anvil with the contracts, a lender and a relayer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from itertools import count

import pytest

from adapters.chain import eip712
from adapters.chain.aggregator import EVMSettlementChain
from adapters.chain.rpc import JSONRPCProvider
from models.domain.offer import Acceptance, LoanTerms
from sandbox.services.chain import Anvil
from sandbox.services.deployment import Deployment, deploy
from sandbox.wallets import DEVELOPMENT_DEPLOYER_KEY, Wallet, wallet

CHAIN_ID = 31_447
FAR_FUTURE = 4_000_000_000
SEED = bytes(range(32))


@dataclass(frozen=True)
class Loan:
    """Terms with both signatures, as a settlement is given them."""

    terms: LoanTerms
    lender_signature: str
    acceptance: Acceptance


@dataclass(frozen=True)
class Chain:
    """A running chain with its contracts."""

    rpc_url: str
    rpc: JSONRPCProvider
    deployment: Deployment
    lender: Wallet
    relayer: Wallet

    async def connect(self, **changes: object) -> EVMSettlementChain:
        """The adapter as the product builds it, except for what a test changes."""
        settings = {
            "rpc_url": self.rpc_url,
            "chain_id": CHAIN_ID,
            "aggregator": self.deployment.aggregator,
            "token": self.deployment.token,
            "token_decimals": 6,
            "private_key": self.relayer.private_key,
            "confirmations": 3,
            "sandbox_chain_ids": {CHAIN_ID},
        }
        return await EVMSettlementChain.connect(**{**settings, **changes})

    async def balance_units(self, account: str) -> int:
        data = "0x70a08231" + account[2:].rjust(64, "0")
        call = {"to": self.deployment.token, "data": data}
        return int(await self.rpc.call("eth_call", call, "latest"), 16)

    async def mined(self, tx_hash: str) -> None:
        """Wait for its block: even a chain that mines at once does so after it has answered."""
        async with asyncio.timeout(60):
            while await self.rpc.call("eth_getTransactionReceipt", tx_hash) is None:
                await asyncio.sleep(0.01)

    async def mine(self, blocks: int) -> None:
        await self.rpc.call("anvil_mine", hex(blocks))


@pytest.fixture(scope="module")
async def anvil(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The URL of an empty chain that mines every transaction at once."""
    service = Anvil(tmp_path_factory.mktemp("chain"), CHAIN_ID, block_time_s=None)
    await service.start()
    try:
        yield service.rpc_url
    finally:
        await service.kill()


@pytest.fixture(scope="module")
async def chain(anvil: str) -> AsyncIterator[Chain]:
    lender, relayer = wallet("lender", SEED), wallet("relayer", SEED)
    deployment = await deploy(
        anvil, CHAIN_ID, DEVELOPMENT_DEPLOYER_KEY, [lender.private_key], relayer=relayer.address
    )
    rpc = JSONRPCProvider(anvil)
    try:
        yield Chain(anvil, rpc, deployment, lender, relayer)
    finally:
        await rpc.close()


@pytest.fixture
async def settlement(chain: Chain) -> AsyncIterator[EVMSettlementChain]:
    adapter = await chain.connect()
    try:
        yield adapter
    finally:
        await adapter.close()


@pytest.fixture(scope="module")
def borrower() -> Wallet:
    return wallet("borrower", SEED)


@pytest.fixture(scope="module")
def loan(chain: Chain, borrower: Wallet) -> Callable[..., Loan]:
    """Makes loans that nobody has settled yet; `changes` are made before both sides sign."""
    numbers = count(1)

    def make(**changes: object) -> Loan:
        number = next(numbers)
        terms = LoanTerms(
            loan_reference=eip712.loan_reference("acme", f"app_{number}"),
            lender=chain.lender.address,
            borrower=borrower.address,
            token=chain.deployment.token,
            principal=1_500_000_000,
            total_repayable=1_650_000_000,
            apr_bps=1_299,
            term_months=24,
            nonce=number,
            deadline=FAR_FUTURE,
        )
        return signed(chain, replace(terms, **changes), borrower)

    return make


def signed(chain: Chain, terms: LoanTerms, borrower: Wallet) -> Loan:
    """These terms with the signatures of the lender and of this borrower."""
    aggregator = chain.deployment.aggregator
    terms_hash = eip712.terms_hash(terms)
    signature = eip712.sign_acceptance(
        terms_hash,
        terms.borrower,
        terms.nonce,
        FAR_FUTURE,
        chain_id=CHAIN_ID,
        aggregator=aggregator,
        private_key=borrower.private_key,
    )
    return Loan(
        terms=terms,
        lender_signature=eip712.sign_terms(terms, CHAIN_ID, aggregator, chain.lender.private_key),
        acceptance=Acceptance(terms_hash, terms.borrower, terms.nonce, FAR_FUTURE, signature),
    )
