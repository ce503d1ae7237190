"""Statements for evidence and assessments; satisfies `RiskRecords`."""

from __future__ import annotations

from pydantic import TypeAdapter

from activities.ports.risk_records import RiskCase
from adapters.postgres.database import Database, Transaction
from adapters.postgres.movement import move
from adapters.postgres.people import applicant, person
from adapters.postgres.rows import REASONS, assessment_of, credit_request_of
from models.domain.application import ApplicationRef, Stage, State
from models.domain.decision import BureauEvidence
from models.domain.risk import Assessment, BureauReport

_REPORT = TypeAdapter(BureauReport)


class PostgresRiskRecords:
    """Evidence is bought once and the first assessment stands."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def assessment(self, application: ApplicationRef) -> Assessment | None:
        async with self._database.transaction(application.tenant_id) as tx:
            return await _assessment(tx, application)

    async def case(self, application: ApplicationRef, source: str) -> RiskCase | Assessment:
        async with self._database.transaction(application.tenant_id) as tx:
            if (earlier := await _assessment(tx, application)) is not None:
                return earlier
            stated = await applicant(tx, application.application_id)
            row = await tx.row(
                "SELECT * FROM applications WHERE tenant_id = $1 AND application_id = $2",
                tx.tenant_id, application.application_id,
            )  # fmt: skip
            evidence = await _evidence(tx, application, source)
        return RiskCase(credit_request_of(row), stated, evidence)

    async def record_evidence(
        self,
        application: ApplicationRef,
        source: str,
        outcome: BureauEvidence,
        report: BureauReport | None,
    ) -> None:
        async with self._database.transaction(application.tenant_id) as tx:
            sealed = None
            if report is not None:
                subject = await person(tx, application.user_id)
                sealed = subject.seal(_REPORT, report, _place(application, source))
            kept = await tx.execute(
                "INSERT INTO evidence (tenant_id, application_id, source, outcome, sealed_report)"
                " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                tx.tenant_id, application.application_id, source, outcome, sealed,
            )  # fmt: skip
            if kept:
                await tx.record(
                    "system",
                    "evidence.recorded",
                    application.application_id,
                    {"source": source, "outcome": outcome},
                    key=application.application_id,
                )

    async def record_assessment(
        self, application: ApplicationRef, assessment: Assessment, bureau: BureauEvidence
    ) -> None:
        async with self._database.transaction(application.tenant_id) as tx:
            kept = await tx.execute(
                "INSERT INTO assessments (tenant_id, application_id, outcome, pd, score,"
                " score_unclipped, confidence, reasons, model_version, model_sha256,"
                " bureau_status, referred_because)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
                " ON CONFLICT DO NOTHING",
                tx.tenant_id, application.application_id, assessment.outcome, assessment.pd,
                assessment.score, assessment.score_unclipped, assessment.confidence,
                REASONS.dump_python(assessment.reasons, mode="json"), assessment.model_version,
                assessment.model_sha256, bureau, assessment.reason_referred,
            )  # fmt: skip
            if kept:
                await move(
                    tx,
                    application.application_id,
                    Stage.CREDIT,
                    State.PROCESSING,
                    "risk.assessed",
                    detail={
                        "outcome": assessment.outcome,
                        "score": assessment.score,
                        "model_version": assessment.model_version,
                    },
                )


async def _assessment(tx: Transaction, application: ApplicationRef) -> Assessment | None:
    row = await tx.row(
        "SELECT * FROM assessments WHERE tenant_id = $1 AND application_id = $2",
        tx.tenant_id, application.application_id,
    )  # fmt: skip
    return assessment_of(row) if row else None


async def _evidence(
    tx: Transaction, application: ApplicationRef, source: str
) -> tuple[BureauEvidence, BureauReport | None] | None:
    row = await tx.row(
        "SELECT outcome, sealed_report FROM evidence"
        " WHERE tenant_id = $1 AND application_id = $2 AND source = $3",
        tx.tenant_id, application.application_id, source,
    )  # fmt: skip
    if row is None:
        return None
    report = None
    if row["sealed_report"] is not None:
        subject = await person(tx, application.user_id)
        report = subject.open(_REPORT, row["sealed_report"], _place(application, source))
    return BureauEvidence(row["outcome"]), report


def _place(application: ApplicationRef, source: str) -> str:
    return f"evidence.sealed_report/{application.application_id}/{source}"
