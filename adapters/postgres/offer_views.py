"""Offers as the API reads them, and an applicant's no to one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from adapters.postgres import idempotency
from adapters.postgres.database import Database
from adapters.postgres.graph_views import PostgresGraph, Source
from adapters.postgres.rows import quote_of
from models.domain.errors import Conflict, NotFound
from models.domain.graph import Page
from models.domain.offer import OfferStatus
from models.domain.views import OfferStanding, OfferView, SearchView
from models.domain.writes import StoredAnswer, WriteKey


def _offer_view(row: Any) -> OfferView:
    return OfferView(
        row["offer_id"], row["status"], quote_of(row), row["chain_id"], row["aggregator"]
    )


def _standing(row: Any) -> OfferStanding:
    return OfferStanding(
        _offer_view(row), row["application_id"], row["user_id"], row["round"], row["created_at"]
    )


_OFFERS: Final = Source(
    "offers", "offer_id", "off", _standing,
    "SELECT x.*, a.user_id FROM {rows} x JOIN applications a USING (tenant_id, application_id)",
    filters=frozenset({"status", "provider_id", "application_id"}),
)  # fmt: skip


class PostgresOffers:
    """Reads offers; `only_user`, where one is named, sees their own and no others."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._graph = PostgresGraph(database)

    async def offer(self, tenant_id: str, offer_id: str, only_user: str | None) -> OfferStanding:
        """One offer; NotFound for an unknown or foreign id."""
        async with self._graph.snapshot(tenant_id, only_user) as moment:
            found = await moment.by_key(_OFFERS, [offer_id])
        if offer_id not in found:
            raise NotFound("OFFER_UNKNOWN")
        return found[offer_id]

    async def history(
        self, tenant_id: str, only_user: str | None, page: Page
    ) -> Sequence[OfferStanding]:
        """Offers of every status, the newest first; one more than the page holds if there is."""
        async with self._graph.snapshot(tenant_id, only_user) as moment:
            return await moment.page(_OFFERS, page)

    async def searched(
        self, tenant_id: str, application_id: str, only_user: str | None
    ) -> SearchView:
        """The newest search and the offers that can be accepted now, the lowest APR first.

        NotFound for an unknown or foreign application.
        """
        async with self._database.transaction(tenant_id) as tx:
            row = await tx.row(
                "SELECT a.user_id, f.round, f.missing, ARRAY(SELECT o FROM offers o"
                " WHERE o.tenant_id = a.tenant_id AND o.application_id = a.application_id"
                " AND o.status = $3 AND o.expires_at > clock_timestamp()"
                " ORDER BY o.apr_bps, o.total_repayable_minor, o.offer_id) AS offers"
                " FROM applications a LEFT JOIN offer_searches f USING (tenant_id, application_id)"
                " WHERE a.tenant_id = $1 AND a.application_id = $2",
                tx.tenant_id, application_id, OfferStatus.OPEN.value,
            )  # fmt: skip
        if row is None or only_user not in (None, row["user_id"]):
            raise NotFound("APPLICATION_UNKNOWN")
        return SearchView(
            application_id=application_id,
            user_id=row["user_id"],
            round=row["round"],
            offers=tuple(_offer_view(each) for each in row["offers"]),
            missing=tuple(row["missing"] or ()),
        )

    async def reject(
        self,
        write: WriteKey,
        offer_id: str,
        only_user: str | None,
        reason: str | None,
        given: StoredAnswer,
    ) -> StoredAnswer:
        """Reject an open offer; with its audit row, its event and the answer in one transaction.

        An offer that was rejected already stays so. NotFound for an unknown or foreign id, Conflict
        OFFER_NOT_OPEN for one that was accepted, replaced, or has ended.
        """
        async with self._database.transaction(write.tenant_id) as tx:
            if (earlier := await idempotency.reserve(tx, write)) is not None:
                return earlier
            # The application's lock first, as acceptances take them: one of the two comes first.
            owner = await tx.row(
                "SELECT a.application_id, a.user_id FROM applications a"
                " JOIN offers o USING (tenant_id, application_id)"
                " WHERE o.tenant_id = $1 AND o.offer_id = $2 FOR UPDATE OF a",
                tx.tenant_id, offer_id,
            )  # fmt: skip
            if owner is None or only_user not in (None, owner["user_id"]):
                raise NotFound("OFFER_UNKNOWN")
            offer = await tx.row(
                "SELECT status, provider_id FROM offers WHERE tenant_id = $1 AND offer_id = $2"
                " FOR UPDATE",
                tx.tenant_id, offer_id,
            )  # fmt: skip
            assert offer is not None
            if offer["status"] == OfferStatus.OPEN:
                application_id = owner["application_id"]
                await tx.execute(
                    "UPDATE offers SET status = $3 WHERE tenant_id = $1 AND offer_id = $2",
                    tx.tenant_id, offer_id, OfferStatus.REJECTED.value,
                )  # fmt: skip
                detail = {"offer_id": offer_id, "provider_id": offer["provider_id"]}
                await tx.record(
                    write.subject, "offer.rejected", application_id,
                    {**detail, "reason": reason}, key=application_id,
                )  # fmt: skip
            elif offer["status"] != OfferStatus.REJECTED:
                raise Conflict("OFFER_NOT_OPEN", offer_id)
            await idempotency.answer(tx, write, given)
        return given
