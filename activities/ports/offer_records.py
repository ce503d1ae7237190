"""Our records of offers and of the one that was accepted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from models.domain.application import ApplicationRef, CreditRequest
from models.domain.offer import AcceptOffer, OfferBook, ProviderAnswer
from models.domain.risk import Assessment


class OfferRecords(Protocol):
    """Each writing method is one transaction with its audit and outbox rows; all may repeat."""

    async def asked_for(
        self, application: ApplicationRef
    ) -> tuple[CreditRequest, Assessment, OfferBook | None]:
        """The request and the assessment lenders are told of, and the offers on record, best first.

        There is no book before a search was recorded. Raises NotFound APPLICATION_NOT_ASSESSED.
        """
        ...

    async def record_search(
        self, application: ApplicationRef, answers: Sequence[ProviderAnswer], round_: int = 1
    ) -> OfferBook:
        """Keep the offers and the reasons for those that are missing.

        The first record of a round stands. A lender's newer quotes replace its open ones; those of
        a lender that is missing this time stand until they expire. Nothing is changed once an
        offer is accepted.
        """
        ...

    async def expire_offers(self, application: ApplicationRef, moment: str) -> OfferBook:
        """Mark open offers that have expired by this moment (ISO 8601); what is still open."""
        ...

    async def record_acceptance(self, application: ApplicationRef, request: AcceptOffer) -> None:
        """Mark the offer accepted, with the borrower's signature as evidence.

        The very acceptance on record may be repeated. Raises Conflict ALREADY_ACCEPTED for any
        other, one over the same offer included, and OFFER_NOT_OPEN.
        """
        ...
