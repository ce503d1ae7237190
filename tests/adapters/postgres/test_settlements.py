"""Nonces, signed bytes and the books: every one once, none lost, none invented."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from adapters.postgres.watching import PostgresOpenSettlements
from models.domain.application import ApplicationEnding, State
from models.domain.errors import Conflict, InvariantViolated, NotFound
from models.domain.settlement import ChainReceipt, SettlementOrder, SettlementState
from tests.adapters.postgres.locking import waits_empty_handed

pytestmark = pytest.mark.stack

CHAIN_ID = 31337
BLOCK = "0x" + "55" * 32


async def next_nonce(lending: Any, sender: str) -> int | None:
    nonce: int | None = await lending.value(
        "SELECT next_nonce FROM chain_accounts WHERE sender = $1", sender
    )
    return nonce


async def entries(lending: Any, tenant_id: str) -> dict[str, str]:
    rows = await lending.rows(
        "SELECT kind, state FROM ledger_entries WHERE tenant_id = $1", tenant_id
    )
    return {row["kind"]: row["state"] for row in rows}


async def test_fifty_settlements_at_once_take_consecutive_nonces(lending: Any) -> None:
    tenant_id, sender = lending.tenant(), lending.sender()
    records = lending.settlements(sender)
    orders = [
        await lending.accepted(await lending.application(tenant_id, f"user-{number}"))
        for number in range(50)
    ]
    accepted = await asyncio.gather(*(records.accepted_offer(order) for order in orders))
    quotes = [each.quote for each in accepted]
    attempts = await asyncio.gather(
        *(
            records.persist_attempt(order, quote, 7, lending.signer(sender))
            for order, quote in zip(orders, quotes, strict=True)
        )
    )
    assert sorted(each.transaction.nonce for each in attempts) == list(range(7, 57))
    assert await next_nonce(lending, sender) == 57


async def test_one_application_is_signed_once_however_many_try(lending: Any) -> None:
    sender = lending.sender()
    records = lending.settlements(sender)
    order = await lending.accepted(await lending.application())
    quote = (await records.accepted_offer(order)).quote
    attempts = await asyncio.gather(
        *(records.persist_attempt(order, quote, 0, lending.signer(sender)) for _ in range(12))
    )
    assert len({each.transaction for each in attempts}) == 1
    assert len({each.settlement_id for each in attempts}) == 1
    assert await next_nonce(lending, sender) == 1
    assert await records.attempt(order.application) == attempts[0]


async def test_a_failed_signature_takes_neither_nonce_nor_reservation(lending: Any) -> None:
    sender = lending.sender()
    records = lending.settlements(sender)
    order = await lending.accepted(await lending.application())
    quote = (await records.accepted_offer(order)).quote

    def refuse(_: int) -> Any:
        raise ValueError("no key")

    before = await lending.contents(order.application.tenant_id)
    with pytest.raises(ValueError, match="no key"):
        await records.persist_attempt(order, quote, 3, refuse)
    assert await lending.contents(order.application.tenant_id) == before
    assert await next_nonce(lending, sender) == 3
    signed = await records.persist_attempt(order, quote, 3, lending.signer(sender))
    assert signed.transaction.nonce == 3


@pytest.mark.parametrize(
    ("on_chain", "taken"), [([0, 0, 0], [0, 1, 2]), ([0, 9, 4], [0, 9, 10]), ([5, 0, 0], [5, 6, 7])]
)
async def test_the_nonce_is_never_below_the_chains(
    lending: Any, on_chain: list[int], taken: list[int]
) -> None:
    sender = lending.sender()
    records = lending.settlements(sender)
    nonces = []
    for chain_nonce in on_chain:
        order = await lending.accepted(await lending.application())
        quote = (await records.accepted_offer(order)).quote
        attempt = await records.persist_attempt(order, quote, chain_nonce, lending.signer(sender))
        nonces.append(attempt.transaction.nonce)
    assert nonces == taken


async def test_only_an_accepted_offer_is_settled(lending: Any) -> None:
    ref = await lending.application()
    request = lending.accepting(ref, await lending.offered(ref))
    order = SettlementOrder(ref, request.offer_id, request.acceptance)
    with pytest.raises(NotFound, match="OFFER_NOT_ACCEPTED"):
        await lending.settlements().accepted_offer(order)
    with pytest.raises(Conflict, match="SETTLEMENT_CLOSED"):
        await lending.settlements().record_confirmation(order, "0x" + "cd" * 65)


async def test_a_lender_confirms_once(lending: Any) -> None:
    order = await lending.confirmed(await lending.application())
    before = await lending.contents(order.application.tenant_id)
    await lending.settlements().record_confirmation(order, "0x" + "cd" * 65)
    assert await lending.contents(order.application.tenant_id) == before
    with pytest.raises(Conflict, match="LENDER_SIGNED_TWICE"):
        await lending.settlements().record_confirmation(order, "0x" + "ef" * 65)
    assert await entries(lending, order.application.tenant_id) == {"commitment": "final"}


async def test_a_late_record_of_the_broadcast_takes_nothing_back(lending: Any) -> None:
    ref = await lending.application()
    attempt = await lending.signed(ref)
    watched = PostgresOpenSettlements(lending.chain, CHAIN_ID)
    (open_one,) = [each for each in await watched.open(500) if each.tenant_id == ref.tenant_id]
    assert open_one.transaction == attempt.transaction
    await watched.seen(open_one, ChainReceipt(attempt.transaction.tx_hash, 9, BLOCK, True, 1, 1))
    await lending.settlements().record_broadcast(ref, attempt)
    row = await lending.rows("SELECT * FROM settlements WHERE tenant_id = $1", ref.tenant_id)
    assert (row[0]["state"], row[0]["block_number"]) == ("included", 9)
    assert (await lending.settlements().attempt(ref)).was_broadcast
    # Told twice, recorded once.
    before = await lending.contents(ref.tenant_id)
    await lending.settlements().record_broadcast(ref, attempt)
    assert await lending.contents(ref.tenant_id) == before


async def test_depths_are_kept_and_only_changes_of_state_are_told(lending: Any) -> None:
    ref = await lending.application()
    attempt = await lending.signed(ref)
    await lending.settlements().record_broadcast(ref, attempt)
    watched = PostgresOpenSettlements(lending.chain, CHAIN_ID)

    async def open_one() -> Any:
        return next(each for each in await watched.open(500) if each.tenant_id == ref.tenant_id)

    tx_hash = attempt.transaction.tx_hash
    for depth in (1, 2, 3):
        await watched.seen(await open_one(), ChainReceipt(tx_hash, 9, BLOCK, True, depth, 1))
    assert (await open_one()).seen_at == (BLOCK, 3)
    await watched.seen(await open_one(), None)
    assert (await open_one()).state is SettlementState.BROADCAST
    assert (await open_one()).seen_at == (None, None)
    told = [each for each in await lending.audited(ref.tenant_id) if each.startswith("settlement")]
    assert told == [
        "settlement.signed", "settlement.broadcast", "settlement.included", "settlement.reorged",
    ]  # fmt: skip


async def test_what_is_final_is_watched_no_more(lending: Any) -> None:
    ref = await lending.application()
    attempt = await lending.signed(ref)
    watched = PostgresOpenSettlements(lending.chain, CHAIN_ID)
    open_one = next(each for each in await watched.open(500) if each.tenant_id == ref.tenant_id)
    await lending.loans.book_loan(ref, lending.final(attempt.transaction.tx_hash))
    assert all(each.tenant_id != ref.tenant_id for each in await watched.open(500))
    # A look that began before finality does not undo it.
    before = await lending.contents(ref.tenant_id)
    await watched.seen(open_one, None)
    assert await lending.contents(ref.tenant_id) == before


async def test_a_loan_is_booked_once_and_its_entries_balance(lending: Any) -> None:
    ref = await lending.application()
    attempt = await lending.signed(ref)
    observed = lending.final(attempt.transaction.tx_hash)
    outcomes = await asyncio.gather(*(lending.loans.book_loan(ref, observed) for _ in range(6)))
    assert len({each.loan_id for each in outcomes}) == 1
    assert outcomes[0].state is SettlementState.FINAL
    assert await entries(lending, ref.tenant_id) == {
        "commitment": "final", "disbursement": "final", "release": "final",
    }  # fmt: skip
    sums = await lending.rows(
        "SELECT account, sum(amount_minor)::bigint AS total FROM ledger_postings"
        " WHERE tenant_id = $1 GROUP BY account ORDER BY account",
        ref.tenant_id,
    )
    assert {row["account"]: row["total"] for row in sums} == {
        "commitments:bank-0": 0,
        "committed-funds:bank-0": 0,
        "lender-funds:bank-0": -500_000,
        "loans-receivable:bank-0": 500_000,
    }
    row = (await lending.rows("SELECT * FROM applications WHERE tenant_id = $1", ref.tenant_id))[0]
    assert (row["state"], row["stage"]) == ("funded", "closed")
    assert (await lending.audited(ref.tenant_id)).count("application.funded") == 1


async def test_a_booking_and_a_late_signature_wait_for_each_other(lending: Any) -> None:
    """Who signs has the application, and wants its settlement."""
    ref = await lending.application()
    attempt = await lending.signed(ref)
    act = lending.loans.book_loan(ref, lending.final(attempt.transaction.tx_hash))
    await waits_empty_handed(lending, ref.tenant_id, act, "applications", "settlements")


@pytest.mark.parametrize("signed", [False, True])
async def test_a_loan_that_somebody_else_relayed_is_booked_once(lending: Any, signed: bool) -> None:
    ref = await lending.application()
    theirs = replace(lending.final("0x" + "77" * 32), by_other=True)
    if signed:
        await lending.signed(ref)
    else:
        order = await lending.confirmed(ref)
        records = lending.settlements()
        await records.adopt(order, (await records.accepted_offer(order)).quote, theirs.tx_hash)
    outcomes = [await lending.loans.book_loan(ref, theirs) for _ in range(2)]
    assert outcomes[0] == outcomes[1]
    row = (await lending.rows("SELECT * FROM settlements WHERE tenant_id = $1", ref.tenant_id))[0]
    assert (row["state"], row["tx_hash"]) == ("final", theirs.tx_hash)
    assert await entries(lending, ref.tenant_id) == {
        "commitment": "final", "disbursement": "final", "release": "final",
    }  # fmt: skip


async def test_a_lender_that_confirmed_is_remembered(lending: Any) -> None:
    order = await lending.accepted(await lending.application())
    records = lending.settlements()
    assert (await records.accepted_offer(order)).lender_signature is None
    await records.record_confirmation(order, "0x" + "cd" * 65)
    assert (await records.accepted_offer(order)).lender_signature == "0x" + "cd" * 65


async def test_nothing_is_booked_for_a_transaction_that_is_not_ours(lending: Any) -> None:
    ref = await lending.application()
    await lending.signed(ref)
    before = await lending.contents(ref.tenant_id)
    for application in (ref, await lending.application(ref.tenant_id)):
        with pytest.raises(InvariantViolated, match=r"FOREIGN_TRANSACTION|SETTLEMENT_ABSENT"):
            await lending.loans.book_loan(application, lending.final("0x" + "99" * 32))
    after = await lending.contents(ref.tenant_id)
    assert after["loans"] == before["loans"] == []
    assert after["ledger_entries"] == before["ledger_entries"]


async def test_signed_bytes_are_never_given_up_but_by_the_chain(lending: Any) -> None:
    ref = await lending.application()
    attempt = await lending.signed(ref)
    before = await lending.contents(ref.tenant_id)
    undecided = await lending.failing(ref, "SETTLEMENT_FAILED")
    assert (undecided.state, undecided.tx_hash) == (
        SettlementState.SIGNED,
        attempt.transaction.tx_hash,
    )
    assert await lending.contents(ref.tenant_id) == before
    outcome = await lending.failing(ref, "TRANSACTION_REVERTED")
    assert (outcome.state, outcome.tx_hash) == (
        SettlementState.FAILED,
        attempt.transaction.tx_hash,
    )
    assert await entries(lending, ref.tenant_id) == {
        "commitment": "final", "disbursement": "void", "release": "final",
    }  # fmt: skip
    assert (
        await lending.value("SELECT count(*) FROM loans WHERE tenant_id = $1", ref.tenant_id) == 0
    )


async def test_a_failure_before_signing_releases_the_commitment(lending: Any) -> None:
    order = await lending.confirmed(await lending.application())
    ref = order.application
    outcome = await lending.failing(ref, "LENDER_SIGNATURE_INVALID")
    assert (outcome.state, outcome.tx_hash) == (SettlementState.FAILED, None)
    assert await entries(lending, ref.tenant_id) == {"commitment": "final", "release": "final"}
    assert not await lending.value(
        "SELECT sum(amount_minor)::bigint FROM ledger_postings WHERE tenant_id = $1", ref.tenant_id
    )


@pytest.mark.parametrize("signed", [False, True])
async def test_a_failure_is_recorded_once(lending: Any, signed: bool) -> None:
    ref = await lending.application()
    await (lending.signed(ref) if signed else lending.confirmed(ref))
    first = await lending.failing(ref, "TRANSACTION_REVERTED")
    before = await lending.contents(ref.tenant_id)
    assert await lending.failing(ref, "TRANSACTION_REVERTED") == first
    assert await lending.contents(ref.tenant_id) == before


async def test_nothing_is_signed_after_the_settlement_failed(lending: Any) -> None:
    """A slow attempt that wakes up after its workflow gave up must not move money."""
    sender = lending.sender()
    order = await lending.confirmed(await lending.application())
    records = lending.settlements(sender)
    quote = (await records.accepted_offer(order)).quote
    await lending.failing(order.application, "LENDER_SIGNATURE_INVALID")
    with pytest.raises(Conflict, match="SETTLEMENT_CLOSED"):
        await records.persist_attempt(order, quote, 0, lending.signer(sender))
    await lending.endings.close(order.application, ApplicationEnding(State.REJECTED, ()))
    with pytest.raises(Conflict, match="SETTLEMENT_CLOSED"):
        await records.persist_attempt(order, quote, 0, lending.signer(sender))
    assert await records.attempt(order.application) is None


async def test_an_application_ends_once(lending: Any) -> None:
    ref = await lending.application()
    ending = ApplicationEnding(State.DECLINED, ("SCORE_TOO_LOW",))
    await lending.endings.close(ref, ending)
    before = await lending.contents(ref.tenant_id)
    await lending.endings.close(ref, ending)
    assert await lending.contents(ref.tenant_id) == before
    with pytest.raises(InvariantViolated, match="APPLICATION_ENDED_TWICE"):
        await lending.endings.close(ref, ApplicationEnding(State.REJECTED, ()))
    with pytest.raises(Conflict, match="APPLICATION_CLOSED"):
        await lending.offered(ref)
    assert await lending.contents(ref.tenant_id) == before


async def test_a_funded_application_cannot_be_closed_otherwise(lending: Any) -> None:
    ref = await lending.application()
    attempt = await lending.signed(ref)
    await lending.loans.book_loan(ref, lending.final(attempt.transaction.tx_hash))
    with pytest.raises(InvariantViolated, match="APPLICATION_ENDED_TWICE"):
        await lending.endings.close(ref, ApplicationEnding(State.REJECTED, ()))
    with pytest.raises(InvariantViolated):
        await lending.failing(ref, "TRANSACTION_REVERTED")
    assert await entries(lending, ref.tenant_id) == {
        "commitment": "final", "disbursement": "final", "release": "final",
    }  # fmt: skip
