"""The lending pool on a real chain: what it is asked, what it says, and what it then pays."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

import httpx
import pytest

from adapters.chain import aggregator_mapping as mapping
from adapters.chain.aggregator import EVMSettlementChain
from adapters.chain.eip712 import sign_terms, terms_hash
from adapters.chain.pool import PoolStanding, newest_standing, standing_at
from adapters.chain.rpc import JSONRPCProvider
from adapters.http import HTTPCaller
from adapters.providers.pool import MAX_QUOTE_AGE_BLOCKS, PoolProvider
from adapters.providers.pool_pricing import nominal_rate_bps, pd_ppm
from models.domain.errors import Permanent, Transient
from models.domain.offer import Quote, QuoteRequest, SettlementVenue
from models.domain.provider import ProviderStatus
from sandbox.services.deployment import view
from sandbox.services.pool_deployment import deploy_pool
from sandbox.wallets import DEVELOPMENT_DEPLOYER_KEY, wallet
from tests.adapters.chain.conftest import CHAIN_ID, SEED, Chain
from tests.adapters.providers.borrowing import BORROWER, REQUEST, accepted

pytestmark = pytest.mark.stack

OWNER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
UNDERWRITER = wallet("underwriter", SEED)
UNITS = 10**6
DEPOSITED = 100_000 * UNITS
API_KEY = "key-of-ours"


@dataclass(frozen=True)
class Lending:
    """A pool of its own for every test, with its underwriter and what we know it by."""

    chain: Chain
    pool: str
    provider: PoolProvider
    underwriter_url: str
    request: QuoteRequest

    @property
    def venue(self) -> SettlementVenue:
        return self.request.venue

    async def standing(self) -> PoolStanding:
        return await newest_standing(self.chain.rpc, self.pool)

    async def as_owner(self, signature: str, *words: str | int) -> None:
        """A call of the pool's owner whose arguments are single words: addresses and numbers."""
        numbers = (int(word, 16) if isinstance(word, str) else word for word in words)
        data = mapping.selector(signature) + b"".join(each.to_bytes(32, "big") for each in numbers)
        call = {"from": OWNER, "to": self.pool, "data": "0x" + data.hex()}
        await self.chain.mined(await self.chain.rpc.call("eth_sendTransaction", call))

    async def told(self, **do: object) -> None:
        rules = {"rules": [{"id": "r", "do": do}]}
        async with httpx.AsyncClient(trust_env=False) as http:
            headers = {"authorization": "Bearer steer"}
            answer = await http.post(
                f"{self.underwriter_url}/steering", json=rules, headers=headers
            )
        assert answer.status_code == 201


@pytest.fixture
async def lending(chain: Chain, client, counterparty) -> AsyncIterator[Lending]:
    pool = await deploy_pool(
        chain.rpc_url,
        chain.deployment,
        DEVELOPMENT_DEPLOYER_KEY,
        UNDERWRITER.address,
        deposited_units=DEPOSITED,
        max_principal_units=20_000 * UNITS,
    )
    underwriter = counterparty(
        "pool_underwriter",
        api_key=API_KEY,
        underwriter_private_key=UNDERWRITER.private_key,
        rpc_url=chain.rpc_url,
        pool=pool,
        steering_secret="steer",
    )
    at = chain.deployment
    venue = SettlementVenue(CHAIN_ID, at.aggregator, at.token, at.token_decimals)
    rpc = JSONRPCProvider(chain.rpc_url)
    provider = PoolProvider(
        HTTPCaller(client, underwriter.url),
        rpc,
        "pool",
        pool_address=pool,
        api_key=API_KEY,
        terms_hash=terms_hash,
    )
    # A reference is settled once on this chain, which many tests share.
    request = replace(REQUEST, venue=venue, loan_reference="0x" + pool[2:].lower().rjust(64, "0"))
    yield Lending(chain, pool, provider, underwriter.url, request)
    await rpc.close()


async def confirmed(lending: Lending, quote: Quote) -> str:
    acceptance = accepted(quote, lending.venue)
    answer = await lending.provider.accept_offer("acme", "app_1", quote, acceptance)
    return answer.lender_signature


async def test_the_pool_lends_through_the_aggregator_by_its_own_answer(
    lending: Lending, settlement: EVMSettlementChain
) -> None:
    [quote] = await lending.provider.get_offers(lending.request)
    assert quote.terms.lender == lending.pool
    signature = await confirmed(lending, quote)
    assert len(bytes.fromhex(signature[2:])) == 320 + 65
    assert await settlement.signed_by_lender(quote.terms, signature)

    before = await lending.chain.balance_units(BORROWER)
    acceptance = accepted(quote, lending.venue, nonce=int(lending.pool, 16))
    gas = await settlement.simulate(quote.terms, signature, acceptance)
    nonce = await settlement.next_nonce()
    transaction = settlement.sign_settle(quote.terms, signature, acceptance, nonce, gas)
    await settlement.broadcast(transaction)
    await lending.chain.mined(transaction.tx_hash)
    receipt = (await settlement.receipts([transaction.tx_hash]))[transaction.tx_hash]
    assert receipt.succeeded
    # Measured 394,000, for a borrower who had no tokens; of a plain account it takes 358,000.
    assert receipt.gas_used < 420_000
    assert await lending.chain.balance_units(BORROWER) - before == 15_000 * UNITS
    assert await lending.chain.balance_units(lending.pool) == DEPOSITED - 15_000 * UNITS
    standing = await lending.standing()
    assert (standing.outstanding, standing.idle) == (15_000 * UNITS, DEPOSITED - 15_000 * UNITS)
    assert standing.total_assets == DEPOSITED


async def test_what_the_pool_did_not_sign_is_no_signature(
    lending: Lending, settlement: EVMSettlementChain
) -> None:
    [quote] = await lending.provider.get_offers(lending.request)
    signature = await confirmed(lending, quote)
    at = lending.venue
    bare = sign_terms(quote.terms, at.chain_id, at.aggregator, UNDERWRITER.private_key)
    flipped = signature[:-4] + ("00" if signature[-4:-2] != "00" else "01") + signature[-2:]
    other = replace(quote.terms, principal=quote.terms.principal + 1)
    for terms, given in (
        (quote.terms, bare),
        (quote.terms, flipped),
        (quote.terms, signature + "00"),
        (quote.terms, "0x"),
        (quote.terms, "0x123"),
        (quote.terms, "garbage"),
        (other, signature),
        (replace(quote.terms, lender=BORROWER), signature),
        (replace(quote.terms, lender=lending.chain.deployment.token), signature),
    ):
        assert not await settlement.signed_by_lender(terms, given)


@pytest.mark.parametrize(
    "change",
    [
        ("setUnderwriter(address,bool)", UNDERWRITER.address, 0),
        ("pause()",),
        ("setLimits((uint256,uint256,uint32,uint32))", 1, 1, 0, 60),
    ],
    ids=["revoked", "paused", "limits"],
)
async def test_the_pool_may_take_its_answer_back(
    lending: Lending, settlement: EVMSettlementChain, change: tuple[str, ...]
) -> None:
    [quote] = await lending.provider.get_offers(lending.request)
    signature = await confirmed(lending, quote)
    assert await settlement.signed_by_lender(quote.terms, signature)
    await lending.as_owner(*change)
    assert not await settlement.signed_by_lender(quote.terms, signature)
    with pytest.raises(Permanent, match="InvalidLenderSignature"):
        await settlement.simulate(quote.terms, signature, accepted(quote, lending.venue))


async def test_a_lender_that_cannot_be_asked_is_not_judged(lending: Lending, chain: Chain) -> None:
    [quote] = await lending.provider.get_offers(lending.request)
    signature = await confirmed(lending, quote)
    adapter = await chain.connect()
    await adapter.close()
    with pytest.raises(Transient, match="CHAIN_UNREACHABLE"):
        await adapter.signed_by_lender(quote.terms, signature)


@pytest.mark.parametrize("pd", [0.0, 1e-9, 0.0125, 0.2, 1.0])
@pytest.mark.parametrize("principal", [1, 15_000 * UNITS, DEPOSITED, 3 * DEPOSITED])
async def test_our_price_is_the_contracts_own(lending: Lending, pd: float, principal: int) -> None:
    standing = await lending.standing()
    theirs = await view(
        lending.chain.rpc, lending.pool, "nominalRateBps(uint256,uint256)", principal, pd_ppm(pd)
    )
    assert nominal_rate_bps(standing, principal, pd) == theirs


async def test_asking_again_gives_the_same_quote_though_the_pool_moved_on(
    lending: Lending,
) -> None:
    [first] = await lending.provider.get_offers(lending.request)
    await lending.as_owner("setUnderwriter(address,bool)", BORROWER, 1)
    assert await lending.provider.get_offers(lending.request) == (first,)


async def test_a_quote_older_than_nodes_remember_cannot_be_checked(lending: Lending) -> None:
    await lending.provider.get_offers(lending.request)
    await lending.chain.mine(MAX_QUOTE_AGE_BLOCKS + 1)
    with pytest.raises(Permanent, match="BLOCK_TOO_OLD"):
        await lending.provider.get_offers(lending.request)


@pytest.mark.parametrize(
    "unwanted",
    [{"amount_minor": 2_000_001}, {"pd": None, "score": None}, {"pd": 0.21}, {"term_months": 61}],
)
async def test_a_loan_the_pool_does_not_want_has_no_quote(lending: Lending, unwanted) -> None:
    assert await lending.provider.get_offers(replace(lending.request, **unwanted)) == ()


async def test_the_underwriter_does_not_sign_what_the_pool_would_refuse(lending: Lending) -> None:
    [quote] = await lending.provider.get_offers(lending.request)
    await lending.as_owner("pause()")
    with pytest.raises(Permanent) as raised:
        await confirmed(lending, quote)
    assert raised.value.code == "PROVIDER_REFUSED"
    assert "POOL_REFUSES" in raised.value.detail


async def test_changed_terms_and_a_wrong_key_are_refused(lending: Lending, client) -> None:
    [quote] = await lending.provider.get_offers(lending.request)
    await lending.told(changed_terms=True)
    with pytest.raises(Permanent) as raised:
        await confirmed(lending, quote)
    assert raised.value.code == "TERMS_CHANGED"
    stranger = PoolProvider(
        HTTPCaller(client, lending.underwriter_url),
        lending.chain.rpc,
        "pool",
        pool_address=lending.pool,
        api_key="wrong",
        terms_hash=terms_hash,
    )
    with pytest.raises(Transient, match="CREDENTIALS_REFUSED"):
        await stranger.get_offers(lending.request)


async def test_only_a_pool_is_read_as_one(chain: Chain) -> None:
    head = int(await chain.rpc.call("eth_blockNumber"), 16)
    for nobody in (chain.deployment.token, BORROWER):
        with pytest.raises(Permanent, match="POOL_ABSENT"):
            await standing_at(chain.rpc, nobody, head, max_age_blocks=10)


async def test_a_block_that_is_not_there_yet_is_waited_for(lending: Lending) -> None:
    head = int(await lending.chain.rpc.call("eth_blockNumber"), 16)
    with pytest.raises(Transient):
        await standing_at(lending.chain.rpc, lending.pool, head + 5, max_age_blocks=10)


async def test_status_is_whether_both_answer(lending: Lending, counterparty: Callable) -> None:
    assert await lending.provider.get_status() is ProviderStatus.ACTIVE
    await lending.provider._rpc.close()
    assert await lending.provider.get_status() is ProviderStatus.INACTIVE
