"""Statements for offers; satisfies `OfferRecords`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from adapters.postgres.database import Database, Transaction
from adapters.postgres.movement import move
from adapters.postgres.rows import (
    assessment_of,
    credit_request_of,
    offer_summary_of,
    terms_document,
)
from models.domain.application import ApplicationRef, CreditRequest, Stage, State
from models.domain.errors import Conflict, NotFound
from models.domain.ids import new_id
from models.domain.offer import (
    Acceptance,
    AcceptOffer,
    OfferBook,
    OfferStatus,
    ProviderAnswer,
    Quote,
    SettlementVenue,
)
from models.domain.risk import Assessment

_MISSING = TypeAdapter(tuple[ProviderAnswer, ...])


class PostgresOfferRecords:
    """The first search of an application stands; so does the first acceptance."""

    def __init__(self, database: Database, venue: SettlementVenue) -> None:
        self._database = database
        self._venue = venue

    async def asked_for(self, application: ApplicationRef) -> tuple[CreditRequest, Assessment]:
        async with self._database.transaction(application.tenant_id) as tx:
            asked = await tx.row(
                "SELECT * FROM applications WHERE tenant_id = $1 AND application_id = $2",
                tx.tenant_id, application.application_id,
            )  # fmt: skip
            assessed = await tx.row(
                "SELECT * FROM assessments WHERE tenant_id = $1 AND application_id = $2",
                tx.tenant_id, application.application_id,
            )  # fmt: skip
        if asked is None or assessed is None:
            raise NotFound("APPLICATION_NOT_ASSESSED", application.application_id)
        return credit_request_of(asked), assessment_of(assessed)

    async def book(self, application: ApplicationRef) -> OfferBook | None:
        async with self._database.transaction(application.tenant_id) as tx:
            return await _book(tx, application.application_id)

    async def record_search(
        self, application: ApplicationRef, answers: Sequence[ProviderAnswer]
    ) -> OfferBook:
        application_id = application.application_id
        missing = tuple(answer for answer in answers if answer.quote is None)
        async with self._database.transaction(application.tenant_id) as tx:
            first = await tx.execute(
                "INSERT INTO offer_searches (tenant_id, application_id, missing)"
                " VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                tx.tenant_id, application_id, _MISSING.dump_python(missing, mode="json"),
            )  # fmt: skip
            if first:
                quotes = [answer.quote for answer in answers if answer.quote is not None]
                offer_ids = [await self._insert(tx, application_id, quote) for quote in quotes]
                await move(
                    tx,
                    application_id,
                    Stage.OFFERS,
                    State.OFFERED if offer_ids else State.PROCESSING,
                    "offers.collected",
                    detail={
                        "offers": offer_ids,
                        "missing": {answer.provider_id: answer.reason for answer in missing},
                    },
                )
            book = await _book(tx, application_id)
        assert book is not None
        return book

    async def record_acceptance(self, application: ApplicationRef, request: AcceptOffer) -> None:
        application_id = application.application_id
        acceptance = request.acceptance
        async with self._database.transaction(application.tenant_id) as tx:
            # The application's lock decides between acceptances of different offers.
            held = await tx.value(
                "SELECT accepted_offer_id FROM applications"
                " WHERE tenant_id = $1 AND application_id = $2 FOR UPDATE",
                tx.tenant_id, application_id,
            )  # fmt: skip
            if held == request.offer_id:
                return
            if held is not None:
                raise Conflict("ALREADY_ACCEPTED", held)
            status = await tx.value(
                "SELECT status FROM offers WHERE tenant_id = $1 AND offer_id = $2"
                " AND application_id = $3 FOR UPDATE",
                tx.tenant_id, request.offer_id, application_id,
            )  # fmt: skip
            if status != OfferStatus.OPEN:
                raise Conflict("OFFER_NOT_OPEN", request.offer_id)
            await tx.execute(
                "UPDATE offers SET status = 'accepted', accepted_by = $3, acceptance = $4"
                " WHERE tenant_id = $1 AND offer_id = $2",
                tx.tenant_id, request.offer_id, request.accepted_by,
                {
                    "terms_hash": acceptance.terms_hash,
                    "borrower": acceptance.borrower,
                    "nonce": str(acceptance.nonce),
                    "deadline": acceptance.deadline,
                    "signature": acceptance.signature,
                },
            )  # fmt: skip
            await tx.execute(
                "UPDATE applications SET accepted_offer_id = $3"
                " WHERE tenant_id = $1 AND application_id = $2",
                tx.tenant_id, application_id, request.offer_id,
            )  # fmt: skip
            await move(
                tx,
                application_id,
                Stage.SETTLEMENT,
                State.SETTLING,
                "offer.accepted",
                actor=request.accepted_by,
                detail={"offer_id": request.offer_id, "terms_hash": acceptance.terms_hash},
            )

    async def _insert(self, tx: Transaction, application_id: str, quote: Quote) -> str:
        offer_id = new_id("off")
        await tx.execute(
            "INSERT INTO offers (tenant_id, offer_id, application_id, provider_id, quote_id,"
            " status, amount_minor, currency, term_months, nominal_rate_bps, fee_minor,"
            " monthly_payment_minor, total_repayable_minor, apr_bps, chain_id, aggregator, terms,"
            " terms_hash, expires_at) VALUES"
            " ($1, $2, $3, $4, $5, 'open', $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,"
            " $17, $18)",
            tx.tenant_id, offer_id, application_id, quote.provider_id, quote.quote_id,
            quote.amount_minor, quote.currency, quote.term_months, quote.nominal_rate_bps,
            quote.fee_minor, quote.monthly_payment_minor, quote.total_repayable_minor,
            quote.apr_bps, self._venue.chain_id, self._venue.aggregator,
            terms_document(quote.terms), quote.terms_hash,
            datetime.fromisoformat(quote.expires_at),
        )  # fmt: skip
        return offer_id


async def _book(tx: Transaction, application_id: str) -> OfferBook | None:
    missing: Any = await tx.value(
        "SELECT missing FROM offer_searches WHERE tenant_id = $1 AND application_id = $2",
        tx.tenant_id, application_id,
    )  # fmt: skip
    if missing is None:
        return None
    offers = await tx.rows(
        "SELECT offer_id, provider_id, terms_hash, terms, offers.chain_id, aggregator, apr_bps,"
        " expires_at, status, accepted_by, acceptance, a.user_id FROM offers"
        " JOIN applications a USING (tenant_id, application_id)"
        " WHERE tenant_id = $1 AND application_id = $2"
        " ORDER BY apr_bps, total_repayable_minor, offer_id",
        tx.tenant_id, application_id,
    )  # fmt: skip
    accepted = next((row for row in offers if row["status"] == OfferStatus.ACCEPTED), None)
    return OfferBook(
        tuple(offer_summary_of(row) for row in offers),
        _MISSING.validate_python(missing),
        _acceptance_of(accepted) if accepted else None,
    )


def _acceptance_of(row: Any) -> AcceptOffer:
    stated = row["acceptance"]
    return AcceptOffer(
        offer_id=row["offer_id"],
        applicant_id=row["user_id"],
        accepted_by=row["accepted_by"],
        acceptance=Acceptance(
            terms_hash=stated["terms_hash"],
            borrower=stated["borrower"],
            nonce=int(stated["nonce"]),
            deadline=stated["deadline"],
            signature=stated["signature"],
        ),
    )
