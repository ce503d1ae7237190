"""The facts rules are asked about: this person's own names, age and evidence, on this day."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from activities import compliance
from activities.compliance import ComplianceActivities
from activities.ports.decision_records import CreditCase
from models.domain.application import ApplicationRef
from models.domain.decision import BureauEvidence, Facts, Outcome, Phase, SettlementKind, Verdict
from models.domain.kyc import KYCStatus
from models.domain.screening import ScreeningStatus
from tests.activities.people import (
    APPLICANT,
    APPLICATION,
    LIST_VERSION,
    REQUEST,
    SCORED,
    ClearScreener,
)

ALLOW = Verdict(Phase.ELIGIBILITY, Outcome.ALLOW, (), (), (), "rules-1")
DECLINE = dataclasses.replace(ALLOW, outcome=Outcome.DECLINE)


class MemoryRecords:
    def __init__(self, case: CreditCase) -> None:
        self.known = case
        self.verdicts: dict[Phase, Verdict] = {}
        self.facts: list[Facts] = []
        self.screened_with: list[str] = []

    async def case(self, application: ApplicationRef, phase: Phase) -> CreditCase | Verdict:
        return self.verdicts.get(phase, self.known)

    async def record_verdict(
        self, application: ApplicationRef, verdict: Verdict, facts: Facts, screened_with: str
    ) -> Verdict:
        self.facts.append(facts)
        self.screened_with.append(screened_with)
        return self.verdicts.setdefault(verdict.phase, verdict)


class OvertakenRecords(MemoryRecords):
    """Another attempt has recorded a verdict a moment before."""

    async def record_verdict(
        self, application: ApplicationRef, verdict: Verdict, facts: Facts, screened_with: str
    ) -> Verdict:
        return DECLINE


class AllowingRules:
    version = "rules-1"

    def __init__(self) -> None:
        self.asked: list[tuple[Phase, Facts]] = []

    def evaluate(self, phase: Phase, facts: Facts) -> Verdict:
        self.asked.append((phase, facts))
        return dataclasses.replace(ALLOW, phase=phase)


def case_of(**changes: Any) -> CreditCase:
    known = CreditCase(REQUEST, APPLICANT, KYCStatus.VERIFIED, None, None)
    return dataclasses.replace(known, **changes)


def activities_over(records: MemoryRecords, rules: AllowingRules) -> ComplianceActivities:
    return ComplianceActivities(records, rules, ClearScreener(), emt_authorised=True)


async def test_eligibility_is_asked_before_anything_is_known_of_the_risk() -> None:
    records, rules = MemoryRecords(case_of()), AllowingRules()
    verdict = await activities_over(records, rules).check_eligibility(APPLICATION)
    assert verdict.outcome is Outcome.ALLOW
    [(phase, facts)] = rules.asked
    assert phase is Phase.ELIGIBILITY
    assert facts == Facts(
        amount_minor=500_000,
        currency="USD",
        country="US",
        settlement=SettlementKind.CRYPTO,
        term_months=12,
        kyc_status=KYCStatus.VERIFIED,
        sanction_status=ScreeningStatus.CLEAR,
        age_years=facts.age_years,
        emt_authorised=True,
        annual_income_minor=8_000_000,
    )
    assert (records.facts, records.screened_with) == ([facts], [LIST_VERSION])


async def test_credit_is_asked_over_score_and_evidence() -> None:
    records = MemoryRecords(case_of(assessment=SCORED, bureau=BureauEvidence.THIN))
    rules = AllowingRules()
    await activities_over(records, rules).decide_credit(APPLICATION)
    [(phase, facts)] = rules.asked
    assert phase is Phase.CREDIT
    assert (facts.score, facts.pd) == (SCORED.score, SCORED.pd)
    assert (facts.score_outcome, facts.bureau) == ("scored", BureauEvidence.THIN)


async def test_the_applicants_own_name_is_screened_in_both_phases() -> None:
    screener = ClearScreener()
    activities = ComplianceActivities(
        MemoryRecords(case_of()), AllowingRules(), screener, emt_authorised=False
    )
    await activities.check_eligibility(APPLICATION)
    await activities.decide_credit(APPLICATION)
    assert screener.asked == [["Zelda Quillfeather"]] * 2


async def test_a_verdict_once_given_is_never_given_differently() -> None:
    records, rules = MemoryRecords(case_of()), AllowingRules()
    records.verdicts[Phase.ELIGIBILITY] = DECLINE
    assert await activities_over(records, rules).check_eligibility(APPLICATION) == DECLINE
    assert rules.asked == []


async def test_of_two_attempts_at_once_the_recorded_one_holds() -> None:
    records = OvertakenRecords(case_of())
    verdict = await activities_over(records, AllowingRules()).check_eligibility(APPLICATION)
    assert verdict == DECLINE


@pytest.mark.parametrize(
    ("born_on", "today", "age_years"),
    [
        ("2008-02-29", "2026-02-28", 17),
        ("2008-02-29", "2026-03-01", 18),
        ("2008-02-29", "2028-02-28", 19),
        ("2008-02-29", "2028-02-29", 20),
        ("2008-11-22", "2026-11-21", 17),
        ("2008-11-22", "2026-11-22", 18),
        ("2008-12-31", "2026-01-01", 17),
        ("1926-11-22", "2026-11-22", 100),
    ],
)
async def test_age_is_counted_in_completed_years(
    monkeypatch: pytest.MonkeyPatch, born_on: str, today: str, age_years: int
) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> Any:
            assert tz is UTC
            return datetime.fromisoformat(today + "T12:00:00+00:00")

    monkeypatch.setattr(compliance, "datetime", Clock)
    applicant = dataclasses.replace(APPLICANT, born_on=born_on)
    rules = AllowingRules()
    await activities_over(MemoryRecords(case_of(applicant=applicant)), rules).check_eligibility(
        APPLICATION
    )
    assert rules.asked[0][1].age_years == age_years
