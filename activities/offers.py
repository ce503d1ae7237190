"""Offer terms: ask every eligible lender under one deadline, keep what came, record acceptance."""

from __future__ import annotations

from collections.abc import Callable

from temporalio import activity

from activities.ports.credit_provider import OfferSearch
from activities.ports.offer_records import OfferRecords
from models.domain.application import ApplicationRef
from models.domain.offer import (
    AcceptOffer,
    OfferBook,
    QuoteRequest,
    SettlementVenue,
)


class OfferActivities:
    """Searches once per round of an application; the search on record stands."""

    def __init__(
        self,
        records: OfferRecords,
        search: OfferSearch,
        venue: SettlementVenue,
        loan_reference: Callable[[str, str], str],
        *,
        deadline_s: float,
    ) -> None:
        self._records = records
        self._search = search
        self._venue = venue
        self._loan_reference = loan_reference
        self._deadline_s = deadline_s

    @activity.defn(name="collect_offers")
    async def collect_offers(self, application: ApplicationRef, round_: int) -> OfferBook:
        """Fan out to all lenders; late and failing ones are reported, never waited for."""
        request, assessment, earlier = await self._records.asked_for(application)
        if earlier is not None and (earlier.round >= round_ or earlier.accepted is not None):
            return earlier
        scored = assessment.outcome == "scored"
        quote_request = QuoteRequest(
            tenant_id=application.tenant_id,
            application_id=application.application_id,
            loan_reference=self._loan_reference(application.tenant_id, application.application_id),
            borrower=request.wallet,
            amount_minor=request.amount_minor,
            currency=request.currency,
            term_months=request.term_months,
            jurisdiction=request.jurisdiction,
            score=assessment.score if scored else None,
            pd=assessment.pd if scored else None,
            venue=self._venue,
            round=round_,
        )
        answers = await self._search.search(quote_request, self._deadline_s)
        return await self._records.record_search(application, answers, round_)

    @activity.defn(name="record_acceptance")
    async def record_acceptance(self, application: ApplicationRef, request: AcceptOffer) -> None:
        """Keep which offer was accepted, by whom, and the borrower's signature."""
        await self._records.record_acceptance(application, request)

    @activity.defn(name="expire_offers")
    async def expire_offers(self, application: ApplicationRef, moment: str) -> OfferBook:
        """Mark open offers that have expired by this moment; what is still open."""
        return await self._records.expire_offers(application, moment)
