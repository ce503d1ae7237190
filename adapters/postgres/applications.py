"""What the API stores and reads of applications."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapters.postgres import idempotency
from adapters.postgres.database import Database, Transaction
from adapters.postgres.people import APPLICANT, applicant_place, person
from adapters.postgres.rows import REASONS, credit_request_of, quote_of
from models.domain.application import Applicant, ApplicationRef, CreditRequest, Stage, State
from models.domain.errors import Invalid, NotFound
from models.domain.failpoints import failpoint
from models.domain.views import ApplicationView, LoanView, OfferView, SettlementView
from models.domain.writes import StoredAnswer, WriteKey


class PostgresApplications:
    """Stores a new application with everything that makes it start; reads it back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def submit(
        self,
        write: WriteKey,
        application: ApplicationRef,
        request: CreditRequest,
        applicant: Applicant,
        admit: Callable[[], StoredAnswer],
    ) -> tuple[StoredAnswer, bool]:
        """Store application, start intent, audit, outbox and answer in one transaction.

        `admit` is asked for a new request only: it refuses by raising, or gives the answer to
        keep. Returns the answer and whether the application is new; a repetition gets the stored
        bytes, however stale what it carries has become.
        """
        application_id = application.application_id
        async with self._database.transaction(application.tenant_id) as tx:
            if (earlier := await idempotency.reserve(tx, write)) is not None:
                return earlier, False
            fresh = admit()
            await self._insert(tx, application, request, applicant)
            await tx.execute(
                "INSERT INTO start_intents (tenant_id, application_id, user_id)"
                " VALUES ($1, $2, $3)",
                tx.tenant_id, application_id, application.user_id,
            )  # fmt: skip
            await tx.record(
                write.subject,
                "application.submitted",
                application_id,
                {
                    "stage": Stage.IDENTITY,
                    "state": State.PROCESSING,
                    "amount_minor": request.amount_minor,
                    "currency": request.currency,
                },
                key=application_id,
            )
            await idempotency.answer(tx, write, fresh)
        failpoint("application.stored")
        return fresh, True

    async def view(self, tenant_id: str, application_id: str) -> ApplicationView:
        """The application with everything that belongs to it; NotFound for a foreign id."""
        async with self._database.transaction(tenant_id) as tx:
            row = await tx.row(
                "SELECT a.*, k.status AS identity, s.score, s.outcome AS score_outcome,"
                " s.reasons AS score_reasons, f.missing,"
                " COALESCE(d.outcome, NULLIF(e.outcome, 'allow')) AS decision FROM applications a"
                " LEFT JOIN kyc_profiles k USING (tenant_id, user_id)"
                " LEFT JOIN assessments s USING (tenant_id, application_id)"
                " LEFT JOIN offer_searches f USING (tenant_id, application_id)"
                " LEFT JOIN decisions d ON d.tenant_id = a.tenant_id"
                " AND d.application_id = a.application_id AND d.phase = 'credit'"
                " LEFT JOIN decisions e ON e.tenant_id = a.tenant_id"
                " AND e.application_id = a.application_id AND e.phase = 'eligibility'"
                " WHERE a.tenant_id = $1 AND a.application_id = $2",
                tenant_id, application_id,
            )  # fmt: skip
            if row is None:
                raise NotFound("APPLICATION_UNKNOWN")
            offers = await tx.rows(
                "SELECT * FROM offers WHERE tenant_id = $1 AND application_id = $2"
                " ORDER BY apr_bps, total_repayable_minor, offer_id",
                tenant_id, application_id,
            )  # fmt: skip
            settlement = await tx.row(
                "SELECT * FROM settlements WHERE tenant_id = $1 AND application_id = $2",
                tenant_id, application_id,
            )  # fmt: skip
            loan = await tx.row(
                "SELECT * FROM loans WHERE tenant_id = $1 AND application_id = $2",
                tenant_id, application_id,
            )  # fmt: skip
        return _view(row, offers, settlement, loan)

    async def ref(self, tenant_id: str, application_id: str) -> ApplicationRef:
        """The application's ids; NotFound for a foreign id."""
        async with self._database.transaction(tenant_id) as tx:
            user_id = await tx.value(
                "SELECT user_id FROM applications WHERE tenant_id = $1 AND application_id = $2",
                tenant_id, application_id,
            )  # fmt: skip
        if user_id is None:
            raise NotFound("APPLICATION_UNKNOWN")
        return ApplicationRef(tenant_id, application_id, user_id)

    async def acceptance(self, tenant_id: str, application_id: str) -> tuple[str, str] | None:
        """(offer id, borrower's signature) of the acceptance on record, if there is one."""
        async with self._database.transaction(tenant_id) as tx:
            row = await tx.row(
                "SELECT offer_id, acceptance FROM offers WHERE tenant_id = $1"
                " AND application_id = $2 AND status = 'accepted'",
                tenant_id, application_id,
            )  # fmt: skip
        return (row["offer_id"], row["acceptance"]["signature"]) if row else None

    async def _insert(
        self,
        tx: Transaction,
        application: ApplicationRef,
        request: CreditRequest,
        applicant: Applicant,
    ) -> None:
        application_id = application.application_id
        try:
            subject = await person(tx, application.user_id, create=True)
        except NotFound as error:
            raise Invalid("PERSON_ERASED") from error
        await tx.execute(
            "INSERT INTO applications (tenant_id, application_id, user_id, state, stage, reasons,"
            " amount_minor, currency, term_months, purpose, jurisdiction, wallet, chain_id,"
            " sealed_applicant, version)"
            " VALUES ($1, $2, $3, $4, $5, '[]', $6, $7, $8, $9, $10, $11, $12, $13, 1)",
            tx.tenant_id, application_id, application.user_id, State.PROCESSING, Stage.IDENTITY,
            request.amount_minor, request.currency, request.term_months, request.purpose,
            request.jurisdiction, request.wallet, request.chain_id,
            subject.seal(APPLICANT, applicant, applicant_place(application_id)),
        )  # fmt: skip


def _view(row: Any, offers: list[Any], settlement: Any, loan: Any) -> ApplicationView:
    scored = row["score_outcome"] == "scored"
    return ApplicationView(
        application_id=row["application_id"],
        user_id=row["user_id"],
        request=credit_request_of(row),
        stage=row["stage"],
        state=row["state"],
        reasons=tuple(row["reasons"]),
        identity=row["identity"],
        decision=row["decision"],
        score=row["score"] if scored else None,
        score_reasons=REASONS.validate_python(row["score_reasons"]) if scored else (),
        offers=tuple(
            OfferView(
                each["offer_id"], each["status"], quote_of(each), each["chain_id"],
                each["aggregator"],
            )
            for each in offers
        ),
        missing_offers=tuple(row["missing"] or ()),
        accepted_offer_id=row["accepted_offer_id"],
        settlement=_settlement_view(settlement) if settlement else None,
        loan=_loan_view(loan) if loan else None,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )  # fmt: skip


def _settlement_view(row: Any) -> SettlementView:
    return SettlementView(
        settlement_id=row["settlement_id"],
        state=row["state"],
        chain_id=row["chain_id"],
        tx_hash=row["tx_hash"],
        block_number=row["block_number"],
        confirmations=row["confirmations"],
        amount_units=int(row["amount_units"]),
        borrower=row["borrower"],
        loan_reference=row["loan_reference"],
    )


def _loan_view(row: Any) -> LoanView:
    return LoanView(
        loan_id=row["loan_id"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        apr_bps=row["apr_bps"],
        term_months=row["term_months"],
        monthly_payment_minor=row["monthly_payment_minor"],
        total_repayable_minor=row["total_repayable_minor"],
        booked_at=row["booked_at"],
    )
