"""An applicant may withdraw until a settlement is signed; an operator may cancel as long."""

from __future__ import annotations

import asyncio
import uuid
from functools import partial
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from models.domain.application import ApplicationOutcome, ApplicationRef, State, Withdrawal
from models.domain.decision import Outcome
from models.domain.errors import Conflict
from models.domain.offer import OfferSummary
from models.domain.settlement import SettlementOutcome, SettlementState
from tests.workflows.cast import Rules, SilentVendor, SlowToClose, UnsureVendor
from tests.workflows.lenders_and_chains import ForgetfulWatcher, HesitantLender
from tests.workflows.people import Officer, withdraw
from tests.workflows.slow_cast import SlowScorer, SlowToEnd, SlowToSign, SlowToWithdraw
from tests.workflows.world import World, event_types, eventually

pytestmark = pytest.mark.stack

referring = partial(Rules, credit=Outcome.REVIEW)

# Where an application waits: who plays, what has happened by then, and what never does.
WAITS: dict[str, tuple[dict[str, Any], str, str]] = {
    "identity": ({"vendor": SilentVendor}, "submit_verification", "check_eligibility"),
    "identity review": ({"vendor": UnsureVendor}, "open_review", "check_eligibility"),
    "credit review": ({"rules": referring}, "open_review", "collect_offers"),
    "offers": ({}, "collect_offers", "record_acceptance"),
}
AT_EVERY_WAIT = pytest.mark.parametrize("wait", WAITS)


def is_withdrawn(ended: ApplicationOutcome, reason: str = "WITHDRAWN_BY_APPLICANT") -> bool:
    return (ended.state, ended.reasons) == (State.WITHDRAWN, (reason,))


@AT_EVERY_WAIT
async def test_an_applicant_may_withdraw_at_every_wait(calm_world: World, wait: str) -> None:
    members, reached, never = WAITS[wait]
    world = calm_world
    async with world.casts(**members).playing():
        application = await world.apply()
        await world.until_called(reached)
        await withdraw(world, application)
        assert is_withdrawn(await world.outcome(application))
        # A task that was overtaken by other news is repeated, and its withdrawal with it.
        assert set(world.books.withdrawals) == {Withdrawal("user-1")}
        assert never not in world.calls
        assert not {"close_review", "close_application", "send_notice"} & set(world.calls)


@AT_EVERY_WAIT
async def test_an_operator_may_cancel_at_every_wait(calm_world: World, wait: str) -> None:
    members, reached, never = WAITS[wait]
    world = calm_world
    async with world.casts(**members).playing():
        application = await world.apply()
        await world.until_called(reached)
        await world.application(application).cancel()
        assert is_withdrawn(await world.outcome(application), "CANCELLED_BY_OPERATOR")
        assert {each.by for each in world.books.withdrawals} == {"temporal-operator"}
        assert never not in world.calls


async def test_what_is_cancelled_before_it_began_is_withdrawn_too(calm_world: World) -> None:
    world = calm_world
    application = await world.apply()
    await world.application(application).cancel()
    async with world.playing():
        assert is_withdrawn(await world.outcome(application), "CANCELLED_BY_OPERATOR")
        assert "submit_settlement" not in world.calls


async def test_a_scoring_under_way_is_cancelled_and_nobody_is_referred(calm_world: World) -> None:
    scorer = calm_world.casts(scorer=SlowScorer).scorer
    assert isinstance(scorer, SlowScorer)
    async with calm_world.playing() as world:
        application = await world.apply()
        await scorer.asked.wait()
        await withdraw(world, application)
        assert is_withdrawn(await world.outcome(application))
        risk = await world.workflows_of(application)["risk"].describe()
        assert risk.status is WorkflowExecutionStatus.CANCELED
        assert not {"refer_unscored", "decide_credit"} & set(world.calls)


async def test_a_settlement_finds_nothing_to_sign_once_withdrawn(calm_world: World) -> None:
    chain = calm_world.casts(chain=SlowToSign).chain
    assert isinstance(chain, SlowToSign)
    async with calm_world.playing() as world:
        application = await world.offered(await world.apply())
        await world.accept(application)
        await chain.asked.wait()
        await withdraw(world, application)
        chain.may_sign.set()
        assert is_withdrawn(await world.outcome(application))
        settlement = world.workflows_of(application)["settlement"]
        typed = world.client.get_workflow_handle(settlement.id, result_type=SettlementOutcome)
        settled: SettlementOutcome = await typed.result()
        assert (settled.state, settled.reason) == (SettlementState.FAILED, "SETTLEMENT_CLOSED")
        assert not {"close_application", "book_loan"} & set(world.calls)


@pytest.mark.parametrize("how", ["withdrawn", "cancelled", "settlement cancelled"])
async def test_what_is_signed_is_seen_through(calm_world: World, how: str) -> None:
    world = calm_world.casts(chain=ForgetfulWatcher)
    async with world.playing():
        application = await world.offered(await world.apply())
        await world.accept(application)
        handles = world.workflows_of(application)
        await world.until_event(handles["settlement"], "TIMER_STARTED")
        world.books.signed = True
        match how:
            case "withdrawn":
                with pytest.raises(Conflict) as refused:
                    await withdraw(world, application)
                assert refused.value.code == "SETTLEMENT_SIGNED"
            case "cancelled":
                await handles["application"].cancel()
                await world.until_called("withdraw_application")
            case _:
                await handles["settlement"].cancel()
                await world.until_event(
                    handles["settlement"], "WORKFLOW_EXECUTION_CANCEL_REQUESTED"
                )
        await world.messages.tell_settlement(
            application.tenant_id, application.application_id, world.chain.observed()
        )
        ended = await world.outcome(application)
        assert (ended.state, ended.loan_id) == (State.FUNDED, "loan_1")
        assert world.books.withdrawals == []


async def test_a_repeated_withdrawal_is_one_and_after_the_end_there_is_none(
    on_a_real_server: World,
) -> None:
    chain = on_a_real_server.casts(chain=SlowToSign).chain
    assert isinstance(chain, SlowToSign)
    async with on_a_real_server.playing() as world:
        application = await world.offered(await world.apply())
        await world.accept(application)
        await chain.asked.wait()
        update_id = uuid.uuid4().hex
        for _ in range(2):
            await withdraw(world, application, update_id)
        chain.may_sign.set()
        assert is_withdrawn(await world.outcome(application))
        await withdraw(world, application, update_id)  # the same answer as before
        with pytest.raises(Conflict) as refused:
            await withdraw(world, application)
        assert refused.value.code == "APPLICATION_NOT_WAITING"
        assert world.calls.count("withdraw_application") == 1


class HesitantWithoutOffers(HesitantLender):
    """Answers only when told to, and has nothing to offer."""

    async def offers(self, application: ApplicationRef) -> tuple[OfferSummary, ...]:
        await super().offers(application)
        return ()


async def test_a_withdrawal_on_record_counts_though_the_stages_end_otherwise(
    calm_world: World,
) -> None:
    world = calm_world.casts(lender=HesitantWithoutOffers, books=SlowToWithdraw)
    lender, books = world.lender, world.books
    assert isinstance(lender, HesitantLender)
    assert isinstance(books, SlowToWithdraw)
    async with world.playing():
        application = await world.apply_hastily()
        await lender.asked.wait()
        withdrawing = asyncio.create_task(withdraw(world, application))
        await books.withdrawing.wait()
        lender.may_answer.set()

        async def declined() -> bool:
            """For want of offers, by the task after the one that still records the withdrawal."""
            types = await event_types(world.application(application))
            answered = "ACTIVITY_TASK_COMPLETED"
            since = types[types.index(answered) :] if answered in types else []
            return since.count("WORKFLOW_TASK_COMPLETED") >= 2

        await eventually(declined)
        books.may_withdraw.set()
        await withdrawing
        assert is_withdrawn(await world.outcome(application))
        assert "send_notice" not in world.calls


async def test_a_cancellation_does_not_cut_an_ending_short(calm_world: World) -> None:
    world = calm_world.casts(rules=partial(Rules, credit=Outcome.DECLINE), books=SlowToEnd)
    books = world.books
    assert isinstance(books, SlowToEnd)
    async with world.playing():
        application = await world.apply_hastily()
        await books.ending.wait()
        handle = world.application(application)
        await handle.cancel()
        await world.until_event(handle, "WORKFLOW_EXECUTION_CANCEL_REQUESTED")
        books.may_end.set()
        assert (await world.outcome(application)).state is State.DECLINED
        assert books.withdrawals == []
        await world.until_called("record_notice")


async def test_a_decision_overtaken_by_a_withdrawal_is_refused_and_holds_nothing_up(
    calm_world: World,
) -> None:
    world = calm_world.casts(rules=referring, books=SlowToClose)
    books = world.books
    assert isinstance(books, SlowToClose)
    async with world.playing():
        application = await world.apply_hastily()
        handle = world.application(application)
        await world.until_event(handle, "TIMER_STARTED")
        rejecting = asyncio.create_task(Officer(world, handle.id).reject())
        await books.closing.wait()
        await withdraw(world, application)
        with pytest.raises(Conflict) as refused:
            await asyncio.wait_for(rejecting, timeout=60)
        assert refused.value.code == "REVIEW_NOT_OPEN"
        assert is_withdrawn(await world.outcome(application))
