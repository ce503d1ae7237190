"""Our records are the authority: what is closed stays closed, what is settled is not settled again.

An application may have been gone through before (a reset), or closed by somebody else.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from temporalio import activity

from models.domain.application import ApplicationEnding, ApplicationRef, State
from models.domain.decision import Outcome, Verdict
from models.domain.errors import Conflict
from models.domain.offer import OfferBook, OfferSummary
from models.domain.risk import Assessment
from models.domain.routing import (
    RISK_WORKFLOW,
    SCORING_QUEUE,
    SETTLEMENT_WORKFLOW,
    WORKFLOWS_QUEUE,
)
from models.domain.settlement import SettlementOrder, SettlementOutcome
from tests.workflows.cast import TX_HASH, Books, Ended, Rules, SteadyScorer
from tests.workflows.lenders_and_chains import OneLender, RefusingLender, acceptance_of
from tests.workflows.slow_cast import SlowScorer
from tests.workflows.world import World

pytestmark = pytest.mark.stack

EXPIRED = ApplicationEnding(State.EXPIRED, ("OFFER_EXPIRED",))


def closed(application: ApplicationRef) -> Conflict:
    return Conflict("APPLICATION_CLOSED", application.application_id)


class ClosedBeforeEligibility(Rules):
    """A local activity finds the application closed."""

    @activity.defn(name="check_eligibility")
    async def check_eligibility(self, application: ApplicationRef) -> Verdict:
        raise closed(application)


class ClosedBeforeScoring(SteadyScorer):
    """A child's activities find the application closed."""

    @activity.defn(name="assess_risk")
    async def assess(self, application: ApplicationRef) -> Assessment:
        raise closed(application)

    @activity.defn(name="refer_unscored")
    async def refer(self, application: ApplicationRef) -> Assessment:
        raise closed(application)


class ClosedBeforeOffers(OneLender):
    """A regular activity finds the application closed."""

    @activity.defn(name="collect_offers")
    async def collect_offers(self, application: ApplicationRef, round_: int) -> OfferBook:
        raise closed(application)


class ClosedBeforeFailing(Books):
    """A settlement that fails finds the application closed."""

    @activity.defn(name="fail_settlement")
    async def fail_settlement(
        self, application: ApplicationRef, offer_id: str, reason: str
    ) -> SettlementOutcome:
        raise closed(application)


@pytest.mark.parametrize(
    "members",
    [
        {"rules": ClosedBeforeEligibility},
        {"scorer": ClosedBeforeScoring},
        {"rules": partial(Rules, credit=Outcome.REVIEW), "books": Ended},
        {"lender": ClosedBeforeOffers},
    ],
    ids=["local activity", "child", "review", "regular activity"],
)
async def test_a_workflow_that_finds_its_application_closed_ends_as_the_record_says(
    calm_world: World, members: dict[str, Any]
) -> None:
    world = calm_world.casts(**members)
    world.books.ended = EXPIRED
    async with world.playing():
        ended = await world.outcome(await world.apply())
        assert (ended.state, ended.reasons) == (EXPIRED.state, EXPIRED.reasons)
        assert world.calls.count("recorded_ending") == 1
        assert "submit_settlement" not in world.calls


async def test_a_settlement_that_finds_its_application_closed_leaves_it_so(
    calm_world: World,
) -> None:
    world = calm_world.casts(chain=RefusingLender, books=ClosedBeforeFailing)
    world.books.ended = EXPIRED
    async with world.playing():
        application = await world.offered(await world.apply())
        await world.accept(application)
        ended = await world.outcome(application)
        assert (ended.state, ended.reasons) == (EXPIRED.state, EXPIRED.reasons)


async def test_a_loan_that_is_booked_stays_booked(calm_world: World) -> None:
    world = calm_world.casts(lender=ClosedBeforeOffers)
    world.books.ended = ApplicationEnding(State.FUNDED, (), "loan_7", TX_HASH)
    async with world.playing():
        ended = await world.outcome(await world.apply())
        assert (ended.state, ended.loan_id, ended.tx_hash) == (State.FUNDED, "loan_7", TX_HASH)
        assert "close_application" not in world.calls


async def test_a_settlement_that_exists_is_followed_and_never_started_again(
    calm_world: World,
) -> None:
    world = calm_world
    async with world.playing():
        application = await world.offered(await world.apply())
        offer = world.offers(application)[0]
        accepted = acceptance_of(application, offer, await world.now())
        handle = await world.client.start_workflow(
            SETTLEMENT_WORKFLOW,
            SettlementOrder(application, accepted.offer_id, accepted.acceptance),
            id=world.workflows_of(application)["settlement"].id,
            task_queue=WORKFLOWS_QUEUE,
        )
        await handle.result()
        await world.accept(application)
        ended = await world.outcome(application)
        assert (ended.state, ended.loan_id, ended.tx_hash) == (State.FUNDED, "loan_1", TX_HASH)
        for step in ("submit_settlement", "book_loan", "follow_settlement"):
            assert world.calls.count(step) == 1, step


class AcceptedBefore(OneLender):
    """The acceptance is on record already when the offers are collected."""

    @activity.defn(name="collect_offers")
    async def collect_offers(self, application: ApplicationRef, round_: int) -> OfferBook:
        offers: tuple[OfferSummary, ...] = await self.offers(application)
        accepted = acceptance_of(application, offers[0], await self.clock())
        return OfferBook(offers, (), accepted)


async def test_an_acceptance_on_record_is_settled_without_being_asked_for_again(
    calm_world: World,
) -> None:
    world = calm_world.casts(lender=AcceptedBefore)
    async with world.playing():
        application = await world.apply()
        assert (await world.outcome(application)).state is State.FUNDED
        assert "record_acceptance" not in world.calls
        assert world.calls.count("submit_settlement") == 1


async def test_scoring_runs_again_after_one_that_has_ended(calm_world: World) -> None:
    world = calm_world
    async with world.playing():
        application = world.drafted()
        handle = await world.client.start_workflow(
            RISK_WORKFLOW,
            application,
            id=world.workflows_of(application)["risk"].id,
            task_queue=SCORING_QUEUE,
        )
        await handle.result()
        await world.messages.start_application(application)
        await world.offered(application)
        assert world.calls.count("assess_risk") == 2


async def test_scoring_waits_for_one_that_still_runs(calm_world: World) -> None:
    scorer = calm_world.casts(scorer=SlowScorer).scorer
    assert isinstance(scorer, SlowScorer)
    async with calm_world.playing() as world:
        application = world.drafted()
        await world.client.start_workflow(
            RISK_WORKFLOW,
            application,
            id=world.workflows_of(application)["risk"].id,
            task_queue=SCORING_QUEUE,
        )
        await scorer.asked.wait()
        await world.messages.start_application(application)
        handle = world.application(application)
        await world.until_event(handle, "START_CHILD_WORKFLOW_EXECUTION_FAILED")
        assert "assess_risk" not in world.calls
        scorer.may_score.set()
        await world.until_called("decide_credit")
        assert world.calls.count("assess_risk") == 2
