"""Lenders: banks, fintechs and protocols behind one contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from models.domain.offer import (
    Acceptance,
    LenderConfirmation,
    ProviderAnswer,
    Quote,
    QuoteRequest,
)
from models.domain.provider import MissingProvider, ProviderStatus


class CreditProvider(Protocol):
    """One lender. `get_offers` is idempotent by application and round, `accept_offer` by quote."""

    provider_id: str

    async def connect(self) -> None:
        """Obtain what later calls need (an access token); raises Permanent or Transient."""
        ...

    async def disconnect(self) -> None:
        """Give connections back; never raises."""
        ...

    async def get_offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        """The lender's quotes, none if it does not want this loan.

        Raises Permanent (refused, malformed, terms that are not what was asked, QUOTE_EXPIRED for
        a quote that is repeated too late) or Transient.
        """
        ...

    async def accept_offer(
        self, tenant_id: str, application_id: str, quote: Quote, acceptance: Acceptance
    ) -> LenderConfirmation:
        """The lender's signature over exactly `quote.terms`.

        Raises Permanent with code QUOTE_EXPIRED, TERMS_CHANGED or PROVIDER_REFUSED; Transient.
        """
        ...

    async def get_status(self) -> ProviderStatus:
        """ACTIVE, MAINTENANCE when the lender says so itself, else INACTIVE; never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is asked for a loan, and who is not, with the reason."""

    providers: tuple[CreditProvider, ...]
    missing: tuple[MissingProvider, ...] = ()


class ProviderDirectory(Protocol):
    """The lenders of a tenant: the platform's and its own, each behind limits and a breaker."""

    async def eligible(self, request: QuoteRequest) -> Asked:
        """Those to ask for this loan; who is paused or does not lend this is named as missing."""
        ...

    async def find(self, tenant_id: str, provider_id: str) -> CreditProvider | None:
        """One lender in whatever status: what it has offered is honoured. None if unknown."""
        ...


class OfferSearch(Protocol):
    """Asks all eligible lenders at once, under one deadline."""

    async def search(self, request: QuoteRequest, deadline_s: float) -> Sequence[ProviderAnswer]:
        """A quote or a reason from every lender; the same quote is never there twice."""
        ...
