"""The script of the pool's protocol: a chain with the pool on it, and the pool's underwriter."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from adapters.chain import aggregator_mapping as mapping
from adapters.chain.eip712 import terms_digest
from adapters.chain.rpc import JSONRPCProvider
from models.domain.offer import LoanTerms, SettlementVenue
from sandbox.certification.json_answers import JSONShape
from sandbox.certification.rehearsal import Rehearsal, Stage
from sandbox.certification.rehearsals.bank import REFUSALS, quote_in, step_of
from sandbox.services.chain import SANDBOX_CHAIN_ID, Anvil
from sandbox.services.deployment import call_data, deploy
from sandbox.services.pool_deployment import deploy_pool
from sandbox.wallets import DEVELOPMENT_DEPLOYER_KEY, SEED_BYTES, wallet


@asynccontextmanager
async def _stage(folder: Path) -> AsyncIterator[Stage]:
    seed = secrets.token_bytes(SEED_BYTES)
    underwriter, relayer = wallet("underwriter", seed), wallet("relayer", seed)
    chain = Anvil(folder, SANDBOX_CHAIN_ID, block_time_s=None)
    await chain.start()
    try:
        at = await deploy(
            chain.rpc_url,
            SANDBOX_CHAIN_ID,
            DEVELOPMENT_DEPLOYER_KEY,
            [],
            relayer=relayer.address,
        )
        pool = await deploy_pool(chain.rpc_url, at, DEVELOPMENT_DEPLOYER_KEY, underwriter.address)
        venue = SettlementVenue(at.chain_id, at.aggregator, at.token, at.token_decimals)
        credentials = {"api_key": secrets.token_urlsafe(24)}
        yield Stage(
            counterparty={
                **credentials,
                "underwriter_private_key": underwriter.private_key,
                "rpc_url": chain.rpc_url,
                "pool": pool,
            },
            config={"pool_address": pool},
            credentials=credentials,
            venue=venue,
            rpc_url=chain.rpc_url,
            signed_by_lender=_answers_for(chain.rpc_url, venue),
        )
    finally:
        await chain.kill()


def _answers_for(
    rpc_url: str, venue: SettlementVenue
) -> Callable[[LoanTerms, str], Awaitable[bool]]:
    """Whether the pool answers for these terms, as the aggregator would ask it (ERC-1271)."""

    async def signed(terms: LoanTerms, signature: str) -> bool:
        digest = terms_digest(terms, venue.chain_id, venue.aggregator)
        data = call_data(mapping.IS_VALID_SIGNATURE, digest, bytes.fromhex(signature[2:]))
        rpc = JSONRPCProvider(rpc_url)
        try:
            answer = await rpc.call(
                "eth_call", {"to": terms.lender, "data": "0x" + data.hex()}, "latest"
            )
        finally:
            await rpc.close()
        return mapping.answered_word(answer) == mapping.ERC1271_YES

    return signed


REHEARSAL: Final = Rehearsal(
    stage=_stage,
    step_of=step_of,
    opened=JSONShape(quote_in, single="quote").opened,
    effect="quote.confirmed",
    refusals=REFUSALS,
    unwanted={"amount_minor": 100_000_000},
)
