"""Statements for cases and verdicts; satisfies `DecisionRecords`."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import TypeAdapter

from activities.ports.decision_records import CreditCase
from adapters.postgres.database import Database, Transaction
from adapters.postgres.movement import move
from adapters.postgres.people import applicant, person
from adapters.postgres.rows import FIRED, assessment_of, credit_request_of, verdict_of
from models.domain.application import ApplicationRef, Stage, State
from models.domain.decision import BureauEvidence, Facts, Outcome, Phase, Verdict
from models.domain.errors import NotFound
from models.domain.kyc import KYCStanding, KYCStatus

_FACTS = TypeAdapter(Facts)
_STANDING = TypeAdapter(KYCStanding)

# Where an allowed application stands next.
_NEXT_STAGE = {Phase.ELIGIBILITY: Stage.RISK, Phase.CREDIT: Stage.OFFERS}


class PostgresDecisionRecords:
    """Reads cases and keeps verdicts; the first verdict of a phase stands."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def case(self, application: ApplicationRef, phase: Phase) -> CreditCase | Verdict:
        async with self._database.transaction(application.tenant_id) as tx:
            verdict = await _verdict(tx, application.application_id, phase)
            if verdict is not None:
                return verdict
            row = await tx.row(
                "SELECT * FROM applications WHERE tenant_id = $1 AND application_id = $2",
                tx.tenant_id, application.application_id,
            )  # fmt: skip
            if row is None:
                raise NotFound("APPLICATION_UNKNOWN")
            assessed = await tx.row(
                "SELECT * FROM assessments WHERE tenant_id = $1 AND application_id = $2",
                tx.tenant_id, application.application_id,
            )  # fmt: skip
            return CreditCase(
                request=credit_request_of(row),
                applicant=await applicant(tx, application.application_id),
                kyc_status=await _kyc_status(tx, application),
                assessment=assessment_of(assessed) if assessed else None,
                bureau=BureauEvidence(assessed["bureau_status"]) if assessed else None,
            )

    async def record_verdict(
        self, application: ApplicationRef, verdict: Verdict, facts: Facts, screened_with: str
    ) -> Verdict:
        application_id = application.application_id
        async with self._database.transaction(application.tenant_id) as tx:
            subject = await person(tx, application.user_id)
            kept = await tx.execute(
                "INSERT INTO decisions (tenant_id, application_id, phase, outcome, reasons, fired,"
                " packs, rule_set_version, sanctions_list_version, model_version, sealed_facts)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, (SELECT model_version FROM"
                " assessments WHERE tenant_id = $1 AND application_id = $2), $10)"
                " ON CONFLICT DO NOTHING",
                tx.tenant_id, application_id, verdict.phase, verdict.outcome,
                list(verdict.reasons), FIRED.dump_python(verdict.fired, mode="json"),
                list(verdict.packs), verdict.rule_set_version, screened_with,
                subject.seal(_FACTS, facts, f"decisions.sealed_facts/{application_id}"),
            )  # fmt: skip
            if not kept:
                earlier = await _verdict(tx, application_id, verdict.phase)
                assert earlier is not None
                return earlier
            allowed = verdict.outcome is Outcome.ALLOW
            here = Stage.ELIGIBILITY if verdict.phase is Phase.ELIGIBILITY else Stage.CREDIT
            await move(
                tx,
                application_id,
                _NEXT_STAGE[verdict.phase] if allowed else here,
                State.PROCESSING,
                f"{verdict.phase}.decided",
                reasons=verdict.reasons,
                detail={
                    "outcome": verdict.outcome,
                    "rules": [f"{rule.rule_id}@{rule.rule_version}" for rule in verdict.fired],
                    "rule_set_version": verdict.rule_set_version,
                    "sanctions_list_version": screened_with,
                },
            )
        return verdict


async def _kyc_status(tx: Transaction, application: ApplicationRef) -> KYCStatus | None:
    """How identity stands for this application: its own answer, else the person's profile."""
    answer = await tx.value(
        "SELECT answer FROM kyc_waiters"
        " WHERE tenant_id = $1 AND user_id = $2 AND application_id = $3",
        tx.tenant_id, application.user_id, application.application_id,
    )  # fmt: skip
    if answer is not None:
        return _STANDING.validate_python(answer).status
    row = await tx.row(
        "SELECT status, expires_at FROM kyc_profiles WHERE tenant_id = $1 AND user_id = $2",
        tx.tenant_id, application.user_id,
    )  # fmt: skip
    if row is None:
        return None
    if row["status"] == KYCStatus.VERIFIED and row["expires_at"] <= datetime.now(UTC):
        return KYCStatus.EXPIRED
    return KYCStatus(row["status"])


async def _verdict(tx: Transaction, application_id: str, phase: Phase) -> Verdict | None:
    row = await tx.row(
        "SELECT * FROM decisions WHERE tenant_id = $1 AND application_id = $2 AND phase = $3",
        tx.tenant_id, application_id, phase,
    )  # fmt: skip
    return verdict_of(row) if row else None
