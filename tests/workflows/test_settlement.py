"""A settlement ends final with one booked loan, or failed with a code; silence is looked into."""

from __future__ import annotations

from datetime import timedelta

import pytest

from models.domain.application import ApplicationEnding, State
from models.domain.settlement import SettlementOutcome, SettlementState
from tests.workflows.cast import TX_HASH, SlowSigner
from tests.workflows.lenders_and_chains import (
    OTHER_TX_HASH,
    AlreadyPaid,
    ChangedTerms,
    ExpiredQuote,
    ForgetfulWatcher,
    InsistentWatcher,
    MisleadingWatcher,
    OvertakenChain,
    PromptChain,
    RefusingLender,
    RevertingChain,
    StumblingChain,
)
from tests.workflows.world import World, about, waits_of

pytestmark = pytest.mark.stack


async def settled(world: World) -> SettlementOutcome:
    """Bring an application to its end; what its settlement came to."""
    application = await world.offered(await world.apply())
    await world.accept(application)
    await world.outcome(application)
    handle = world.workflows_of(application)["settlement"]
    typed = world.client.get_workflow_handle(handle.id, result_type=SettlementOutcome)
    outcome: SettlementOutcome = await typed.result()
    return outcome


@pytest.mark.parametrize(
    ("chain", "code", "ending"),
    [
        (RefusingLender, "PROVIDER_REFUSED", (State.REJECTED, ("SETTLEMENT_FAILED",))),
        (ExpiredQuote, "QUOTE_EXPIRED", (State.EXPIRED, ("OFFER_EXPIRED",))),
        (ChangedTerms, "TERMS_CHANGED", (State.EXPIRED, ("TERMS_CHANGED",))),
    ],
)
async def test_a_refusal_before_anything_is_signed_ends_the_application(
    world: World, chain: type[PromptChain], code: str, ending: tuple[State, tuple[str, ...]]
) -> None:
    async with world.casts(chain=chain).playing():
        outcome = await settled(world)
        assert (outcome.state, outcome.reason) == (SettlementState.FAILED, code)
        assert world.books.failures == [code]
        assert world.books.endings == [ApplicationEnding(*ending)]
        assert world.calls.count("submit_settlement") == 1
        assert "book_loan" not in world.calls


async def test_a_reverted_transaction_fails_only_once_nobody_else_can_pay(world: World) -> None:
    async with world.casts(chain=RevertingChain).playing():
        application = await world.offered(await world.apply())
        await world.accept(application)
        ended = await world.outcome_in_time(application)
        assert (ended.state, ended.reasons) == (State.REJECTED, ("SETTLEMENT_FAILED",))
        assert world.calls.count("resolve_settlement") == 3
        assert world.books.failures == ["TRANSACTION_REVERTED"]
        assert "book_loan" not in world.calls


@pytest.mark.parametrize("chain", [OvertakenChain, AlreadyPaid])
async def test_a_loan_paid_by_somebody_elses_transaction_is_booked_with_it(
    world: World, chain: type[PromptChain]
) -> None:
    async with world.casts(chain=chain).playing():
        outcome = await settled(world)
        assert outcome == SettlementOutcome(SettlementState.FINAL, OTHER_TX_HASH, "loan_1")
        assert world.books.failures == []


async def test_what_was_signed_after_all_is_waited_for_and_never_failed(world: World) -> None:
    async with world.casts(chain=RefusingLender, books=SlowSigner).playing():
        application = await world.offered(await world.apply())
        await world.accept(application)
        handle = world.workflows_of(application)["settlement"]
        await world.until_event(handle, "TIMER_STARTED")
        await world.chain.watch(application)
        assert (await world.outcome(application)).state is State.FUNDED


async def test_a_foreign_transaction_changes_nothing(world: World) -> None:
    async with world.casts(chain=MisleadingWatcher).playing():
        assert (await settled(world)).tx_hash == TX_HASH
        assert "resolve_settlement" not in world.calls


async def test_failures_for_now_are_retried_until_it_is_sent(world: World) -> None:
    async with world.casts(chain=StumblingChain).playing():
        application = await world.offered(await world.apply())
        await world.accept(application)
        assert (await world.outcome_in_time(application)).state is State.FUNDED
        assert world.calls.count("submit_settlement") == 3
        assert world.books.failures == []


async def test_repeated_signals_book_one_loan(world: World) -> None:
    async with world.casts(chain=InsistentWatcher).playing():
        outcome = await settled(world)
        assert outcome == SettlementOutcome(SettlementState.FINAL, TX_HASH, "loan_1")
        assert world.calls.count("book_loan") == 1


async def test_a_signal_after_the_end_is_swallowed(world: World) -> None:
    async with world.playing():
        await settled(world)
        await world.chain.watch(world.chain.orders[0].application)
        assert world.calls.count("book_loan") == 1


async def test_a_lost_signal_is_looked_for_after_two_minutes_until_the_depth_is_there(
    world: World,
) -> None:
    async with world.casts(chain=ForgetfulWatcher).playing():
        application = await world.offered(await world.apply())
        await world.accept(application)
        handle = world.workflows_of(application)["settlement"]
        await world.until_event(handle, "TIMER_STARTED")
        outcome = await world.outcome_in_time(application)
        [waited] = await waits_of(handle)
        assert about(waited, timedelta(minutes=2))
        assert outcome.state is State.FUNDED
        assert world.calls.count("observe_settlement") == 2
        assert world.calls.count("book_loan") == 1
