"""Score risk: evidence with a deadline, then the model; partial evidence is said, not hidden."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from temporalio import activity

from activities.ports.credit_bureau import CreditBureau
from activities.ports.risk_records import RiskCase, RiskRecords
from activities.ports.scorer import Scorer
from models.domain.application import Applicant, ApplicationRef
from models.domain.decision import BureauEvidence, ReasonCode
from models.domain.errors import Permanent, Transient
from models.domain.failpoints import failpoint
from models.domain.risk import Assessment, BureauReport, CreditForm

log = structlog.get_logger()

BUREAU: Final = "bureau"

# What stands in an assessment for a model that was not asked.
NO_MODEL: Final = "none"

# A bureau that stumbles is asked again by Temporal; after this many attempts the application goes
# on without it, to a person.
EVIDENCE_ATTEMPTS: Final = 4


class ReferralActivities:
    """For those who wait for a score that does not come: needs neither the bureau nor a model."""

    def __init__(self, records: RiskRecords) -> None:
        self._records = records

    @activity.defn(name="refer_unscored")
    async def refer(self, application: ApplicationRef) -> Assessment:
        """Nothing could be scored in time: record that a person must decide."""
        if (earlier := await self._records.assessment(application)) is not None:
            return earlier
        assessment = Assessment.refer(
            ReasonCode.MODEL_UNAVAILABLE, model_version=NO_MODEL, model_sha256=""
        )
        await self._records.record_assessment(application, assessment, BureauEvidence.MISSING)
        return assessment


class RiskActivities:
    """Gathers evidence and scores; what is on record is never bought or scored again."""

    def __init__(
        self, records: RiskRecords, bureau: CreditBureau, scorer: Scorer, *, deadline_s: float
    ) -> None:
        self._records = records
        self._bureau = bureau
        self._scorer = scorer
        self._deadline_s = deadline_s

    @activity.defn(name="assess_risk")
    async def assess(self, application: ApplicationRef) -> Assessment:
        """Buy the report (once), score it in a thread, record the assessment."""
        case = await self._records.case(application, BUREAU)
        if isinstance(case, Assessment):
            return case
        bureau, report = case.evidence or await self._bought(application, case.applicant)
        failpoint("risk.evidence_stored")
        assessment = await self._score(case, bureau, report)
        await self._records.record_assessment(application, assessment, bureau)
        return assessment

    async def _bought(
        self, application: ApplicationRef, applicant: Applicant
    ) -> tuple[BureauEvidence, BureauReport | None]:
        try:
            async with asyncio.timeout(self._deadline_s):
                report = await self._bureau.report(
                    application.tenant_id, application.application_id, applicant
                )
            outcome = BureauEvidence.THIN if report is None else BureauEvidence.PRESENT
        except (Transient, TimeoutError) as error:
            if activity.info().attempt < EVIDENCE_ATTEMPTS:
                raise
            log.warning("evidence_missing", source=BUREAU, error=type(error).__name__)
            outcome, report = BureauEvidence.MISSING, None
        except Permanent as error:
            log.warning("evidence_missing", source=BUREAU, error=error.code)
            outcome, report = BureauEvidence.MISSING, None
        await self._records.record_evidence(application, BUREAU, outcome, report)
        return outcome, report

    async def _score(
        self, case: RiskCase, bureau: BureauEvidence, report: BureauReport | None
    ) -> Assessment:
        if report is None:
            thin = bureau is BureauEvidence.THIN
            return self._referred(ReasonCode.THIN_FILE if thin else ReasonCode.EVIDENCE_MISSING)
        form = CreditForm(
            amount_minor=case.request.amount_minor,
            currency=case.request.currency,
            term_months=case.request.term_months,
            annual_income_minor=case.applicant.annual_income_minor,
            employment_months=case.applicant.employment_months,
        )
        return await asyncio.to_thread(self._scorer.score, form, report)

    def _referred(self, reason: ReasonCode) -> Assessment:
        return Assessment.refer(reason, model_version=self._scorer.version, model_sha256="")
