"""Applicants are asked for what is missing: two weeks to answer, and a new deadline for people."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from models.domain.application import State
from models.domain.decision import Outcome
from models.domain.errors import Conflict
from models.domain.kyc import KYCStatus, VendorVerdict
from models.domain.review import ReviewEnd
from tests.workflows.cast import Rules, UnsureVendor
from tests.workflows.people import answer, identity_under_review, under_review
from tests.workflows.world import World, about, event_types, waits_of

pytestmark = pytest.mark.stack

WEEK = timedelta(days=7)
TWO_WEEKS = timedelta(days=14)
SIGNALLED = "WORKFLOW_EXECUTION_SIGNALED"

referring = partial(Rules, credit=Outcome.REVIEW)
declining = partial(Rules, eligibility=Outcome.DECLINE)


async def test_who_does_not_answer_in_two_weeks_expires_without_an_adverse_action(
    world: World,
) -> None:
    async with world.casts(rules=referring).playing():
        application, olga = await under_review(world)
        # Asked on the last day of the review's own week: the two weeks are the applicant's.
        await world.environment.sleep(timedelta(days=6))
        due_at = await olga.ask("inf_1")
        assert about(due_at - await world.now(), TWO_WEEKS)
        ended = await world.outcome_in_time(application)
        [waited] = await waits_of(world.application(application))
        assert about(waited, TWO_WEEKS)
        assert (ended.state, ended.reasons) == (State.EXPIRED, ("INFORMATION_NOT_PROVIDED",))
        [closure] = world.books.closed
        assert (closure.ended, closure.decision) == (ReviewEnd.UNANSWERED, None)
        # The person's year may pass as well while time is skipped.
        last = [call for call in world.calls if call != "expire_verification"][-2:]
        assert last == ["close_review", "close_application"]
        [step] = world.books.steps
        assert step.due_at == due_at.isoformat()


async def test_an_answer_renews_the_deadline_and_nothing_more(world: World) -> None:
    async with world.casts(rules=referring).playing():
        application, olga = await under_review(world)
        handle = world.application(application)
        await world.environment.sleep(timedelta(days=6))
        await olga.ask("inf_1")
        await world.environment.sleep(timedelta(days=13))
        await answer(world, handle.id, "inf_1", new_document=True)
        await world.until_event(handle, "TIMER_STARTED", times=3)
        ended = await world.outcome_in_time(application)
        [waited] = await waits_of(handle)
        assert about(waited, WEEK)
        assert (ended.state, ended.reasons) == (State.EXPIRED, ("REVIEW_UNDECIDED",))
        assert "look_for_information" not in world.calls
        # Ours to explain, so a notice is owed.
        await world.until_called("record_notice")


async def test_an_answered_review_is_decided(calm_world: World) -> None:
    world = calm_world
    async with world.casts(rules=referring).playing():
        application, olga = await under_review(world)
        await olga.ask("inf_1")
        await answer(world, olga.workflow_id, "inf_1")
        await world.until_event(world.application(application), "TIMER_STARTED", times=3)
        assert await olga.approve() is ReviewEnd.APPROVED
        await world.until_event(world.application(application), "TIMER_STARTED", times=4)
        assert "collect_offers" in world.calls


async def test_an_operator_need_not_wait_for_the_answer(calm_world: World) -> None:
    world = calm_world
    async with world.casts(rules=referring).playing():
        application, olga = await under_review(world)
        await olga.ask("inf_1")
        assert await olga.named("otto").reject() is ReviewEnd.REJECTED
        assert (await world.outcome(application)).state is State.REJECTED


async def test_an_answer_nobody_told_of_is_found_at_the_deadline(world: World) -> None:
    async with world.casts(rules=referring).playing():
        application, olga = await under_review(world)
        await olga.ask("inf_1")
        world.books.unheard = False
        ended = await world.outcome_in_time(application)
        asked, renewed = await waits_of(world.application(application))
        assert about(asked, TWO_WEEKS)
        assert about(renewed, WEEK)
        assert world.calls.count("look_for_information") == 1
        assert ended.reasons == ("REVIEW_UNDECIDED",)


async def test_one_question_at_a_time(calm_world: World) -> None:
    world = calm_world
    async with world.casts(rules=referring).playing():
        application, olga = await under_review(world)
        await olga.ask("inf_1")
        with pytest.raises(Conflict) as refused:
            await olga.named("otto").ask("inf_2")
        assert refused.value.code == "INFORMATION_AWAITED"
        await answer(world, olga.workflow_id, "inf_1")
        await world.until_event(world.application(application), "TIMER_STARTED", times=3)
        await olga.named("otto").ask("inf_2")
        asked = [step.asked.request_id for step in world.books.steps if step.asked]
        assert asked == ["inf_1", "inf_2"]


async def test_foreign_late_and_repeated_answers_change_nothing(calm_world: World) -> None:
    world = calm_world
    async with world.casts(rules=referring).playing():
        application, olga = await under_review(world)
        handle = world.application(application)

        async def told(request_id: str, signals: int, timers: int) -> None:
            await answer(world, handle.id, request_id)
            await world.until_event(handle, SIGNALLED, times=signals)
            assert (await event_types(handle)).count("TIMER_STARTED") == timers, request_id

        already = (await event_types(handle)).count(SIGNALLED)
        await told("inf_1", already + 1, timers=1)  # nobody has asked yet
        await olga.ask("inf_1")
        await told("inf_2", already + 2, timers=2)
        await told("inf_1", already + 3, timers=3)  # the answer: waiting for a person again
        await told("inf_1", already + 4, timers=3)
        await olga.ask("inf_3")
        await told("inf_1", already + 5, timers=4)  # still waiting for the applicant
        with pytest.raises(Conflict) as refused:
            await olga.ask("inf_4")
        assert refused.value.code == "INFORMATION_AWAITED"


async def test_a_new_document_is_examined_anew(calm_world: World) -> None:
    world = calm_world
    async with world.casts(vendor=UnsureVendor).playing():
        application, olga = await identity_under_review(world)
        await olga.ask("inf_1")
        world.vendor.verdict, world.vendor.reason = VendorVerdict.CLEAR, None
        await answer(world, olga.workflow_id, "inf_1", new_document=True)
        await world.offered(application)
        first, second = (each.verification_id for each in world.vendor.requests)
        assert first != second
        [closure] = world.books.closed
        assert (closure.ended, closure.decision) == (ReviewEnd.RESUBMITTED, None)
        [conclusion] = world.vendor.conclusions
        assert (conclusion.verification_id, conclusion.status, conclusion.concluded_by) == (
            second, KYCStatus.VERIFIED, "vendor",
        )  # fmt: skip


async def test_what_is_said_of_the_old_document_does_not_count_for_the_new_one(
    calm_world: World,
) -> None:
    world = calm_world
    async with world.casts(vendor=UnsureVendor).playing():
        _, olga = await identity_under_review(world)
        await olga.ask("inf_1")
        world.vendor.verdict = None
        await answer(world, olga.workflow_id, "inf_1", new_document=True)
        await world.until_called("submit_verification", times=2)
        first, second = (each.verification_id for each in world.vendor.requests)
        signals = (await event_types(world.kyc())).count(SIGNALLED)
        await world.vendor.call_back(first, VendorVerdict.CLEAR)
        await world.until_event(world.kyc(), SIGNALLED, times=signals + 1)
        assert world.vendor.conclusions == []
        await world.vendor.call_back(second, VendorVerdict.REJECTED)
        await world.until_called("conclude_verification")
        assert [each.status for each in world.vendor.conclusions] == [KYCStatus.FAILED]


async def test_words_without_a_document_go_back_to_the_person(calm_world: World) -> None:
    world = calm_world
    async with world.casts(vendor=UnsureVendor).playing():
        application, olga = await identity_under_review(world)
        before = (await event_types(world.kyc())).count("TIMER_STARTED")
        await olga.ask("inf_1")
        await answer(world, olga.workflow_id, "inf_1")
        await world.until_event(world.kyc(), "TIMER_STARTED", times=before + 2)
        assert await olga.approve() is ReviewEnd.APPROVED
        await world.offered(application)
        assert world.calls.count("submit_verification") == 1


async def test_an_unanswered_question_leaves_the_person_unverified(world: World) -> None:
    async with world.casts(vendor=UnsureVendor, rules=declining).playing():
        application, olga = await identity_under_review(world)
        await olga.ask("inf_1")
        ended = await world.outcome_in_time(application)
        [waited] = await waits_of(world.kyc())
        assert about(waited, TWO_WEEKS)
        [conclusion] = world.vendor.conclusions
        assert (conclusion.status, conclusion.reason, conclusion.concluded_by) == (
            KYCStatus.EXPIRED, "INFORMATION_NOT_PROVIDED", "deadline",
        )  # fmt: skip
        assert ended.state is State.DECLINED
