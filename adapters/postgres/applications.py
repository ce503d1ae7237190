"""What the API stores and reads of applications."""

from __future__ import annotations

from collections.abc import Callable

from adapters.postgres import idempotency
from adapters.postgres.application_views import application_view
from adapters.postgres.database import Database, Transaction
from adapters.postgres.people import APPLICANT, applicant_place, person
from models.domain.application import Applicant, ApplicationRef, CreditRequest, Stage, State
from models.domain.errors import Invalid, NotFound
from models.domain.failpoints import failpoint
from models.domain.views import ApplicationView
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
            failpoint("application.uncommitted")
        failpoint("application.stored")
        return fresh, True

    async def view(self, tenant_id: str, application_id: str) -> ApplicationView:
        """The application with everything that belongs to it; NotFound for a foreign id."""
        async with self._database.transaction(tenant_id) as tx:
            return await application_view(tx, application_id)

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

    async def awaits_offer(self, tenant_id: str, application_id: str, offer_id: str) -> bool:
        """Whether the application is open and has not been made this offer, or not yet."""
        async with self._database.transaction(tenant_id) as tx:
            closed_or_made = await tx.value(
                "SELECT 1 FROM applications AS a WHERE a.tenant_id = $1 AND a.application_id = $2"
                " AND (a.stage = $4 OR EXISTS (SELECT 1 FROM offers AS o WHERE o.tenant_id = $1"
                " AND o.application_id = $2 AND o.offer_id = $3))",
                tenant_id, application_id, offer_id, Stage.CLOSED.value,
            )  # fmt: skip
        return closed_or_made is None

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
