"""Offers expire by themselves, the last one ending the application; no offers end it at once."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

import pytest

from models.domain.application import ApplicationEnding, State, Withdrawal
from models.domain.errors import Conflict
from models.domain.offer import MAX_ROUNDS
from tests.workflows.lenders_and_chains import AwayAtFirst, NoLender, TwoLenders
from tests.workflows.world import World
from workflows.options import ASK_AGAIN_AFTER

pytestmark = pytest.mark.stack


async def test_no_offers_end_the_application_as_declined(world: World) -> None:
    async with world.casts(lender=NoLender).playing():
        application = await world.apply()
        outcome = await world.outcome(application)
        assert (outcome.state, outcome.reasons) == (State.DECLINED, ("NO_OFFER_AVAILABLE",))
        assert world.books.endings == [ApplicationEnding(State.DECLINED, ("NO_OFFER_AVAILABLE",))]
        assert "submit_settlement" not in world.calls


async def test_lenders_that_were_only_away_are_asked_again(world: World) -> None:
    async with world.casts(lender=AwayAtFirst).playing():
        application = await world.offered(await world.apply())
        assert world.calls.count("collect_offers") == 1
        await world.environment.sleep(ASK_AGAIN_AFTER[0])
        await world.until_event(world.application(application), "TIMER_STARTED", times=2)
        await world.environment.sleep(ASK_AGAIN_AFTER[1])
        await world.until_event(world.application(application), "TIMER_STARTED", times=3)
        assert world.calls.count("collect_offers") == 3
        await world.accept(application)
        assert (await world.outcome(application)).state is State.FUNDED


@pytest.mark.parametrize(("times", "asked"), [(1, 2), (MAX_ROUNDS, MAX_ROUNDS)])
async def test_lenders_are_asked_again_until_each_has_said_no_or_often_enough(
    world: World, times: int, asked: int
) -> None:
    world.casts(lender=partial(AwayAtFirst, times=times, willing=False))
    async with world.playing():
        outcome = await world.outcome_in_time(await world.apply())
        assert (outcome.state, outcome.reasons) == (State.DECLINED, ("NO_OFFER_AVAILABLE",))
        assert world.calls.count("collect_offers") == asked


async def test_who_withdraws_before_lenders_are_asked_again_is_let_go(world: World) -> None:
    async with world.casts(lender=partial(AwayAtFirst, times=MAX_ROUNDS)).playing():
        application = await world.apply()
        await world.until_event(world.application(application), "TIMER_STARTED")
        await world.messages.withdraw(application, Withdrawal("user-1", "CHANGED_MIND"), "w1")
        assert (await world.outcome(application)).state is State.WITHDRAWN
        assert world.calls.count("collect_offers") == 1


async def test_nobody_accepts_and_the_last_offer_ends_the_wait(world: World) -> None:
    async with world.casts(lender=TwoLenders).playing():
        application = await world.offered(await world.apply())
        outcome = await world.outcome_in_time(application)
        first, last = (
            datetime.fromisoformat(each.expires_at) for each in world.offers(application)
        )
        history = await world.application(application).fetch_history()
        fired_at = [
            event.event_time.ToDatetime(last.tzinfo)
            for event in history.events
            if event.HasField("timer_fired_event_attributes")
        ]
        for expires_at, noticed_at in zip((first, last), fired_at, strict=True):
            assert expires_at <= noticed_at < expires_at + timedelta(seconds=5)
        assert (outcome.state, outcome.reasons) == (State.EXPIRED, ("OFFER_EXPIRED",))
        assert world.books.endings == [ApplicationEnding(State.EXPIRED, ("OFFER_EXPIRED",))]
        assert "submit_settlement" not in world.calls


async def test_an_expired_offer_is_refused_while_another_still_stands(world: World) -> None:
    async with world.casts(lender=TwoLenders).playing():
        application = await world.offered(await world.apply())
        expired, standing = world.offers(application)
        await world.environment.sleep(timedelta(minutes=11))
        with pytest.raises(Conflict) as refused:
            await world.accept(application, expired)
        assert refused.value.code == "OFFER_EXPIRED"
        await world.accept(application, standing)
        assert (await world.outcome(application)).state is State.FUNDED
        assert world.chain.orders[0].offer_id == standing.offer_id
