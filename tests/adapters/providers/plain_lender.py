"""A lender whose adapter needs no network: it remembers what it was opened with and asked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from adapters.providers.opening import check_provider
from adapters.providers.plugin import Opening, Plugin, Secret, Told
from models.domain.errors import Unavailable
from models.domain.offer import Acceptance, LenderConfirmation, Quote, QuoteRequest
from models.domain.provider import Appetite, Limits, Manifest, ProviderStatus, ProviderType


class PlainConfig(Told):
    """Where it lends."""

    region: str


class PlainCredentials(Told):
    """One key."""

    key: Secret


@dataclass
class PlainLender:
    """Satisfies `CreditProvider`; quotes nothing. `gate` holds calls until it is set."""

    provider_id: str
    key: str
    region: str = "north"
    status: ProviderStatus = ProviderStatus.ACTIVE
    fails_with: Exception | None = None
    calls: int = 0
    disconnected: bool = False
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    waits: bool = False

    async def connect(self) -> None:
        self._fail()

    async def disconnect(self) -> None:
        self.disconnected = True

    async def get_offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        self.calls += 1
        if self.waits:
            await self.gate.wait()
        if self.disconnected:
            raise Unavailable("DISCONNECTED")
        self._fail()
        return ()

    async def accept_offer(
        self, tenant_id: str, application_id: str, quote: Quote, acceptance: Acceptance
    ) -> LenderConfirmation:
        self.calls += 1
        self._fail()
        return LenderConfirmation(quote.quote_id, quote.terms_hash, "0x" + "ab" * 65)

    async def get_status(self) -> ProviderStatus:
        self._fail()
        return self.status

    def _fail(self) -> None:
        if self.fails_with is not None:
            raise self.fails_with


MANIFEST = Manifest(
    adapter="plain",
    version="1",
    type=ProviderType.FINTECH,
    about="A lender for tests",
    appetite=Appetite(currencies=frozenset({"USD", "EUR"}), max_amount_minor=1_000_000),
    limits=Limits(requests_per_s=20.0, burst=10),
)


@dataclass
class PlainLenders:
    """The plugin and every adapter it has opened, in order."""

    opened: list[PlainLender] = field(default_factory=list)
    manifest: Manifest = MANIFEST

    def plugin(self) -> Plugin:
        def open_(opening: Opening) -> PlainLender:
            key = opening.credentials.key.get_secret_value()
            self.opened.append(PlainLender(opening.provider_id, key, opening.config.region))
            return self.opened[-1]

        return Plugin(self.manifest, PlainConfig, PlainCredentials, open_)

    def of(self, provider_id: str) -> PlainLender:
        """The newest adapter of this provider."""
        return [each for each in self.opened if each.provider_id == provider_id][-1]

    def open_unguarded(self, plugin: Plugin, record: Any, secrets: Any) -> PlainLender:
        """As `open_provider` does, without what is shared around every adapter."""
        check_provider(plugin, record.config, secrets)
        config = plugin.config.model_validate(dict(record.config))
        credentials = plugin.credentials.model_validate(dict(secrets))
        nothing: Any = None
        opening = Opening(
            record.provider_id, config, credentials, nothing, nothing, nothing, nothing
        )
        opened = plugin.open(opening)
        assert isinstance(opened, PlainLender)
        return opened
