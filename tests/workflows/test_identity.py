"""A person is verified once, for a year; silence and doubt never verify anybody."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from temporalio import activity

from models.domain.application import State
from models.domain.decision import Outcome
from models.domain.errors import Conflict
from models.domain.kyc import (
    KYCConclusion,
    KYCStatus,
    PersonRef,
    VendorVerdict,
    VerificationRequest,
)
from models.domain.review import ReviewKind
from tests.workflows.cast import (
    Calls,
    RefusingVendor,
    RejectingVendor,
    Rules,
    SilentVendor,
    UnsureVendor,
)
from tests.workflows.world import World, about, eventually, waits_of

pytestmark = pytest.mark.stack

WEEK = timedelta(days=7)
YEAR = timedelta(days=365)
SIGNALLED = "WORKFLOW_EXECUTION_SIGNALED"


def declining(calls: Calls) -> Rules:
    return Rules(calls, eligibility=Outcome.DECLINE)


async def test_a_silent_vendor_leaves_the_person_unverified_after_a_week(world: World) -> None:
    async with world.casts(vendor=SilentVendor, rules=declining).playing():
        application = await world.apply()
        await world.until_called("submit_verification")
        outcome = await world.outcome_in_time(application)
        [waited] = await waits_of(world.kyc())
        assert about(waited, WEEK)
        [conclusion] = world.vendor.conclusions
        assert (conclusion.status, conclusion.reason) == (KYCStatus.EXPIRED, "VENDOR_SILENT")
        assert conclusion.expires_at is None
        # What follows is the rules' business: here they decline who is not verified.
        assert outcome.state is State.DECLINED
        assert await world.kyc().result() == KYCStatus.EXPIRED


async def test_a_rejected_document_fails_the_verification(world: World) -> None:
    async with world.casts(vendor=RejectingVendor, rules=declining).playing():
        application = await world.apply()
        assert (await world.outcome(application)).state is State.DECLINED
        [conclusion] = world.vendor.conclusions
        assert (conclusion.status, conclusion.reason) == (KYCStatus.FAILED, "DOCUMENT_FORGED")
        assert conclusion.concluded_by == "vendor"
        assert await world.kyc().result() == KYCStatus.FAILED


async def test_a_verification_ends_after_a_year_and_the_next_loan_verifies_again(
    world: World,
) -> None:
    async with world.playing():
        await world.offered(await world.apply())
        [conclusion] = world.vendor.conclusions
        assert conclusion.expires_at is not None
        valid_until = datetime.fromisoformat(conclusion.expires_at)
        assert about(valid_until - await world.now(), YEAR)
        async with world.skipping():
            assert await world.kyc().result() == KYCStatus.EXPIRED
        [waited] = await waits_of(world.kyc())
        assert about(waited, YEAR)
        assert world.vendor.expired == [PersonRef(world.tenant, "user-1")]
        await world.offered(await world.apply())
        assert world.calls.count("submit_verification") == 2
        first, second = (each.verification_id for each in world.vendor.requests)
        assert first != second


@pytest.mark.parametrize(
    ("approved", "status", "reason"),
    [(False, KYCStatus.FAILED, "REVIEW_REJECTED"), (True, KYCStatus.VERIFIED, None)],
)
async def test_unclear_evidence_is_decided_by_a_named_person(
    world: World, approved: bool, status: KYCStatus, reason: str | None
) -> None:
    async with world.casts(vendor=UnsureVendor, rules=declining).playing():
        application = await world.apply()
        await world.until_event(world.kyc(), "TIMER_STARTED")
        [review] = world.books.opened
        assert (review.kind, review.subject_id) == (ReviewKind.IDENTITY, "user-1")
        assert (review.workflow_id, review.reasons) == (world.kyc().id, ("DOCUMENT_BLURRED",))
        await world.decide(world.kyc().id, approved=approved)
        await world.outcome(application)
        [conclusion] = world.vendor.conclusions
        assert (conclusion.status, conclusion.reason) == (status, reason)
        assert conclusion.concluded_by == "officer-1"
        [closure] = world.books.closed
        assert closure.decision is not None
        assert closure.decision.approved is approved


async def test_undecided_evidence_never_verifies(world: World) -> None:
    async with world.casts(vendor=UnsureVendor, rules=declining).playing():
        application = await world.apply()
        await world.until_event(world.kyc(), "TIMER_STARTED")
        await world.outcome_in_time(application)
        [waited] = await waits_of(world.kyc())
        assert about(waited, WEEK)
        [conclusion] = world.vendor.conclusions
        assert (conclusion.status, conclusion.reason) == (KYCStatus.EXPIRED, "REVIEW_UNDECIDED")
        assert [closure.decision for closure in world.books.closed] == [None]


async def test_a_vendor_that_refuses_the_documents_leads_to_a_person(world: World) -> None:
    async with world.casts(vendor=RefusingVendor, rules=declining).playing():
        application = await world.apply()
        await world.until_event(world.kyc(), "TIMER_STARTED")
        assert world.books.opened[0].reasons == ("VENDOR_REFUSED",)
        await world.decide(world.kyc().id, approved=False)
        assert (await world.outcome(application)).state is State.DECLINED
        assert world.calls.count("submit_verification") == 1


async def test_a_decision_counts_once_and_for_its_own_review(world: World) -> None:
    async with world.casts(vendor=UnsureVendor).playing():
        await world.apply()
        await world.until_event(world.kyc(), "TIMER_STARTED")
        with pytest.raises(Conflict) as refused:
            await world.decide(world.kyc().id, approved=True, review_id="rev_" + "f" * 32)
        assert refused.value.code == "REVIEW_NOT_OPEN"
        assert world.books.closed == []
        await world.decide(world.kyc().id, approved=False)
        with pytest.raises(Conflict):
            await world.decide(world.kyc().id, approved=True)
        assert [
            closure.decision.approved for closure in world.books.closed if closure.decision
        ] == [False]


async def test_foreign_repeated_and_late_callbacks_change_nothing(world: World) -> None:
    async with world.casts(vendor=SilentVendor).playing():
        application = await world.apply()
        await world.until_event(world.kyc(), "TIMER_STARTED")
        ours = world.vendor.requests[0].verification_id
        await world.vendor.call_back("ver_" + "0" * 32, VendorVerdict.CLEAR)
        await world.until_event(world.kyc(), SIGNALLED, times=2)
        assert world.vendor.conclusions == []
        await world.vendor.call_back(ours, VendorVerdict.CLEAR)
        await world.vendor.call_back(ours, VendorVerdict.REJECTED)
        await world.offered(application)
        await world.vendor.call_back(ours, VendorVerdict.REJECTED)
        await world.until_event(world.kyc(), SIGNALLED, times=5)
        assert [each.status for each in world.vendor.conclusions] == [KYCStatus.VERIFIED]
        assert world.calls.count("submit_verification") == 1


class ContradictoryVendor(SilentVendor):
    """Clears the person, then takes it back, before anybody has looked."""

    async def answer(self, request: VerificationRequest) -> None:
        await self.call_back(request.verification_id, VendorVerdict.CLEAR)
        await self.call_back(request.verification_id, VendorVerdict.REJECTED)


async def test_of_two_callbacks_the_first_one_counts(world: World) -> None:
    async with world.casts(vendor=ContradictoryVendor).playing():
        await world.offered(await world.apply())
        assert [each.status for each in world.vendor.conclusions] == [KYCStatus.VERIFIED]


class CrowdedVendor(RejectingVendor):
    """While the first verification is concluded, another application of the person joins."""

    late_id = "app_" + "9" * 32

    @activity.defn(name="conclude_verification")
    async def conclude(self, conclusion: KYCConclusion) -> KYCStatus:
        status = await super().conclude(conclusion)
        if len(self.conclusions) == 1:
            self.waiting[conclusion.person] = [self.late_id]
            await self.messages.join_person(conclusion.person, self.late_id)
        return status


async def test_who_joins_during_the_conclusion_is_not_forgotten(world: World) -> None:
    async with world.casts(vendor=CrowdedVendor, rules=declining).playing():
        await world.apply()
        # Whether the task is repeated or the person verified anew: somebody concludes again.
        await world.until_called("conclude_verification", times=2)
        assert await world.kyc().result() == KYCStatus.FAILED
        assert not any(world.vendor.waiting.values())


async def test_who_joins_after_the_conclusion_is_verified_anew_if_still_unanswered(
    world: World,
) -> None:
    async with world.playing():
        await world.offered(await world.apply())
        person = PersonRef(world.tenant, "user-1")
        # Answered already: the signal alone is no reason to ask the vendor.
        await world.messages.join_person(person, "app_" + "8" * 32)
        await world.until_called("someone_waits")
        # Another identity was stated: its row waits, so the person is verified again.
        world.vendor.waiting[person] = ["app_" + "9" * 32]
        await world.messages.join_person(person, "app_" + "9" * 32)
        await world.until_called("conclude_verification", times=2)
        assert world.calls.count("submit_verification") == 2
        assert len({each.verification_id for each in world.vendor.requests}) == 2


async def test_two_applications_of_one_person_wait_for_one_verification(world: World) -> None:
    async with world.casts(vendor=SilentVendor).playing():
        first, second = await world.apply(), await world.apply()
        await world.until_called("join_verification", times=2)
        await world.until_called("submit_verification")
        await world.vendor.call_back(world.vendor.requests[0].verification_id, VendorVerdict.CLEAR)
        await world.offered(first)
        await world.offered(second)
        assert world.calls.count("submit_verification") == 1


async def test_people_of_one_tenant_do_not_wait_for_each_other(world: World) -> None:
    async with world.playing():
        await world.offered(await world.apply("user-1"))
        await world.offered(await world.apply("user-2"))

        async def both() -> bool:
            return len(world.vendor.conclusions) == 2

        await eventually(both)
        assert {each.person.user_id for each in world.vendor.conclusions} == {"user-1", "user-2"}
