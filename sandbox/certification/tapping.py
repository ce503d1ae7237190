"""Listens between an adapter and its guard: the guard forgives much that an adapter should not do.

In production both stand in a lender's way. A certified adapter does not need the guard to be right;
what it answers and raises by itself is held against the same expectation.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, TypeVar

from activities.ports.credit_provider import CreditProvider
from models.domain.offer import Acceptance, LenderConfirmation, Quote, QuoteRequest
from models.domain.provider import ProviderStatus

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Own:
    """What the adapter itself answered or raised; a call that was cut off left neither behind."""

    call: str
    answer: Any = None
    error: Exception | None = None


class Tapped:
    """Satisfies `CreditProvider` by another one, and writes down what that one does."""

    def __init__(self, adapter: CreditProvider, heard: list[Own]) -> None:
        self.provider_id = adapter.provider_id
        self._adapter = adapter
        self._heard = heard

    async def connect(self) -> None:
        """As the adapter's."""
        await self._listened("connect", self._adapter.connect())

    async def disconnect(self) -> None:
        """As the adapter's."""
        await self._listened("disconnect", self._adapter.disconnect())

    async def get_offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        """As the adapter's."""
        return await self._listened("get_offers", self._adapter.get_offers(request))

    async def accept_offer(
        self, tenant_id: str, application_id: str, quote: Quote, acceptance: Acceptance
    ) -> LenderConfirmation:
        """As the adapter's."""
        call = self._adapter.accept_offer(tenant_id, application_id, quote, acceptance)
        return await self._listened("accept_offer", call)

    async def get_status(self) -> ProviderStatus:
        """As the adapter's."""
        return await self._listened("get_status", self._adapter.get_status())

    async def _listened(self, name: str, call: Awaitable[T]) -> T:
        try:
            answer = await call
        except Exception as error:
            self._heard.append(Own(name, error=error))
            raise
        self._heard.append(Own(name, answer))
        return answer
