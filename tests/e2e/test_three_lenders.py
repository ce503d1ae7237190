"""Three lenders compete for one loan; the pool's and the fintech's offers are settled for real.

The bank's offer is settled by the other tests; here nothing but the chain's own words count.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from sandbox.borrower import Borrower
from sandbox.stack_settings import BANK, FINTECH, POOL
from sandbox.steering import steer
from tests.e2e.outside import World, word

pytestmark = pytest.mark.stack

PRINCIPAL_UNITS = 5_000 * 10**6


@dataclass(frozen=True)
class Funded:
    """A loan from the lender it names, and what was offered beside it."""

    provider_id: str
    lender: str
    person: Borrower
    offered: list[dict[str, Any]]
    view: dict[str, Any]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def loans(world: World) -> dict[str, Funded]:
    """Two people at once, of whom each accepts another lender's best offer."""
    lenders = {FINTECH: world.stack.fintech_lender.address, POOL: world.stack.pool}

    async def borrow(provider_id: str, lender: str) -> Funded:
        person = world.person()
        view = await world.apply_until(person, "offered")
        [chosen, *_] = [o for o in view["offers"] if o["provider_id"] == provider_id]
        await person.accept(view["application_id"], chosen)
        funded = await world.until(person, view["application_id"], "funded")
        assert funded["accepted_offer_id"] == chosen["offer_id"]
        return Funded(provider_id, lender, person, view["offers"], funded)

    made = await asyncio.gather(*(borrow(*each) for each in lenders.items()))
    return {loan.provider_id: loan for loan in made}


async def test_offers_are_ranked_by_what_they_really_cost(loans: dict[str, Funded]) -> None:
    for loan in loans.values():
        rank = [(o["apr_bps"], o["total_repayable_minor"]) for o in loan.offered]
        assert rank == sorted(rank)
        assert len(set(rank)) == len(rank)
        assert {o["provider_id"] for o in loan.offered} == {BANK, FINTECH, POOL}
        best = {o["provider_id"]: o["apr_bps"] for o in reversed(loan.offered)}
        assert len(set(best.values())) == 3
        for offer in loan.offered:
            assert offer["apr_bps"] == _apr_bps(offer), offer["provider_id"]
        assert _missing(loan.view) == []


@pytest.mark.parametrize("provider_id", [FINTECH, POOL])
async def test_the_lender_itself_paid_the_borrower_once(
    world: World, loans: dict[str, Funded], provider_id: str
) -> None:
    loan, node = loans[provider_id], world.node
    transaction, at = loan.view["transaction"], loan.person.deployment
    receipt = await node.call("eth_getTransactionReceipt", transaction["tx_hash"])
    block = int(receipt["blockNumber"], 16)
    assert receipt["status"] == "0x1"
    [event] = await node.disbursements(at.aggregator, transaction["loan_reference"])
    assert event["transactionHash"] == transaction["tx_hash"]
    assert event["data"][2:66] == word(loan.lender)
    assert event["topics"][3][2:] == word(loan.person.wallet.address)
    assert await node.balance_of(at.token, loan.person.wallet.address) == PRINCIPAL_UNITS
    moved = [await node.balance_of(at.token, loan.lender, number) for number in (block - 1, block)]
    assert (moved[0] - moved[1]) % PRINCIPAL_UNITS == 0 < moved[0] - moved[1]


async def test_the_pools_contract_answered_for_the_terms_that_were_settled(
    world: World, loans: dict[str, Funded]
) -> None:
    loan, node = loans[POOL], world.node
    pool, at = world.stack.pool, loan.person.deployment
    assert len(await node.call("eth_getCode", pool, "latest")) > 2
    mined = await node.call("eth_getTransactionByHash", loan.view["transaction"]["tx_hash"])
    words = mined["input"][10:]
    terms = words[: 10 * 64]
    place = 2 * int(words[10 * 64 : 11 * 64], 16)
    length = 2 * int(words[place : place + 64], 16)
    signature = words[place + 64 : place + 64 + length]
    # The lender's signature is the terms themselves, and the underwriter's 65 bytes over them.
    assert (length, signature[: 10 * 64]) == (2 * 385, terms)
    assert terms[64:128] == word(pool)
    fields = "bytes32,address,address,address,uint256,uint256,uint32,uint32,uint256,uint256"
    assert int(await node.view(pool, f"refusalOf(({fields}))", terms), 16) == 0
    outstanding = int(await node.view(pool, "outstanding()"), 16)
    assert outstanding >= PRINCIPAL_UNITS
    total = int(await node.view(pool, "totalAssets()"), 16)
    assert total - outstanding == await node.balance_of(at.token, pool)


async def test_each_counterparty_did_everything_once(
    world: World, loans: dict[str, Funded]
) -> None:
    for provider_id, name in ((FINTECH, "fintech"), (POOL, "pool_underwriter")):
        reference = loans[provider_id].view["transaction"]["loan_reference"]
        assert len(world.journals.effects(name, "quote.confirmed", reference)) == 1
        assert world.journals.repeated(name) == []
        for other in {"bank", "fintech", "pool_underwriter"} - {name}:
            assert world.journals.effects(other, "quote.confirmed", reference) == []


async def test_lenders_in_trouble_cost_nobody_the_others_offers(world: World) -> None:
    """One hangs, one sends half of its JSON, one lists its offers three times."""
    person = world.person()
    trouble = {
        "bank": {"hang_s": 30},
        "fintech": {"duplicate_offers": 2},
        "pool_underwriter": {"malformed": True},
    }
    for counterparty, do in trouble.items():
        match = {"field": "borrower", "equals": person.wallet.address}
        rule = {"id": f"trouble-{person.wallet.address}", "match": match, "do": do}
        await steer(world.stack, counterparty, [rule])
    view = await world.apply_until(person, "offered")
    assert [offer["provider_id"] for offer in view["offers"]] == [FINTECH, FINTECH]
    assert len({offer["terms_hash"] for offer in view["offers"]}) == 2
    [bank, pool] = _missing(view)
    assert (bank["provider_id"], pool["provider_id"]) == (BANK, POOL)
    assert bank["reason"] in ("DEADLINE_EXCEEDED", "UPSTREAM_UNREACHABLE")
    assert pool["reason"] == "MALFORMED_RESPONSE"


def _missing(view: dict[str, Any]) -> list[dict[str, Any]]:
    """Which of the three lenders made no offer; others may be registered on the same stack."""
    missing = [m for m in view["missing_offers"] if m["provider_id"] in (BANK, FINTECH, POOL)]
    return sorted(missing, key=lambda each: str(each["provider_id"]))


def _apr_bps(offer: dict[str, Any]) -> int:
    """The rate at which the payments are worth what was received, by Newton's method."""
    payment, months, amount = (
        offer["monthly_payment_minor"], offer["term_months"], offer["amount_minor"],
    )  # fmt: skip
    last = offer["total_repayable_minor"] - payment * (months - 1)
    flows = [payment] * (months - 1) + [last]
    rate = 0.01
    for _ in range(50):
        value = sum(flow / (1 + rate) ** n for n, flow in enumerate(flows, 1)) - amount
        slope = -sum(n * flow / (1 + rate) ** (n + 1) for n, flow in enumerate(flows, 1))
        rate -= value / slope
    return round(rate * 12 * 10_000)
