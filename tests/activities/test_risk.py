"""Evidence is bought once and never waited for too long; without it a person decides."""

from __future__ import annotations

import asyncio

import pytest

from activities.ports.risk_records import RiskCase
from activities.risk import EVIDENCE_ATTEMPTS, ReferralActivities, RiskActivities
from models.domain.application import Applicant, ApplicationRef
from models.domain.decision import BureauEvidence
from models.domain.errors import Permanent, Transient, Unavailable
from models.domain.risk import Assessment, BureauReport, CreditForm
from tests.activities.people import (
    APPLICANT,
    APPLICATION,
    REPORT,
    REQUEST,
    SCORED,
    at_attempt,
)

Evidence = tuple[BureauEvidence, BureauReport | None]


class MemoryRecords:
    def __init__(self) -> None:
        self.assessed: Assessment | None = None
        self.stored: Evidence | None = None
        self.recorded_with: list[BureauEvidence] = []

    async def assessment(self, application: ApplicationRef) -> Assessment | None:
        return self.assessed

    async def case(self, application: ApplicationRef, source: str) -> RiskCase | Assessment:
        assert source == "bureau"
        return self.assessed or RiskCase(REQUEST, APPLICANT, self.stored)

    async def record_evidence(
        self,
        application: ApplicationRef,
        source: str,
        outcome: BureauEvidence,
        report: BureauReport | None,
    ) -> None:
        assert source == "bureau"
        self.stored = (outcome, report)

    async def record_assessment(
        self, application: ApplicationRef, assessment: Assessment, bureau: BureauEvidence
    ) -> None:
        self.assessed = assessment
        self.recorded_with.append(bureau)


class WillingBureau:
    """Has a file on everybody."""

    bureau = "bureau"
    answer: BureauReport | None = REPORT

    def __init__(self) -> None:
        self.sold = 0

    async def report(
        self, tenant_id: str, application_id: str, applicant: Applicant
    ) -> BureauReport | None:
        self.sold += 1
        return self.answer


class ThinBureau(WillingBureau):
    answer = None


class FailingBureau(WillingBureau):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def report(
        self, tenant_id: str, application_id: str, applicant: Applicant
    ) -> BureauReport | None:
        raise self.error


class SilentBureau(WillingBureau):
    async def report(
        self, tenant_id: str, application_id: str, applicant: Applicant
    ) -> BureauReport | None:
        await asyncio.Event().wait()
        raise AssertionError("nobody wakes it")


class ConstantScorer:
    version = "m-1"

    def __init__(self) -> None:
        self.forms: list[CreditForm] = []

    def score(self, form: CreditForm, bureau: BureauReport) -> Assessment:
        self.forms.append(form)
        return SCORED


class Case:
    """The activities over memory, with one bureau."""

    def __init__(self, bureau: WillingBureau) -> None:
        self.records, self.bureau, self.scorer = MemoryRecords(), bureau, ConstantScorer()
        self.activities = RiskActivities(self.records, bureau, self.scorer, deadline_s=0.05)

    async def assess(self, attempt: int = 1) -> Assessment:
        return await at_attempt(attempt, self.activities.assess, APPLICATION)


PASSING = [Transient("BUREAU_BUSY"), Unavailable("BUREAU_UNREACHABLE")]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: error.code)
@pytest.mark.parametrize("attempt", range(1, EVIDENCE_ATTEMPTS))
async def test_a_stumbling_bureau_is_asked_again(error: Exception, attempt: int) -> None:
    case = Case(FailingBureau(error))
    with pytest.raises(type(error)):
        await case.assess(attempt)
    assert case.records.stored is None
    assert case.records.assessed is None


@pytest.mark.parametrize("error", PASSING, ids=lambda error: error.code)
async def test_after_four_attempts_the_evidence_is_missing_and_a_person_decides(
    error: Exception,
) -> None:
    case = Case(FailingBureau(error))
    assessment = await case.assess(4)
    assert (assessment.outcome, assessment.reason_referred) == ("referred", "EVIDENCE_MISSING")
    assert (assessment.pd, assessment.score) == (1.0, 300)
    assert case.records.stored == (BureauEvidence.MISSING, None)
    assert case.records.recorded_with == [BureauEvidence.MISSING]
    assert case.scorer.forms == []


async def test_a_silent_bureau_is_given_up_at_its_deadline() -> None:
    case = Case(SilentBureau())
    with pytest.raises(TimeoutError):
        await case.assess(1)
    assert (await case.assess(4)).reason_referred == "EVIDENCE_MISSING"


async def test_a_refusal_for_good_is_not_asked_again() -> None:
    case = Case(FailingBureau(Permanent("BUREAU_REFUSED")))
    assessment = await case.assess(1)
    assert assessment.reason_referred == "EVIDENCE_MISSING"
    assert case.records.stored == (BureauEvidence.MISSING, None)


async def test_a_bug_is_no_missing_evidence() -> None:
    case = Case(FailingBureau(KeyError("score")))
    with pytest.raises(KeyError):
        await case.assess(9)
    assert case.records.stored is None


async def test_a_thin_file_is_an_answer_and_refers() -> None:
    case = Case(ThinBureau())
    assessment = await case.assess()
    assert (assessment.outcome, assessment.reason_referred) == ("referred", "THIN_FILE")
    assert case.records.stored == (BureauEvidence.THIN, None)
    assert case.scorer.forms == []


async def test_a_file_is_scored_with_what_the_form_says() -> None:
    case = Case(WillingBureau())
    assert await case.assess() == SCORED
    assert case.scorer.forms == [CreditForm(500_000, "USD", 12, 8_000_000, 60)]
    assert case.records.recorded_with == [BureauEvidence.PRESENT]


async def test_evidence_on_record_is_not_bought_again() -> None:
    case = Case(WillingBureau())
    case.records.stored = (BureauEvidence.PRESENT, REPORT)
    assert await case.assess(2) == SCORED
    assert case.bureau.sold == 0


async def test_missing_evidence_on_record_stays_missing() -> None:
    case = Case(WillingBureau())
    case.records.stored = (BureauEvidence.MISSING, None)
    assert (await case.assess(2)).reason_referred == "EVIDENCE_MISSING"
    assert case.bureau.sold == 0


async def test_the_assessment_on_record_stands() -> None:
    case = Case(WillingBureau())
    case.records.assessed = SCORED
    assert await case.assess() == SCORED
    assert await at_attempt(1, ReferralActivities(case.records).refer, APPLICATION) == SCORED
    assert (case.bureau.sold, case.records.recorded_with) == (0, [])


async def test_what_could_not_be_scored_in_time_is_referred() -> None:
    case = Case(WillingBureau())
    assessment = await at_attempt(1, ReferralActivities(case.records).refer, APPLICATION)
    assert (assessment.outcome, assessment.reason_referred) == ("referred", "MODEL_UNAVAILABLE")
    assert case.records.recorded_with == [BureauEvidence.MISSING]
