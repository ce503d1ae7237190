"""A directory of the lenders that the configuration names; satisfies `ProviderDirectory`."""

from __future__ import annotations

from collections.abc import Mapping

from activities.ports.credit_provider import Asked, CreditProvider
from models.domain.offer import QuoteRequest


class ConfiguredDirectory:
    """The same lenders for every tenant and every loan."""

    def __init__(self, providers: Mapping[str, CreditProvider]) -> None:
        self._providers = dict(providers)

    async def eligible(self, request: QuoteRequest) -> Asked:  # noqa: ARG002 - the port's
        """All of them; each says itself what it does not want."""
        return Asked(tuple(self._providers.values()))

    async def find(self, tenant_id: str, provider_id: str) -> CreditProvider | None:  # noqa: ARG002
        """One lender; None if unknown."""
        return self._providers.get(provider_id)
