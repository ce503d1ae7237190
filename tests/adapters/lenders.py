"""Lenders of the search's tests, and a directory that names them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence

from activities.ports.credit_provider import Asked, CreditProvider
from models.domain.ids import new_id
from models.domain.offer import (
    Acceptance,
    LenderConfirmation,
    Quote,
    QuoteRequest,
)
from models.domain.offer_search import SearchCriteria
from models.domain.provider import MissingProvider, ProviderStatus
from tests.activities.people import BORROWER, QUOTE, VENUE

CRITERIA = SearchCriteria(500_000, "USD", 12, "US", BORROWER)


def indicative(criteria: SearchCriteria = CRITERIA, tenant_id: str = "tenant-1") -> QuoteRequest:
    """What lenders are asked about criteria: each time under an id of its own."""
    return criteria.request(tenant_id, new_id("srch"), "0x" + "4e" * 32, VENUE)


def binding(application_id: str = "app_" + "1" * 32) -> QuoteRequest:
    """What lenders are asked for an application."""
    return dataclasses.replace(indicative(), application_id=application_id, score=700, pd=0.02)


def quote_of(provider_id: str, number: int = 0, **changed: object) -> Quote:
    """A quote of that lender, unlike its other ones."""
    quote = dataclasses.replace(
        QUOTE,
        provider_id=provider_id,
        quote_id=f"quote-{number}",
        terms_hash=f"hash of {provider_id} {number}",
    )
    return dataclasses.replace(quote, **changed)  # type: ignore[arg-type]


class Lender:
    """Quotes the same to everybody, once it is let."""

    def __init__(self, provider_id: str, *quotes: Quote, held: bool = False) -> None:
        self.provider_id = provider_id
        self.quotes = quotes or (quote_of(provider_id),)
        self.asked: list[QuoteRequest] = []
        self.cancelled = 0
        self.open = asyncio.Event()
        if not held:
            self.open.set()

    async def get_offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        self.asked.append(request)
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.quotes

    async def connect(self) -> None:
        return

    async def disconnect(self) -> None:
        return

    async def get_status(self) -> ProviderStatus:
        return ProviderStatus.ACTIVE

    async def accept_offer(
        self, tenant_id: str, application_id: str, quote: Quote, acceptance: Acceptance
    ) -> LenderConfirmation:
        raise AssertionError("a search accepts nothing")


class UnwillingLender(Lender):
    """Wants no loan at all."""

    async def get_offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        await super().get_offers(request)
        return ()


class FailingLender(Lender):
    """Raises what it was told to."""

    def __init__(self, provider_id: str, error: BaseException) -> None:
        super().__init__(provider_id)
        self.error = error

    async def get_offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        await super().get_offers(request)
        raise self.error


class StubbornLender(Lender):
    """Hears no cancellation until it is let go."""

    async def get_offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        self.asked.append(request)
        while not self.open.is_set():
            try:
                await self.open.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
        return self.quotes


class Directory:
    """Names these lenders for every loan."""

    def __init__(
        self, *lenders: Lender, missing: Sequence[MissingProvider] = (), held: bool = False
    ) -> None:
        self.lenders = lenders
        self.missing = tuple(missing)
        self.held = held

    async def eligible(self, request: QuoteRequest) -> Asked:
        if self.held:
            await asyncio.Event().wait()
        return Asked(self.lenders, self.missing)

    async def find(self, tenant_id: str, provider_id: str) -> CreditProvider | None:
        return next((each for each in self.lenders if each.provider_id == provider_id), None)
