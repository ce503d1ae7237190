"""A person's verification: joined where one is needed, submitted with its id, told to each once."""

from __future__ import annotations

import pytest

from activities.kyc import KYCActivities
from activities.ports.kyc_records import WaitingApplication
from models.domain.application import Applicant, ApplicationRef
from models.domain.errors import Permanent, Unavailable
from models.domain.kyc import (
    KYCConclusion,
    KYCStanding,
    KYCStatus,
    PersonRef,
    VerificationCallback,
    VerificationRequest,
)
from models.domain.screening import ScreeningResult
from models.domain.settlement import FinalitySignal
from tests.activities.people import APPLICANT, APPLICATION, ClearScreener

PERSON = PersonRef("tenant-1", "user-1")
REQUEST = VerificationRequest(PERSON, "ver_" + "1" * 32)
CONCLUSION = KYCConclusion(PERSON, REQUEST.verification_id, KYCStatus.VERIFIED, "vendor")
VERIFIED = KYCStanding(KYCStatus.VERIFIED)


class MemoryRecords:
    def __init__(self, log: list[str], standing: KYCStatus = KYCStatus.PENDING) -> None:
        self.log = log
        self.standing = standing
        self.waiting: dict[str, KYCStanding] = {}
        self.screenings: list[ScreeningResult] = []

    async def join(self, application: ApplicationRef) -> KYCStanding:
        self.log.append("join")
        return KYCStanding(self.standing)

    async def begin_verification(self, request: VerificationRequest, vendor: str) -> Applicant:
        self.log.append(f"begin {vendor}")
        return APPLICANT

    async def record_submission(self, request: VerificationRequest, check_id: str) -> None:
        self.log.append(f"submitted {check_id}")

    async def applicant_of(self, person: PersonRef) -> Applicant:
        return APPLICANT

    async def conclude(
        self, conclusion: KYCConclusion, screening: ScreeningResult
    ) -> tuple[WaitingApplication, ...]:
        self.screenings.append(screening)
        return tuple(WaitingApplication(each, at) for each, at in self.waiting.items())

    async def told(self, person: PersonRef, application_id: str) -> None:
        self.log.append(f"told {application_id}")
        del self.waiting[application_id]

    async def someone_waits(self, person: PersonRef) -> bool:
        return bool(self.waiting)

    async def expire(self, person: PersonRef) -> None:
        self.log.append("expire")


class PromptVendor:
    vendor = "identity"

    def __init__(self, log: list[str]) -> None:
        self.log = log

    async def submit(self, tenant_id: str, verification_id: str, applicant: Applicant) -> str:
        self.log.append(f"ask {tenant_id} {verification_id}")
        return "check-1"


class RefusingVendor(PromptVendor):
    async def submit(self, tenant_id: str, verification_id: str, applicant: Applicant) -> str:
        raise Permanent("VENDOR_REFUSED")


class Postbox:
    """Takes every message; stops after `stops_after` of them."""

    def __init__(self, log: list[str], stops_after: int = 99) -> None:
        self.log = log
        self.stops_after = stops_after
        self.told: list[tuple[str, str, KYCStanding]] = []

    async def start_application(self, application: ApplicationRef) -> None:
        raise AssertionError("not from here")

    async def join_person(self, person: PersonRef, application_id: str) -> None:
        self.log.append(f"signal {person.user_id} {application_id}")

    async def tell_identity(
        self, tenant_id: str, application_id: str, standing: KYCStanding
    ) -> None:
        if len(self.told) == self.stops_after:
            raise Unavailable("TEMPORAL_UNAVAILABLE")
        self.told.append((tenant_id, application_id, standing))

    async def tell_verification(self, person: PersonRef, callback: VerificationCallback) -> None:
        raise AssertionError("not from here")

    async def tell_settlement(
        self, tenant_id: str, application_id: str, observed: FinalitySignal
    ) -> None:
        raise AssertionError("not from here")


class Case:
    def __init__(self, standing: KYCStatus = KYCStatus.PENDING, stops_after: int = 99) -> None:
        self.log: list[str] = []
        self.records = MemoryRecords(self.log, standing)
        self.screener = ClearScreener()
        self.post = Postbox(self.log, stops_after)
        self.activities = self.with_vendor(PromptVendor(self.log))

    def with_vendor(self, vendor: PromptVendor) -> KYCActivities:
        return KYCActivities(self.records, vendor, self.screener, self.post)


async def test_a_refused_submission_is_begun_but_never_recorded_as_submitted() -> None:
    case = Case()
    with pytest.raises(Permanent):
        await case.with_vendor(RefusingVendor(case.log)).submit_verification(REQUEST)
    assert case.log == ["begin identity"]


async def test_telling_that_was_interrupted_goes_on_with_those_not_yet_told() -> None:
    case = Case(stops_after=1)
    case.records.waiting = {"app-1": VERIFIED, "app-2": VERIFIED}
    with pytest.raises(Unavailable):
        await case.activities.conclude_verification(CONCLUSION)
    assert case.log == ["told app-1"]
    case.post.stops_after = 99
    await case.activities.conclude_verification(CONCLUSION)
    assert case.post.told == [("tenant-1", "app-1", VERIFIED), ("tenant-1", "app-2", VERIFIED)]
    assert case.records.waiting == {}


async def test_a_concluded_person_was_screened_by_name() -> None:
    case = Case()
    assert await case.activities.conclude_verification(CONCLUSION) is KYCStatus.VERIFIED
    assert case.screener.asked == [["Zelda Quillfeather"]]
    assert [each.list_version for each in case.records.screenings] == ["list-1"]


async def test_each_application_hears_its_own_standing() -> None:
    case = Case()
    failed = KYCStanding(KYCStatus.FAILED, "OTHER_IDENTITY")
    case.records.waiting = {"app-1": VERIFIED, "app-2": failed}
    await case.activities.conclude_verification(CONCLUSION)
    assert case.post.told == [("tenant-1", "app-1", VERIFIED), ("tenant-1", "app-2", failed)]


async def test_who_must_be_verified_joins_the_persons_verification() -> None:
    case = Case(KYCStatus.PENDING)
    assert await case.activities.join_verification(APPLICATION) == KYCStanding(KYCStatus.PENDING)
    assert case.log == ["join", f"signal user-1 {APPLICATION.application_id}"]


@pytest.mark.parametrize("status", [KYCStatus.VERIFIED, KYCStatus.FAILED, KYCStatus.EXPIRED])
async def test_whose_standing_is_known_joins_nothing(status: KYCStatus) -> None:
    case = Case(status)
    assert await case.activities.join_verification(APPLICATION) == KYCStanding(status)
    assert case.log == ["join"]


async def test_a_submission_is_on_record_before_and_after_the_vendor_is_asked() -> None:
    case = Case()
    assert await case.activities.submit_verification(REQUEST) == "check-1"
    assert case.log == [
        "begin identity",
        f"ask tenant-1 {REQUEST.verification_id}",
        "submitted check-1",
    ]


async def test_waiting_and_expiry_are_the_records_answers() -> None:
    case = Case()
    assert not await case.activities.someone_waits(PERSON)
    case.records.waiting = {"app-1": VERIFIED}
    assert await case.activities.someone_waits(PERSON)
    assert await case.activities.expire_verification(PERSON) is KYCStatus.EXPIRED
    assert case.log == ["expire"]
