"""What applicants answer to a question: stored sealed, then told to the workflow that waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from adapters.postgres.database import PLATFORM, Database, Transaction
from adapters.postgres.people import APPLICANT, SealedPerson, applicant_place, person
from models.domain.application import TERMINAL_STATES, ApplicationRef, IdentityDocument
from models.domain.errors import Conflict, NotFound
from models.domain.ids import application_workflow_id, kyc_workflow_id
from models.domain.review import InformationProvided

ANSWERS = TypeAdapter(dict[str, str])


@dataclass(frozen=True, slots=True)
class AnsweredRequest:
    """An answered question with the workflow that has to be told."""

    tenant_id: str
    workflow_id: str
    provided: InformationProvided


class PostgresInformation:
    """Takes an answer once, and knows which answers no workflow has been told of."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def provide(
        self,
        application: ApplicationRef,
        request_id: str,
        answers: dict[str, str],
        document: IdentityDocument | None,
        provided_by: str,
    ) -> AnsweredRequest:
        """Keep the answers (item to text) sealed; a new document replaces the stated one.

        Answering again changes nothing. NotFound INFORMATION_REQUEST_UNKNOWN for a request that is
        not this applicant's, Conflict INFORMATION_REQUEST_CLOSED for one that has ended or is late.
        """
        async with self._database.transaction(application.tenant_id) as tx:
            # The applications before their questions, as endings lock them.
            open_ones = await _open_applications(tx, application.user_id)
            row = await _request(tx, application, request_id)
            if row["status"] == "answered":
                return _answered(row)
            if row["status"] != "open" or row["due_at"] <= datetime.now(UTC):
                raise Conflict("INFORMATION_REQUEST_CLOSED", request_id)
            subject = await person(tx, application.user_id)
            await tx.execute(
                "UPDATE information_requests SET status = 'answered', application_id = $3,"
                " sealed_answers = $4, new_document = $5, answered_at = clock_timestamp()"
                " WHERE tenant_id = $1 AND request_id = $2",
                tx.tenant_id, request_id, application.application_id,
                subject.seal(ANSWERS, answers, _place(request_id)), document is not None,
            )  # fmt: skip
            if document is not None:
                await _amend(tx, subject, open_ones, document)
            await tx.record(
                provided_by,
                "information.provided",
                application.application_id,
                {
                    "request_id": request_id,
                    "items": sorted(answers),
                    "new_document": document is not None,
                },
                key=application.application_id,
            )
            return _answered(await _request(tx, application, request_id))

    async def read(self, tenant_id: str, review_id: str, reader: str) -> dict[str, dict[str, str]]:
        """What the applicant answered, by request id; that it was read is on record."""
        async with self._database.transaction(tenant_id) as tx:
            rows = await tx.rows(
                "SELECT * FROM information_requests WHERE tenant_id = $1 AND review_id = $2"
                " AND sealed_answers IS NOT NULL ORDER BY created_at",
                tenant_id, review_id,
            )  # fmt: skip
            answers = {}
            for row in rows:
                subject = await person(tx, row["user_id"])
                answers[row["request_id"]] = subject.open(
                    ANSWERS, row["sealed_answers"], _place(row["request_id"])
                )
            if answers:
                await tx.record(
                    reader, "information.read", review_id, {"requests": list(answers)},
                    key=review_id,
                )  # fmt: skip
        return answers

    async def undelivered(self, limit: int) -> Sequence[AnsweredRequest]:
        """Answers of all tenants no workflow knows after 5 s (role `caas_relay`), oldest first."""
        async with self._database.transaction(PLATFORM) as tx:
            rows = await tx.rows(
                "SELECT tenant_id, request_id, workflow_id, new_document FROM information_requests"
                " WHERE answered_at < clock_timestamp() - interval '5 seconds'"
                " AND delivered_at IS NULL ORDER BY answered_at LIMIT $1",
                limit,
            )
        return [_answered(row) for row in rows]

    async def delivered(self, answered: AnsweredRequest) -> None:
        """The workflow knows."""
        async with self._database.transaction(answered.tenant_id) as tx:
            await tx.execute(
                "UPDATE information_requests SET delivered_at = clock_timestamp()"
                " WHERE tenant_id = $1 AND request_id = $2 AND delivered_at IS NULL",
                tx.tenant_id, answered.provided.request_id,
            )  # fmt: skip


async def _request(tx: Transaction, application: ApplicationRef, request_id: str) -> Any:
    row = await tx.row(
        "SELECT * FROM information_requests WHERE tenant_id = $1 AND request_id = $2"
        " AND user_id = $3 AND workflow_id = ANY($4::text[]) FOR UPDATE",
        tx.tenant_id, request_id, application.user_id,
        [
            application_workflow_id(tx.tenant_id, application.application_id),
            kyc_workflow_id(tx.tenant_id, application.user_id),
        ],
    )  # fmt: skip
    if row is None:
        raise NotFound("INFORMATION_REQUEST_UNKNOWN")
    return row


async def _open_applications(tx: Transaction, user_id: str) -> list[Any]:
    """The person's applications that have not ended, locked."""
    return await tx.rows(
        "SELECT application_id, sealed_applicant FROM applications"
        " WHERE tenant_id = $1 AND user_id = $2 AND NOT (state = ANY($3::text[]))"
        " ORDER BY application_id FOR UPDATE",
        tx.tenant_id, user_id, [each.value for each in TERMINAL_STATES],
    )  # fmt: skip


async def _amend(
    tx: Transaction, subject: SealedPerson, open_ones: Sequence[Any], document: IdentityDocument
) -> None:
    """State the new document in each of these applications of the person."""
    for row in open_ones:
        place = applicant_place(row["application_id"])
        stated = subject.open(APPLICANT, row["sealed_applicant"], place)
        await tx.execute(
            "UPDATE applications SET sealed_applicant = $3, version = version + 1,"
            " updated_at = clock_timestamp() WHERE tenant_id = $1 AND application_id = $2",
            tx.tenant_id, row["application_id"],
            subject.seal(APPLICANT, replace(stated, document=document), place),
        )  # fmt: skip


def _answered(row: Any) -> AnsweredRequest:
    return AnsweredRequest(
        row["tenant_id"],
        row["workflow_id"],
        InformationProvided(row["request_id"], row["new_document"]),
    )


def _place(request_id: str) -> str:
    return f"information_requests.sealed_answers/{request_id}"
