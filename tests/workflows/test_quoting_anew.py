"""Lenders are asked again: because one did not stand by its offer, or the applicant wants more."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from models.domain.application import ApplicationRef, State, Withdrawal
from models.domain.errors import Conflict, Refused
from models.domain.offer import MAX_ROUNDS, OfferSummary, SearchAgain
from tests.workflows.cast import Books, Reopening
from tests.workflows.lenders_and_chains import ChangedTerms, ChangesTermsOnce, Quoting
from tests.workflows.world import World

pytestmark = pytest.mark.stack


class QuotingOnce(Quoting):
    """Nothing to offer but the first time."""

    async def offers(self, application: ApplicationRef) -> tuple[OfferSummary, ...]:
        first = self.calls.count("collect_offers") == 1
        return await super().offers(application) if first else ()


class HesitatesToQuoteAnew(Quoting):
    """Its second quote takes until it is told to give it."""

    def __init__(self, *made_of: object) -> None:
        super().__init__(*made_of)  # type: ignore[arg-type]
        self.may_answer = asyncio.Event()

    async def offers(self, application: ApplicationRef) -> tuple[OfferSummary, ...]:
        if self.calls.count("collect_offers") > 1:
            await self.may_answer.wait()
        return await super().offers(application)


class BrieflyOpen(HesitatesToQuoteAnew):
    """Its first offer expires almost at once."""

    async def offers(self, application: ApplicationRef) -> tuple[OfferSummary, ...]:
        first = self.calls.count("collect_offers") == 1
        self.open_for = timedelta(seconds=1.5) if first else timedelta(minutes=30)
        return await super().offers(application)


async def test_changed_terms_lead_to_new_quotes_of_which_one_is_paid(world: World) -> None:
    async with world.casts(lender=Quoting, chain=ChangesTermsOnce, books=Reopening).playing():
        application = await world.offered(await world.apply())
        await world.accept(application)
        await world.until_event(world.application(application), "TIMER_STARTED", times=2)
        await world.accept(application)
        assert (await world.outcome(application)).state is State.FUNDED
        first, second = world.chain.orders
        assert first.offer_id != second.offer_id
        assert world.books.failures == ["TERMS_CHANGED"]
        assert world.calls.count("collect_offers") == 2
        assert world.calls.count("book_loan") == 1


async def test_without_new_quotes_the_application_expires_for_that_reason(world: World) -> None:
    async with world.casts(lender=QuotingOnce, chain=ChangedTerms, books=Reopening).playing():
        application = await world.offered(await world.apply())
        await world.accept(application)
        outcome = await world.outcome(application)
        assert (outcome.state, outcome.reasons) == (State.EXPIRED, ("TERMS_CHANGED",))


async def test_an_application_that_is_not_reopened_ends(world: World) -> None:
    async with world.casts(lender=Quoting, chain=ChangedTerms, books=Books).playing():
        application = await world.offered(await world.apply())
        await world.accept(application)
        assert (await world.outcome(application)).state is State.EXPIRED
        assert world.calls.count("collect_offers") == 1


async def test_who_withdraws_while_lenders_are_asked_again_is_let_go(world: World) -> None:
    world.casts(lender=HesitatesToQuoteAnew, chain=ChangedTerms, books=Reopening)
    async with world.playing():
        application = await world.offered(await world.apply())
        await world.accept(application)
        await world.until_called("collect_offers", times=2)
        await world.messages.withdraw(application, Withdrawal("user-1", "CHANGED_MIND"), "w1")
        world.lender.may_answer.set()  # type: ignore[attr-defined]
        assert (await world.outcome(application)).state is State.WITHDRAWN


async def test_an_applicant_may_have_lenders_asked_again(world: World) -> None:
    async with world.casts(lender=Quoting).playing():
        application = await world.offered(await world.apply())
        [first] = world.offers(application)
        again = SearchAgain(2, "user-1")
        assert await world.messages.search_again(application, again) == 2
        assert await world.messages.search_again(application, again) == 2
        assert world.calls.count("collect_offers") == 2
        with pytest.raises(Conflict, match="OFFER_NOT_OPEN"):
            await world.accept(application, first)
        await world.accept(application)
        assert (await world.outcome(application)).state is State.FUNDED


async def test_rounds_are_asked_for_in_their_order_and_not_for_ever(world: World) -> None:
    async with world.casts(lender=Quoting).playing():
        application = await world.offered(await world.apply())
        for asked, code in (
            (3, "SEARCH_ROUND_UNKNOWN"),
            (0, "SEARCH_ROUND_UNKNOWN"),
            (MAX_ROUNDS + 1, "SEARCH_ROUNDS_EXHAUSTED"),
        ):
            with pytest.raises(Refused, match=code):
                await world.messages.search_again(application, SearchAgain(asked, "user-1"))
        assert world.calls.count("collect_offers") == 1


async def test_nobody_searches_on_once_an_offer_is_accepted(world: World) -> None:
    async with world.playing():
        application = await world.offered(await world.apply())
        await world.accept(application)
        with pytest.raises(Conflict, match=r"ALREADY_ACCEPTED|APPLICATION_NOT_WAITING"):
            await world.messages.search_again(application, SearchAgain(2, "user-1"))


async def test_a_search_at_the_last_moment_keeps_the_application_open(world: World) -> None:
    world.casts(lender=BrieflyOpen)
    async with world.playing():
        application = await world.offered(await world.apply())
        again = asyncio.create_task(
            world.messages.search_again(application, SearchAgain(2, "user-1"))
        )
        await world.until_called("expire_offers")
        world.lender.may_answer.set()  # type: ignore[attr-defined]
        assert await again == 2
        await world.accept(application)
        assert (await world.outcome(application)).state is State.FUNDED
