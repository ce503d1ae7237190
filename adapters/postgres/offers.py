"""Statements for offers; satisfies `OfferRecords`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from adapters.postgres.database import Database, Transaction
from adapters.postgres.movement import SYSTEM, move
from adapters.postgres.rows import (
    assessment_of,
    credit_request_of,
    offer_summary_of,
    terms_document,
)
from models.domain.application import (
    TERMINAL_STATES,
    ApplicationRef,
    CreditRequest,
    Stage,
    State,
)
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
    """The first search of a round stands; so does the first acceptance."""

    def __init__(self, database: Database, venue: SettlementVenue) -> None:
        self._database = database
        self._venue = venue

    async def asked_for(
        self, application: ApplicationRef
    ) -> tuple[CreditRequest, Assessment, OfferBook | None]:
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
            book = await _book(tx, application.application_id)
        return credit_request_of(asked), assessment_of(assessed), book

    async def record_search(
        self, application: ApplicationRef, answers: Sequence[ProviderAnswer], round_: int = 1
    ) -> OfferBook:
        application_id = application.application_id
        missing = tuple(answer for answer in answers if answer.quote is None)
        quotes = [answer.quote for answer in answers if answer.quote is not None]
        async with self._database.transaction(application.tenant_id) as tx:
            if round_ > 1 and not await _may_be_quoted_anew(tx, application_id):
                return await _recorded_book(tx, application_id)
            newest = await tx.execute(
                "INSERT INTO offer_searches AS s (tenant_id, application_id, missing, round)"
                " VALUES ($1, $2, $3, $4) ON CONFLICT (tenant_id, application_id) DO UPDATE"
                " SET missing = EXCLUDED.missing, round = EXCLUDED.round,"
                " searched_at = clock_timestamp() WHERE s.round < EXCLUDED.round",
                tx.tenant_id, application_id, _MISSING.dump_python(missing, mode="json"), round_,
            )  # fmt: skip
            if newest:
                replaced = await _replace(tx, application_id, quotes) if round_ > 1 else []
                created = [
                    offer
                    for quote in quotes
                    if (offer := await self._insert(tx, application_id, quote, round_)) is not None
                ]
                if created:
                    await tx.record_each(
                        SYSTEM, "offer.created", application_id, created, key=application_id
                    )
                standing = bool(created) or (round_ > 1 and await _any_open(tx, application_id))
                await move(
                    tx,
                    application_id,
                    Stage.OFFERS,
                    State.OFFERED if standing else State.PROCESSING,
                    "offers.collected",
                    detail={
                        "round": round_,
                        "offers": [offer["offer_id"] for offer in created],
                        "replaced": replaced,
                        "missing": {answer.provider_id: answer.reason for answer in missing},
                    },
                )
            return await _recorded_book(tx, application_id)

    async def expire_offers(self, application: ApplicationRef, moment: str) -> OfferBook:
        application_id = application.application_id
        async with self._database.transaction(application.tenant_id) as tx:
            expired = await tx.rows(
                "UPDATE offers SET status = 'expired' WHERE tenant_id = $1"
                " AND application_id = $2 AND status = 'open' AND expires_at <= $3"
                " RETURNING offer_id, provider_id",
                tx.tenant_id, application_id, datetime.fromisoformat(moment),
            )  # fmt: skip
            if expired:
                await tx.record_each(
                    SYSTEM, "offer.expired", application_id,
                    [dict(each) for each in expired], key=application_id,
                )  # fmt: skip
            return await _recorded_book(tx, application_id)

    async def record_acceptance(self, application: ApplicationRef, request: AcceptOffer) -> None:
        application_id = application.application_id
        acceptance = request.acceptance
        async with self._database.transaction(application.tenant_id) as tx:
            # The application's lock decides between acceptances.
            held = await tx.value(
                "SELECT accepted_offer_id FROM applications"
                " WHERE tenant_id = $1 AND application_id = $2 FOR UPDATE",
                tx.tenant_id, application_id,
            )  # fmt: skip
            if held is not None:
                signature = await tx.value(
                    "SELECT acceptance->>'signature' FROM offers"
                    " WHERE tenant_id = $1 AND offer_id = $2",
                    tx.tenant_id, held,
                )  # fmt: skip
                # Only the one on record may be repeated: of two over one offer, either may come
                # first when the workflow task that heard them is given out again.
                if (held, signature) == (request.offer_id, acceptance.signature):
                    return
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

    async def _insert(
        self, tx: Transaction, application_id: str, quote: Quote, round_: int
    ) -> dict[str, Any] | None:
        """Keep a quote as an open offer; None if it is on record: the lender has said it again."""
        offer_id = new_id("off")
        fresh = await tx.execute(
            "INSERT INTO offers (tenant_id, offer_id, application_id, provider_id, quote_id,"
            " status, amount_minor, currency, term_months, nominal_rate_bps, fee_minor,"
            " monthly_payment_minor, total_repayable_minor, apr_bps, chain_id, aggregator, terms,"
            " terms_hash, expires_at, round) SELECT"
            " $1, $2, $3, $4, $5, 'open', $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,"
            " $17, $18, $19::bigint WHERE $19::bigint = 1 OR NOT EXISTS (SELECT FROM offers"
            " WHERE tenant_id = $1 AND application_id = $3 AND terms_hash = $17)",
            tx.tenant_id, offer_id, application_id, quote.provider_id, quote.quote_id,
            quote.amount_minor, quote.currency, quote.term_months, quote.nominal_rate_bps,
            quote.fee_minor, quote.monthly_payment_minor, quote.total_repayable_minor,
            quote.apr_bps, self._venue.chain_id, self._venue.aggregator,
            terms_document(quote.terms), quote.terms_hash,
            datetime.fromisoformat(quote.expires_at), round_,
        )  # fmt: skip
        return _told_of(offer_id, quote) if fresh else None


def _told_of(offer_id: str, quote: Quote) -> dict[str, Any]:
    """What the event of a new offer tells."""
    return {
        "offer_id": offer_id,
        "provider_id": quote.provider_id,
        "amount_minor": quote.amount_minor,
        "currency": quote.currency,
        "term_months": quote.term_months,
        "apr_bps": quote.apr_bps,
        "fee_minor": quote.fee_minor,
        "monthly_payment_minor": quote.monthly_payment_minor,
        "total_repayable_minor": quote.total_repayable_minor,
        "expires_at": quote.expires_at,
    }


async def _may_be_quoted_anew(tx: Transaction, application_id: str) -> bool:
    """Whether nothing was accepted and nothing has ended; the application is locked for that."""
    row = await tx.row(
        "SELECT state, accepted_offer_id FROM applications"
        " WHERE tenant_id = $1 AND application_id = $2 FOR UPDATE",
        tx.tenant_id, application_id,
    )  # fmt: skip
    return row["accepted_offer_id"] is None and State(row["state"]) not in TERMINAL_STATES


async def _replace(tx: Transaction, application_id: str, quotes: Sequence[Quote]) -> list[str]:
    """Close the open offers of lenders that quote anew, but for those they say again."""
    rows = await tx.rows(
        "UPDATE offers SET status = 'replaced' WHERE tenant_id = $1 AND application_id = $2"
        " AND status = 'open' AND provider_id = ANY($3::text[])"
        " AND NOT (terms_hash = ANY($4::text[])) RETURNING offer_id",
        tx.tenant_id, application_id, [quote.provider_id for quote in quotes],
        [quote.terms_hash for quote in quotes],
    )  # fmt: skip
    return [row["offer_id"] for row in rows]


async def _any_open(tx: Transaction, application_id: str) -> bool:
    return bool(
        await tx.value(
            "SELECT EXISTS (SELECT FROM offers WHERE tenant_id = $1 AND application_id = $2"
            " AND status = 'open')",
            tx.tenant_id, application_id,
        )
    )  # fmt: skip


async def _recorded_book(tx: Transaction, application_id: str) -> OfferBook:
    book = await _book(tx, application_id)
    assert book is not None
    return book


async def _book(tx: Transaction, application_id: str) -> OfferBook | None:
    search = await tx.row(
        "SELECT missing, round FROM offer_searches WHERE tenant_id = $1 AND application_id = $2",
        tx.tenant_id, application_id,
    )  # fmt: skip
    if search is None:
        return None
    offers = await tx.rows(
        "SELECT offer_id, provider_id, terms_hash, terms, offers.chain_id, aggregator, apr_bps,"
        " expires_at, status, accepted_by, acceptance, a.user_id FROM offers"
        " JOIN applications a USING (tenant_id, application_id)"
        " WHERE tenant_id = $1 AND application_id = $2 AND status IN ('open', 'accepted')"
        " ORDER BY apr_bps, total_repayable_minor, offer_id",
        tx.tenant_id, application_id,
    )  # fmt: skip
    accepted = next((row for row in offers if row["status"] == OfferStatus.ACCEPTED), None)
    return OfferBook(
        tuple(offer_summary_of(row) for row in offers if row["status"] == OfferStatus.OPEN),
        _MISSING.validate_python(search["missing"]),
        _acceptance_of(accepted) if accepted else None,
        search["round"],
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
