"""Lenders: banks, fintechs and protocols behind one contract."""

from __future__ import annotations

from typing import Protocol

from models.domain.offer import Acceptance, LenderConfirmation, Quote, QuoteRequest


class CreditProvider(Protocol):
    """One lender. `get_offers` and `accept_offer` are idempotent by application id."""

    provider_id: str

    async def connect(self) -> None:
        """Obtain what later calls need (an access token); raises Permanent or Transient."""
        ...

    async def disconnect(self) -> None:
        """Give connections back; never raises."""
        ...

    async def get_offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        """The lender's quotes, none if it does not want this loan.

        Raises Permanent (refused, malformed, terms that are not what was asked) or Transient.
        """
        ...

    async def accept_offer(
        self, tenant_id: str, application_id: str, quote: Quote, acceptance: Acceptance
    ) -> LenderConfirmation:
        """The lender's signature over exactly `quote.terms`.

        Raises Permanent with code QUOTE_EXPIRED, TERMS_CHANGED or PROVIDER_REFUSED; Transient.
        """
        ...

    async def get_status(self) -> bool:
        """Whether the lender answers at all."""
        ...
