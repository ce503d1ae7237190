"""Verifications: nobody who waits is forgotten, and one identity's answer is not another's."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest

from adapters.postgres.reviews import PostgresReviewRecords
from models.domain.application import ApplicationRef
from models.domain.kyc import KYCStatus, PersonRef
from models.domain.review import ReviewKind, ReviewRequest
from models.domain.screening import ScreeningResult, ScreeningStatus

pytestmark = pytest.mark.stack

CLEAR = ScreeningResult(ScreeningStatus.CLEAR, (), "list-1", 1)
PENDING, VERIFIED, FAILED = KYCStatus.PENDING, KYCStatus.VERIFIED, KYCStatus.FAILED


async def test_a_waiting_application_is_answered_and_told_once(lending: Any) -> None:
    ref = await lending.application()
    person = PersonRef(ref.tenant_id, ref.user_id)
    assert (await lending.kyc.join(ref)).status is PENDING
    assert await lending.kyc.someone_waits(person)
    request = await lending.begun(ref)
    await lending.kyc.record_submission(request, "check-1")
    waiting = await lending.kyc.conclude(lending.concluding(request), CLEAR)
    assert [(each.application_id, each.standing.status) for each in waiting] == [
        (ref.application_id, VERIFIED)
    ]
    assert not await lending.kyc.someone_waits(person)
    # The process may die before telling: a repetition returns whoever was not told, and no other.
    assert await lending.kyc.conclude(lending.concluding(request), CLEAR) == waiting
    await lending.kyc.told(person, ref.application_id)
    assert await lending.kyc.conclude(lending.concluding(request), CLEAR) == ()
    assert await lending.audited(ref.tenant_id) == [
        "application.submitted",
        "application.started",
        "kyc.submitted",
        "kyc.verified",
    ]


async def test_joining_again_changes_nothing(lending: Any) -> None:
    ref = await lending.application()
    await lending.kyc.join(ref)
    before = await lending.contents(ref.tenant_id)
    again = await lending.kyc.join(ref)
    after = await lending.contents(ref.tenant_id)
    assert again.status is PENDING
    assert {table: len(rows) for table, rows in after.items()} == {
        table: len(rows) for table, rows in before.items()
    }
    assert after["audit_log"] == before["audit_log"]


async def test_whoever_was_answered_keeps_the_answer(lending: Any) -> None:
    """An application that repeats its step later hears what it was told, not what holds now."""
    ref = await lending.application()
    request = await lending.verified(ref)
    await lending.execute(
        "UPDATE kyc_profiles SET expires_at = now() - interval '1 day' WHERE tenant_id = $1",
        ref.tenant_id,
    )
    await lending.kyc.expire(request.person)
    assert (await lending.kyc.join(ref)).status is VERIFIED


async def test_a_verified_person_is_not_asked_again(lending: Any) -> None:
    first = await lending.application()
    await lending.verified(first)
    second = await lending.application(first.tenant_id)
    assert (await lending.kyc.join(second)).status is VERIFIED
    assert not await lending.kyc.someone_waits(PersonRef(first.tenant_id, first.user_id))


async def test_the_same_person_is_recognised_despite_spacing_and_case(lending: Any) -> None:
    first = await lending.application()
    await lending.verified(first)
    second = await lending.application(first.tenant_id, given_name=" ADA ")
    assert (await lending.kyc.join(second)).status is VERIFIED


@pytest.mark.parametrize(
    "change",
    [
        {"given_name": "Eve"},
        {"family_name": "Other"},
        {"born_on": "1991-04-05"},
        {"national_id": "100-10-0002"},
    ],
)
async def test_another_identity_is_verified_anew(lending: Any, change: dict[str, str]) -> None:
    first = await lending.application()
    await lending.verified(first)
    second = await lending.application(first.tenant_id, **change)
    assert (await lending.kyc.join(second)).status is PENDING
    assert await lending.kyc.someone_waits(PersonRef(first.tenant_id, first.user_id))


async def test_an_answer_holds_only_for_the_identity_that_was_examined(lending: Any) -> None:
    honest = await lending.application()
    await lending.kyc.join(honest)
    stolen = await lending.application(honest.tenant_id, given_name="Eve")
    await lending.kyc.join(stolen)
    request = await lending.begun(stolen)  # the latest identity is the one that is examined
    told = await lending.kyc.conclude(lending.concluding(request), CLEAR)
    answers = {each.application_id: each.standing for each in told}
    assert answers[stolen.application_id].status is VERIFIED
    assert answers[honest.application_id].status is FAILED
    assert answers[honest.application_id].reason == "IDENTITY_CHANGED"


async def test_a_repeated_submission_never_shows_the_vendor_somebody_else(lending: Any) -> None:
    """While the vendor is away the person states another identity: the check stays the first's.

    Otherwise the vendor would clear the second identity and we would book it for the first.
    """
    first = await lending.application()
    await lending.kyc.join(first)
    request = await lending.begun(first)
    second = await lending.application(first.tenant_id, given_name="Eve")
    await lending.kyc.join(second)
    shown = await lending.kyc.begin_verification(request, "vendor")
    assert shown.given_name == "Ada"
    told = await lending.kyc.conclude(lending.concluding(request), CLEAR)
    answers = {each.application_id: each.standing.status for each in told}
    assert answers == {first.application_id: VERIFIED, second.application_id: FAILED}


async def test_a_failed_person_may_try_again(lending: Any) -> None:
    first = await lending.application()
    await lending.kyc.join(first)
    request = await lending.begun(first)
    told = await lending.kyc.conclude(lending.concluding(request, FAILED), CLEAR)
    assert [each.standing.reason for each in told] == ["DOCUMENT_REJECTED"]
    second = await lending.application(first.tenant_id)
    assert (await lending.kyc.join(second)).status is PENDING
    assert (await lending.kyc.join(first)).status is FAILED  # its own answer stands


async def test_a_verification_ends_when_its_time_has_come_and_not_before(lending: Any) -> None:
    ref = await lending.application()
    request = await lending.verified(ref)
    await lending.kyc.expire(request.person)
    second = await lending.application(ref.tenant_id)
    assert (await lending.kyc.join(second)).status is VERIFIED
    await lending.execute(
        "UPDATE kyc_profiles SET expires_at = now() - interval '1 second' WHERE tenant_id = $1",
        ref.tenant_id,
    )
    # Over is over, whether or not the workflow's timer has said so yet.
    third = await lending.application(ref.tenant_id)
    assert (await lending.kyc.join(third)).status is PENDING
    await lending.kyc.expire(request.person)
    await lending.kyc.expire(request.person)
    assert (await lending.audited(ref.tenant_id)).count("kyc.expired") <= 1


async def test_expiry_is_recorded_once(lending: Any) -> None:
    ref = await lending.application()
    await lending.kyc.join(ref)
    request = await lending.begun(ref)
    await lending.kyc.conclude(lending.concluding(request, valid=timedelta(seconds=-1)), CLEAR)
    await lending.kyc.expire(request.person)
    await lending.kyc.expire(request.person)
    assert (await lending.audited(ref.tenant_id)).count("kyc.expired") == 1


async def test_joining_a_person_under_review_does_not_take_them_out_of_it(lending: Any) -> None:
    ref = await lending.application()
    await lending.kyc.join(ref)
    await PostgresReviewRecords(lending.app).open(
        ReviewRequest(ref.tenant_id, ReviewKind.IDENTITY, ref.user_id, ref.user_id, "kyc/x/y", ())
    )
    second = await lending.application(ref.tenant_id)
    assert (await lending.kyc.join(second)).status is PENDING
    status = await lending.value(
        "SELECT status FROM kyc_profiles WHERE tenant_id = $1", ref.tenant_id
    )
    assert status == "in_review"


async def test_two_tenants_share_no_verification(lending: Any) -> None:
    first = await lending.application()
    await lending.verified(first)
    elsewhere = await lending.application()
    assert (await lending.kyc.join(elsewhere)).status is PENDING


@pytest.mark.parametrize("seed", range(25))
async def test_no_interleaving_forgets_who_waits(lending: Any, seed: int) -> None:
    """Joins and a conclusion at once: each application is answered, or known to be waiting."""
    order = random.Random(seed)
    status = order.choice([VERIFIED, FAILED])
    first = await lending.application()
    refs = [first, *[await lending.application(first.tenant_id) for _ in range(5)]]
    await lending.kyc.join(first)
    request = await lending.begun(first)
    told: dict[str, KYCStatus] = {}
    heard: dict[str, KYCStatus] = {}

    async def join(ref: ApplicationRef) -> None:
        await asyncio.sleep(order.random() * 0.01)
        heard[ref.application_id] = (await lending.kyc.join(ref)).status

    async def conclude() -> None:
        await asyncio.sleep(order.random() * 0.01)
        for each in await lending.kyc.conclude(lending.concluding(request, status), CLEAR):
            told[each.application_id] = each.standing.status
            await lending.kyc.told(request.person, each.application_id)

    work = [*(join(ref) for ref in refs), conclude(), conclude()]
    order.shuffle(work)
    await asyncio.gather(*work)
    waiting = {
        row["application_id"]
        for row in await lending.rows(
            "SELECT application_id FROM kyc_waiters WHERE tenant_id = $1 AND answer IS NULL",
            first.tenant_id,
        )
    }
    assert told[first.application_id] is status
    for ref in refs:
        answered = heard[ref.application_id] is not PENDING or ref.application_id in told
        assert answered != (ref.application_id in waiting), ref
    assert await lending.kyc.someone_waits(request.person) == bool(waiting)
    # Nothing was answered in the database that nobody has heard.
    assert not await lending.value(
        "SELECT count(*) FROM kyc_waiters WHERE tenant_id = $1"
        " AND answer IS NOT NULL AND told_at IS NULL",
        first.tenant_id,
    )
    # Whoever still waits is answered by the next attempt.
    if waiting:
        again = await lending.begun(first)
        late = await lending.kyc.conclude(lending.concluding(again, status), CLEAR)
        assert {each.application_id for each in late} == waiting
