"""Registering providers in a tenant, by the product's own desk, and asking for loans of them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from adapters.credential_vault import EnvelopeVault
from adapters.egress import LOOPBACK, EgressPolicy
from adapters.postgres.providers import PostgresProviders
from adapters.postgres.providers_credentials import PostgresCredentialUpkeep
from adapters.postgres.providers_health import PostgresProviderHealth
from adapters.providers.desk import ProviderDesk
from adapters.providers.directory import Configured, PostgresProviderDirectory
from adapters.providers.opened import OpenedProviders
from models.domain.ids import PLATFORM
from models.domain.offer import QuoteRequest
from models.domain.provider_health import Hysteresis
from models.domain.provider_record import Change, Draft, ProviderRecord, Source
from models.domain.writes import StoredAnswer, WriteKey
from tests.adapters.providers.borrowing import REQUEST
from tests.adapters.providers.plain_lender import PlainLender, PlainLenders

CANARY = "canary-9f3Kq!s3cret"
DRAFT = Draft("Plain Lender", "https://plain.example", {"region": "north"})
SANDBOX = EgressPolicy(LOOPBACK, frozenset(), plain_http=True)


@dataclass
class Clock:
    """Time that passes when a test says so."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Registry:
    """The desk and directory of one process over a database of tests."""

    lending: Any
    lenders: PlainLenders = field(default_factory=PlainLenders)
    configured: Sequence[Configured] = ()
    overlap: timedelta = timedelta(hours=1)
    clock: Clock = field(default_factory=Clock)
    retires_after_s: float = 0.0

    def __post_init__(self) -> None:
        self.vault = EnvelopeVault(self.lending.keyring)
        self.plugins = {"plain": self.lenders.plugin()}
        self.records = PostgresProviders(self.lending.app, self.vault, self.overlap)
        self.directory = self.directory_of("app")
        self.health = PostgresProviderHealth(self.lending.relay, Hysteresis(3, 2))
        self.upkeep = PostgresCredentialUpkeep(self.lending.relay, self.vault)
        self.desk = ProviderDesk(
            self.records, PostgresProviderHealth(self.lending.app, Hysteresis()), self.directory,
            self.plugins, self.configured, SANDBOX,
        )  # fmt: skip

    def opened(self) -> OpenedProviders:
        return OpenedProviders(
            self.plugins, self.vault, self.lenders.open_unguarded,
            retires_after_s=self.retires_after_s,
        )  # fmt: skip

    def directory_of(self, role: str) -> PostgresProviderDirectory:
        return PostgresProviderDirectory(
            getattr(self.lending, role), self.opened(), self.configured, clock=self.clock
        )

    async def register(
        self, tenant_id: str, key: str | None = CANARY, **changes: Any
    ) -> ProviderRecord:
        """A provider of the tenant's; None for a key registers it without credentials."""
        secrets = None if key is None else {"key": key}
        draft = replace(DRAFT, credentials=secrets, **changes)
        kept = Kept()
        await self.desk.register(self.write(tenant_id), "plain", draft, kept)
        return kept.record

    async def change(self, record: ProviderRecord, **changes: Any) -> ProviderRecord:
        """The provider, changed by a person from the version in hand."""
        status = changes.pop("status", None)
        draft = replace(DRAFT, **changes)
        kept = Kept()
        change = Change(record.version, draft, status)
        await self.desk.change(self.write(record.tenant_id), record.provider_id, change, kept)
        return kept.record

    async def rotate(self, record: ProviderRecord, key: str) -> ProviderRecord:
        kept = Kept()
        write = self.write(record.tenant_id)
        await self.desk.rotate(write, record.provider_id, {"key": key}, kept)
        return kept.record

    async def remove(self, record: ProviderRecord) -> ProviderRecord:
        kept = Kept()
        await self.desk.remove(self.write(record.tenant_id), record.provider_id, kept)
        return kept.record

    def write(self, tenant_id: str) -> WriteKey:
        return WriteKey(tenant_id, "olivia", "POST /providers", uuid.uuid4().hex, b"body")

    def asking(self, tenant_id: str, **changes: Any) -> QuoteRequest:
        return replace(REQUEST, tenant_id=tenant_id, amount_minor=500_000, **changes)

    def later(self, seconds: float = 2.1) -> None:
        """Let what was read become old."""
        self.clock.now += seconds


class Kept:
    """An answer that remembers what it was made of."""

    record: ProviderRecord

    def __call__(self, record: ProviderRecord) -> StoredAnswer:
        self.record = record
        return StoredAnswer(200, {}, record.provider_id.encode())


def configured(name: str = "harbour") -> Configured:
    """A lender that the configuration names."""
    manifest = PlainLenders().manifest
    record = ProviderRecord(
        PLATFORM, name, name.title(), "plain", manifest.type, "https://harbour.example",
        {"region": "east"}, {}, {}, {}, source=Source.CONFIGURATION,
    )  # fmt: skip
    return Configured(record, manifest.appetite, PlainLender(name, "configured"))
