"""What was decided upon first stands: verdicts, evidence and assessments come back as kept."""

from __future__ import annotations

from typing import Any

import pytest

from activities.ports.decision_records import CreditCase
from activities.ports.risk_records import RiskCase
from adapters.postgres.decisions import PostgresDecisionRecords
from models.domain.decision import BureauEvidence, Phase, Verdict
from tests.adapters.postgres.test_one_transaction import FACTS, REPORT, VERDICT

pytestmark = pytest.mark.stack


async def test_the_first_verdict_of_a_phase_stands(lending: Any) -> None:
    ref = await lending.application()
    records = PostgresDecisionRecords(lending.app)
    await records.record_verdict(ref, VERDICT, FACTS, "list-1")
    other = Verdict.of(Phase.ELIGIBILITY, (), (), "rules-2")
    await records.record_verdict(ref, other, FACTS, "list-2")
    assert await records.case(ref, Phase.ELIGIBILITY) == VERDICT
    assert isinstance(await records.case(ref, Phase.CREDIT), CreditCase)


async def test_evidence_and_assessment_come_back_as_they_were_kept(lending: Any) -> None:
    ref = await lending.application()
    before = await lending.risk.case(ref, "bureau")
    assert isinstance(before, RiskCase)
    assert before.evidence is None
    await lending.risk.record_evidence(ref, "bureau", BureauEvidence.PRESENT, REPORT)
    await lending.risk.record_evidence(ref, "bureau", BureauEvidence.MISSING, None)
    bought = await lending.risk.case(ref, "bureau")
    assert isinstance(bought, RiskCase)
    assert bought.evidence == (BureauEvidence.PRESENT, REPORT)
    await lending.risk.record_assessment(ref, lending.assessment(0.04), BureauEvidence.PRESENT)
    await lending.risk.record_assessment(ref, lending.assessment(0.5), BureauEvidence.MISSING)
    assert await lending.risk.assessment(ref) == lending.assessment(0.04)
    assert await lending.risk.case(ref, "bureau") == lending.assessment(0.04)
    case = await PostgresDecisionRecords(lending.app).case(ref, Phase.CREDIT)
    assert isinstance(case, CreditCase)
    assert (case.bureau, case.assessment) == (BureauEvidence.PRESENT, lending.assessment(0.04))
    assert case.applicant == lending.person()
