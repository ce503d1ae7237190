"""Reviews by named persons: four eyes where due diligence is enhanced, and who may decide."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from temporalio import activity

from models.domain.application import State
from models.domain.decision import Outcome
from models.domain.errors import Conflict
from models.domain.review import OpenedReview, ReviewDecision, ReviewEnd, ReviewRequest
from tests.workflows.cast import Books, Rules
from tests.workflows.people import Officer, under_review
from tests.workflows.slow_cast import SlowToOpen
from tests.workflows.world import World

pytestmark = pytest.mark.stack

referring = partial(Rules, credit=Outcome.REVIEW)
enhanced = partial(Rules, credit=Outcome.ENHANCED_DUE_DILIGENCE)


def decided_by(world: World) -> list[tuple[ReviewEnd, str | None]]:
    """How the reviews were closed, and by whom."""
    return [
        (each.ended, each.decision.decided_by if each.decision else None)
        for each in world.books.closed
    ]


async def test_four_eyes_are_those_of_two_persons(calm_world: World) -> None:
    world = calm_world
    async with world.casts(rules=enhanced).playing():
        application, olga = await under_review(world)
        assert await olga.approve() is None
        with pytest.raises(Conflict) as refused:
            await olga.approve()
        assert refused.value.code == "FOUR_EYES_NEEDED"
        assert world.books.closed == []
        assert "collect_offers" not in world.calls
        assert await olga.named("otto").approve() is ReviewEnd.APPROVED
        await world.offered(application)
        [step] = world.books.steps
        assert step.approval is not None
        assert step.approval.decided_by == "olga"
        assert decided_by(world) == [(ReviewEnd.APPROVED, "otto")]


async def test_two_first_approvals_at_once_are_one_of_each_kind(calm_world: World) -> None:
    world = calm_world
    async with world.casts(rules=enhanced).playing():
        application, olga = await under_review(world)
        ends = await asyncio.gather(olga.approve(), olga.named("otto").approve())
        assert sorted(ends, key=str) == [None, ReviewEnd.APPROVED]
        await world.offered(application)
        [step], [(ended, second)] = world.books.steps, decided_by(world)
        assert step.approval is not None
        assert {step.approval.decided_by, second} == {"olga", "otto"}
        assert ended is ReviewEnd.APPROVED


async def test_one_person_is_no_two_however_fast(calm_world: World) -> None:
    world = calm_world
    async with world.casts(rules=enhanced).playing():
        _, olga = await under_review(world)
        answers = await asyncio.gather(olga.approve(), olga.approve(), return_exceptions=True)
        [refused] = [each for each in answers if each is not None]
        assert isinstance(refused, Conflict)
        assert refused.code == "FOUR_EYES_NEEDED"
        assert len(world.books.steps) == 1
        assert world.books.closed == []


@pytest.mark.parametrize(
    ("approver", "rejecter"), [(None, "olga"), ("olga", "otto"), ("olga", "olga")]
)
async def test_one_rejection_suffices(
    calm_world: World, approver: str | None, rejecter: str
) -> None:
    world = calm_world
    async with world.casts(rules=enhanced).playing():
        application, officer = await under_review(world)
        if approver:
            assert await officer.named(approver).approve() is None
        assert await officer.named(rejecter).reject() is ReviewEnd.REJECTED
        ended = await world.outcome(application)
        assert (ended.state, ended.reasons) == (State.REJECTED, ("SCORE_TOO_LOW",))
        assert decided_by(world) == [(ReviewEnd.REJECTED, rejecter)]


async def test_only_the_assignee_decides_and_the_next_one_after_a_reassignment(
    calm_world: World,
) -> None:
    world = calm_world
    async with world.casts(rules=enhanced).playing():
        application, olga = await under_review(world)
        otto, petra = olga.named("otto"), olga.named("petra")
        await olga.assign("otto")
        await olga.assign("petra")
        for other, answer in ((olga, olga.approve), (otto, otto.approve), (otto, otto.reject)):
            with pytest.raises(Conflict) as refused:
                await answer()
            assert refused.value.code == "REVIEW_ASSIGNED", other.name
        assert await petra.approve() is None
        # Who has approved once cannot be given the second say.
        with pytest.raises(Conflict) as refused:
            await olga.assign("petra")
        assert refused.value.code == "FOUR_EYES_NEEDED"
        await olga.assign("otto")
        with pytest.raises(Conflict) as refused:
            await olga.approve()
        assert refused.value.code == "REVIEW_ASSIGNED"
        assert await otto.approve() is ReviewEnd.APPROVED
        await world.offered(application)
        assert [
            (step.assignment.assignee if step.assignment else step.approval)
            for step in world.books.steps
            if step.approval is None
        ] == ["otto", "petra", "otto"]


async def test_after_the_first_approval_anybody_else_may_decide(calm_world: World) -> None:
    world = calm_world
    async with world.casts(rules=enhanced).playing():
        _, olga = await under_review(world)
        await olga.assign("otto")
        assert await olga.named("otto").approve() is None
        assert await olga.approve() is ReviewEnd.APPROVED


async def test_nothing_is_done_to_a_review_that_is_not_open(calm_world: World) -> None:
    world = calm_world
    async with world.casts(rules=referring).playing():
        application, olga = await under_review(world)
        other = "rev_" + "f" * 32
        for attempt in (olga.assign("otto", other), olga.ask("inf_1", other)):
            with pytest.raises(Conflict) as refused:
                await attempt
            assert refused.value.code == "REVIEW_NOT_OPEN"
        assert await olga.approve() is ReviewEnd.APPROVED
        await world.offered(application)
        for late in (olga.assign("otto"), olga.ask("inf_1"), olga.reject()):
            with pytest.raises(Conflict) as refused:
                await late
            assert refused.value.code == "REVIEW_NOT_OPEN"
        assert world.books.steps == []


async def test_who_decides_before_the_workflow_knows_of_the_review_comes_back(
    calm_world: World,
) -> None:
    world = calm_world.casts(rules=referring, books=SlowToOpen)
    books = world.books
    assert isinstance(books, SlowToOpen)
    async with world.playing():
        application = await world.apply_hastily()
        await books.opening.wait()
        olga = Officer(world, world.application(application).id)
        with pytest.raises(Conflict) as refused:
            await olga.approve()
        assert refused.value.code == "REVIEW_NOT_OPEN"
        books.may_open.set()
        await world.until_event(world.application(application), "TIMER_STARTED")
        assert await olga.approve() is ReviewEnd.APPROVED
        assert len(world.books.closed) == 1


class HalfApproved(Books):
    """The review was opened before: olga has approved, and it is otto's now."""

    @activity.defn(name="open_review")
    async def open_review(self, request: ReviewRequest) -> OpenedReview:
        opened = await super().open_review(request)
        return OpenedReview(opened.review_id, ("olga",), "otto")


async def test_a_review_goes_on_where_its_record_stands(calm_world: World) -> None:
    world = calm_world
    async with world.casts(rules=enhanced, books=HalfApproved).playing():
        application, olga = await under_review(world)
        with pytest.raises(Conflict) as refused:
            await olga.approve()
        assert refused.value.code == "REVIEW_ASSIGNED"
        assert await olga.named("otto").approve() is ReviewEnd.APPROVED
        await world.offered(application)
        assert world.books.steps == []


class DecidedBefore(Books):
    """A decision about this application is on record already."""

    @activity.defn(name="open_review")
    async def open_review(self, request: ReviewRequest) -> OpenedReview:
        opened = await super().open_review(request)
        decision = ReviewDecision(opened.review_id, False, "olga", "income is invented")
        return OpenedReview(opened.review_id, ended=ReviewEnd.REJECTED, decision=decision)


async def test_a_decision_on_record_stands(calm_world: World) -> None:
    world = calm_world
    async with world.casts(rules=referring, books=DecidedBefore).playing():
        ended = await world.outcome(await world.apply())
        assert (ended.state, ended.reasons) == (State.REJECTED, ("SCORE_TOO_LOW",))
        assert world.books.closed == []
