"""Decide: eligibility before anything is bought, credit policy after the score is known."""

from __future__ import annotations

from datetime import UTC, date, datetime

from temporalio import activity

from activities.ports.decision_records import CreditCase, DecisionRecords
from activities.ports.name_screener import NameScreener
from activities.ports.rule_book import RuleBook
from models.domain.application import ApplicationRef
from models.domain.decision import Facts, Phase, SettlementKind, Verdict
from models.domain.screening import ScreeningResult


class ComplianceActivities:
    """Asks the rule book; a verdict once given is never given differently."""

    def __init__(
        self,
        records: DecisionRecords,
        rules: RuleBook,
        screener: NameScreener,
        *,
        emt_authorised: bool,
    ) -> None:
        self._records = records
        self._rules = rules
        self._screener = screener
        self._emt_authorised = emt_authorised

    @activity.defn(name="check_eligibility")
    async def check_eligibility(self, application: ApplicationRef) -> Verdict:
        """Jurisdiction, screening and limits, before a bureau is paid."""
        return await self._decide(application, Phase.ELIGIBILITY)

    @activity.defn(name="decide_credit")
    async def decide_credit(self, application: ApplicationRef) -> Verdict:
        """The same rule set's second phase, over score and evidence."""
        return await self._decide(application, Phase.CREDIT)

    async def _decide(self, application: ApplicationRef, phase: Phase) -> Verdict:
        case = await self._records.case(application, phase)
        if isinstance(case, Verdict):
            return case
        # Always this application's own names against today's list: both may have changed.
        screening = self._screener.screen([case.applicant.full_name])
        facts = _facts(case, screening, emt_authorised=self._emt_authorised)
        verdict = self._rules.evaluate(phase, facts)
        return await self._records.record_verdict(
            application, verdict, facts, screening.list_version
        )


def _facts(case: CreditCase, screening: ScreeningResult, *, emt_authorised: bool) -> Facts:
    assessment = case.assessment
    return Facts(
        amount_minor=case.request.amount_minor,
        currency=case.request.currency,
        country=case.request.jurisdiction,
        settlement=SettlementKind.CRYPTO,
        term_months=case.request.term_months,
        kyc_status=case.kyc_status,
        sanction_status=screening.status,
        age_years=_completed_years(
            date.fromisoformat(case.applicant.born_on), datetime.now(UTC).date()
        ),
        emt_authorised=emt_authorised,
        annual_income_minor=case.applicant.annual_income_minor,
        score=assessment.score if assessment else None,
        pd=assessment.pd if assessment else None,
        score_outcome=assessment.outcome if assessment else None,
        bureau=case.bureau,
    )


def _completed_years(born_on: date, today: date) -> int:
    """Age in completed years; born on 29 February, one ages on 1 March in other years."""
    had_birthday = (today.month, today.day) >= (born_on.month, born_on.day)
    return today.year - born_on.year - (0 if had_birthday else 1)
