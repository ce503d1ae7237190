"""Verdicts are followed to their ends in both phases; undecided means expired, never approved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest

from models.domain.application import ApplicationEnding, State
from models.domain.decision import Outcome, Phase
from models.domain.errors import Conflict
from models.domain.review import ReviewKind
from tests.workflows.cast import Calls, Rules, SlowToClose
from tests.workflows.people import Officer
from tests.workflows.test_straight_through import STORY
from tests.workflows.world import World, about, waits_of

pytestmark = pytest.mark.stack

WEEK = timedelta(days=7)

REASON = {Phase.ELIGIBILITY: "JURISDICTION_NOT_SERVED", Phase.CREDIT: "SCORE_TOO_LOW"}
ASKED = {Phase.ELIGIBILITY: "check_eligibility", Phase.CREDIT: "decide_credit"}
KIND = {Phase.ELIGIBILITY: ReviewKind.ELIGIBILITY, Phase.CREDIT: ReviewKind.CREDIT}
BOTH = pytest.mark.parametrize("phase", list(Phase))


def answering(phase: Phase, outcome: Outcome) -> Callable[[Calls], Rules]:
    if phase is Phase.ELIGIBILITY:
        return partial(Rules, eligibility=outcome)
    return partial(Rules, credit=outcome)


def story_until(phase: Phase) -> list[str]:
    return STORY[: STORY.index(ASKED[phase]) + 1]


@BOTH
@pytest.mark.parametrize(
    ("outcome", "state"),
    [(Outcome.DECLINE, State.DECLINED), (Outcome.BLOCK, State.BLOCKED)],
)
async def test_a_refusal_ends_the_application_and_no_later_stage_begins(
    world: World, phase: Phase, outcome: Outcome, state: State
) -> None:
    async with world.casts(rules=answering(phase, outcome)).playing():
        ended = await world.outcome(await world.apply())
        assert (ended.state, ended.reasons) == (state, (REASON[phase],))
        assert world.calls[: len(story_until(phase)) + 1] == [
            *story_until(phase), "close_application",
        ]  # fmt: skip
        await world.until_called("record_notice")
        assert world.calls[-2:] == ["send_notice", "record_notice"]
        assert world.books.endings == [ApplicationEnding(state, (REASON[phase],))]


@BOTH
@pytest.mark.parametrize(
    ("outcome", "approvers"),
    [(Outcome.REVIEW, ["olga"]), (Outcome.ENHANCED_DUE_DILIGENCE, ["olga", "otto"])],
)
async def test_an_approved_review_goes_on_where_it_stopped(
    world: World, phase: Phase, outcome: Outcome, approvers: list[str]
) -> None:
    async with world.casts(rules=answering(phase, outcome)).playing():
        application = await world.apply()
        await world.until_event(world.application(application), "TIMER_STARTED")
        [request] = world.books.opened
        assert (request.kind, request.reasons) == (KIND[phase], (REASON[phase],))
        assert request.subject_id == application.application_id
        assert request.approvals_needed == len(approvers)
        for name in approvers:
            await Officer(world, world.application(application).id, name).approve()
        await world.until_event(world.application(application), "TIMER_STARTED", times=2)
        await world.accept(application)
        assert (await world.outcome(application)).state is State.FUNDED
        stages = [call for call in world.calls if "review" not in call]
        assert stages == STORY


@BOTH
async def test_a_rejected_review_ends_with_the_rules_reasons(world: World, phase: Phase) -> None:
    async with world.casts(rules=answering(phase, Outcome.REVIEW)).playing():
        application = await world.apply()
        await world.until_event(world.application(application), "TIMER_STARTED")
        await world.decide(world.application(application).id, approved=False)
        ended = await world.outcome(application)
        assert (ended.state, ended.reasons) == (State.REJECTED, (REASON[phase],))
        await world.until_called("record_notice")
        assert world.calls == [
            *story_until(phase), "open_review", "close_review", "close_application",
            "send_notice", "record_notice",
        ]  # fmt: skip


@BOTH
async def test_a_review_nobody_decides_expires_the_application(world: World, phase: Phase) -> None:
    async with world.casts(rules=answering(phase, Outcome.REVIEW)).playing():
        application = await world.apply()
        await world.until_event(world.application(application), "TIMER_STARTED")
        ended = await world.outcome_in_time(application)
        [waited] = await waits_of(world.application(application))
        assert about(waited, WEEK)
        assert (ended.state, ended.reasons) == (State.EXPIRED, ("REVIEW_UNDECIDED",))
        assert [closure.decision for closure in world.books.closed] == [None]
        assert not set(world.calls) & set(STORY[len(story_until(phase)) :])


async def test_a_decision_after_the_deadline_is_refused_and_not_silently_lost(
    world: World,
) -> None:
    books = world.casts(rules=answering(Phase.CREDIT, Outcome.REVIEW), books=SlowToClose).books
    assert isinstance(books, SlowToClose)
    async with world.playing():
        application = await world.apply()
        handle = world.application(application)
        await world.until_event(handle, "TIMER_STARTED")
        async with world.skipping():
            await books.closing.wait()
        late = asyncio.create_task(world.decide(handle.id, approved=True))
        await asyncio.sleep(0)
        books.may_close.set()
        with pytest.raises(Conflict) as refused:
            await late
        assert refused.value.code in {"REVIEW_NOT_OPEN", "APPLICATION_NOT_WAITING"}
        assert (await world.outcome(application)).state is State.EXPIRED
        # The task may be repeated for the late request, but nothing else is ever recorded.
        assert {closure.decision for closure in books.closed} == {None}
