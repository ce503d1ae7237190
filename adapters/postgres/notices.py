"""Statements for endings without a loan and for notices; satisfies `ApplicationEndings`."""

from __future__ import annotations

from adapters.postgres.database import Database
from adapters.postgres.endings import end, owed, recorded_ending
from adapters.postgres.movement import state_of
from adapters.postgres.people import applicant
from adapters.postgres.rows import REASONS
from models.domain.application import (
    TERMINAL_STATES,
    ApplicationEnding,
    ApplicationRef,
    State,
    Withdrawal,
)
from models.domain.decision import BureauEvidence
from models.domain.errors import Conflict, InvariantViolated, NotFound
from models.domain.notice import (
    NoticeCase,
    NoticeRef,
    NoticeResult,
    NoticeStatus,
    principal_reasons,
)


class PostgresApplicationEndings:
    """Closes applications that are not funded, and keeps what became of their notices."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def close(
        self, application: ApplicationRef, ending: ApplicationEnding
    ) -> NoticeRef | None:
        application_id = application.application_id
        async with self._database.transaction(application.tenant_id) as tx:
            state = await state_of(tx, application_id)
            if state is ending.state:
                return await owed(tx, application_id)
            if state is State.WITHDRAWN:
                raise Conflict("APPLICATION_CLOSED", application_id)
            if state in TERMINAL_STATES:
                raise InvariantViolated("APPLICATION_ENDED_TWICE", f"{state} and {ending.state}")
            return await end(tx, application_id, ending)

    async def withdraw(self, application: ApplicationRef, withdrawal: Withdrawal) -> None:
        application_id = application.application_id
        async with self._database.transaction(application.tenant_id) as tx:
            # Nothing is signed while this lock is held, nor afterwards: whoever signs looks here.
            state = await state_of(tx, application_id)
            if state is State.WITHDRAWN:
                return
            if state in TERMINAL_STATES:
                raise Conflict("APPLICATION_CLOSED", application_id)
            signed = await tx.value(
                "SELECT EXISTS (SELECT FROM settlements WHERE tenant_id = $1"
                " AND application_id = $2 AND tx_hash IS NOT NULL)",
                tx.tenant_id, application_id,
            )  # fmt: skip
            if signed:
                raise Conflict("SETTLEMENT_SIGNED", application_id)
            await end(
                tx,
                application_id,
                ApplicationEnding(State.WITHDRAWN, (withdrawal.reason,)),
                actor=withdrawal.by,
            )
            # Released with its commitment above; the lender's confirmation finds it gone.
            await tx.execute(
                "UPDATE offers SET status = 'withdrawn' WHERE tenant_id = $1"
                " AND application_id = $2 AND status = 'accepted'",
                tx.tenant_id, application_id,
            )  # fmt: skip

    async def ending(self, application: ApplicationRef) -> ApplicationEnding:
        async with self._database.transaction(application.tenant_id) as tx:
            return await recorded_ending(tx, application.application_id)

    async def notice_case(self, notice: NoticeRef) -> NoticeCase | None:
        application_id = notice.application_id
        async with self._database.transaction(notice.tenant_id) as tx:
            row = await tx.row(
                "SELECT n.status, n.reasons, a.created_at, a.amount_minor, a.currency,"
                " s.score, s.outcome, s.reasons AS score_reasons, s.bureau_status"
                " FROM notices n JOIN applications a USING (tenant_id, application_id)"
                " LEFT JOIN assessments s USING (tenant_id, application_id)"
                " WHERE n.tenant_id = $1 AND n.notice_id = $2",
                tx.tenant_id, notice.notice_id,
            )  # fmt: skip
            if row is None:
                raise NotFound("NOTICE_UNKNOWN", notice.notice_id)
            if row["status"] != NoticeStatus.PENDING:
                return None
            person = await applicant(tx, application_id)
        scored = row["outcome"] == "scored"
        score_reasons = REASONS.validate_python(row["score_reasons"]) if scored else ()
        return NoticeCase(
            application_id=application_id,
            recipient_name=person.full_name,
            address=person.address,
            applied_on=row["created_at"].date(),
            amount_minor=row["amount_minor"],
            currency=row["currency"],
            reasons=principal_reasons(row["reasons"], score_reasons),
            score=row["score"] if scored else None,
            bureau_was_used=row["bureau_status"] == BureauEvidence.PRESENT,
        )

    async def record_notice(self, result: NoticeResult) -> None:
        notice = result.notice
        async with self._database.transaction(notice.tenant_id) as tx:
            # A person may still deliver what the mail house refused or what is late already.
            changed = await tx.execute(
                "UPDATE notices SET status = $3, handled_by = $4, detail = $5,"
                " concluded_at = CASE WHEN $3 <> 'undeliverable' THEN clock_timestamp() END"
                " WHERE tenant_id = $1 AND notice_id = $2 AND status <> 'delivered'"
                " AND status <> $3",
                tx.tenant_id, notice.notice_id, result.status, result.by, result.detail,
            )  # fmt: skip
            if changed:
                await tx.record(
                    result.by,
                    f"notice.{result.status}",
                    notice.application_id,
                    {"notice_id": notice.notice_id, "detail": result.detail},
                    key=notice.application_id,
                )
