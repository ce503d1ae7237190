"""Offer terms: ask every eligible lender under one deadline, keep what came, record acceptance."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog
from temporalio import activity

from activities.ports.credit_provider import CreditProvider
from activities.ports.offer_records import OfferRecords
from models.domain.application import ApplicationRef
from models.domain.errors import CreditError
from models.domain.offer import (
    AcceptOffer,
    OfferBook,
    ProviderAnswer,
    QuoteRequest,
    SettlementVenue,
)

log = structlog.get_logger()


class OfferActivities:
    """Searches once per round of an application; the search on record stands."""

    def __init__(
        self,
        records: OfferRecords,
        providers: Sequence[CreditProvider],
        venue: SettlementVenue,
        loan_reference: Callable[[str, str], str],
        *,
        deadline_s: float,
    ) -> None:
        self._records = records
        self._providers = providers
        self._venue = venue
        self._loan_reference = loan_reference
        self._deadline_s = deadline_s

    @activity.defn(name="collect_offers")
    async def collect_offers(self, application: ApplicationRef, round_: int) -> OfferBook:
        """Fan out to all lenders; late and failing ones are reported, never waited for."""
        earlier = await self._records.book(application)
        if earlier is not None and (earlier.round >= round_ or earlier.accepted is not None):
            return earlier
        request, assessment = await self._records.asked_for(application)
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
        answers = await asyncio.gather(
            *(self._ask(provider, quote_request) for provider in self._providers)
        )
        return await self._records.record_search(
            application, _each_once([answer for several in answers for answer in several]), round_
        )

    @activity.defn(name="record_acceptance")
    async def record_acceptance(self, application: ApplicationRef, request: AcceptOffer) -> None:
        """Keep which offer was accepted, by whom, and the borrower's signature."""
        await self._records.record_acceptance(application, request)

    @activity.defn(name="expire_offers")
    async def expire_offers(self, application: ApplicationRef, moment: str) -> OfferBook:
        """Mark open offers that have expired by this moment; what is still open."""
        return await self._records.expire_offers(application, moment)

    async def _ask(
        self, provider: CreditProvider, request: QuoteRequest
    ) -> tuple[ProviderAnswer, ...]:
        name = provider.provider_id
        try:
            async with asyncio.timeout(self._deadline_s):
                quotes = await provider.get_offers(request)
        except TimeoutError:
            return (ProviderAnswer(name, None, "DEADLINE_EXCEEDED"),)
        except CreditError as error:
            log.warning("provider_failed", provider=name, code=error.code)
            return (ProviderAnswer(name, None, error.code),)
        except Exception as error:
            # One lender's adapter must not cost the applicant the others' offers.
            log.exception("provider_bug", provider=name, exc_info=error)
            return (ProviderAnswer(name, None, "PROVIDER_FAILED"),)
        if not quotes:
            return (ProviderAnswer(name, None, "NOT_OFFERED"),)
        return tuple(ProviderAnswer(name, quote) for quote in quotes)


def _each_once(answers: Sequence[ProviderAnswer]) -> list[ProviderAnswer]:
    """The answers without repeated quotes, the first of each kept.

    One lender's id names one quote, and one set of terms can be settled once: whatever comes again
    under either is the same offer, and two of them could both be accepted.
    """
    kept: list[ProviderAnswer] = []
    seen: set[tuple[str, str]] = set()
    for answer in answers:
        if answer.quote is not None:
            named = {
                (answer.provider_id, answer.quote.quote_id),
                ("terms", answer.quote.terms_hash),
            }
            if not seen.isdisjoint(named):
                log.warning("offer_repeated", provider=answer.provider_id)
                continue
            seen |= named
        kept.append(answer)
    return kept
