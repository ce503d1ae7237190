"""Who lends: the configured lenders, the platform's, and the tenant's own, as they are on record.

What is on record is read again after two seconds at most, one reader for all who wait; between
two readings a search costs no more than looking at each lender's appetite.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from activities.ports.credit_provider import Asked, CreditProvider
from adapters.postgres import providers_reading
from adapters.postgres.database import Database
from adapters.postgres.providers_reading import StoredProvider
from adapters.providers.opened import NOT_READY, OpenedProviders, ProviderNotReady
from models.domain.ids import PLATFORM
from models.domain.offer import QuoteRequest
from models.domain.provider import Appetite, MissingProvider, ProviderStatus
from models.domain.provider_record import ProviderRecord, Standing

log = structlog.get_logger()

READ_EVERY_S: Final = 2.0
_MOST_TENANTS: Final = 1_000
_PAUSED: Final = {
    ProviderStatus.INACTIVE: "PROVIDER_PAUSED",
    ProviderStatus.MAINTENANCE: "PROVIDER_IN_MAINTENANCE",
}


@dataclass(frozen=True, slots=True)
class Configured:
    """A lender that the configuration names: known and open for as long as the process lives."""

    record: ProviderRecord
    appetite: Appetite
    provider: CreditProvider


@dataclass(frozen=True, slots=True)
class _Entry:
    """A lender as a search sees it; without a provider it cannot be spoken to, and `why`."""

    provider_id: str
    status: ProviderStatus
    appetite: Appetite
    provider: CreditProvider | None
    why: str = ""

    def missing(self, request: QuoteRequest) -> MissingProvider | None:
        """Why it is not asked for this loan; None when it is."""
        if (outside := self.appetite.refuses(request)) is not None:
            return MissingProvider(self.provider_id, outside)
        if self.status is not ProviderStatus.ACTIVE:
            return MissingProvider(self.provider_id, _PAUSED[self.status], passing=True)
        if self.provider is None:
            return MissingProvider(self.provider_id, NOT_READY, passing=True)
        return None


@dataclass(slots=True)
class _Shelf:
    """One tenant's entries, and until when they are fresh."""

    entries: dict[str, _Entry] = field(default_factory=dict)
    fresh_until: float = float("-inf")
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


class PostgresProviderDirectory:
    """Satisfies `ProviderDirectory` under any role that may read providers."""

    def __init__(
        self,
        database: Database,
        opened: OpenedProviders,
        configured: Sequence[Configured] = (),
        *,
        read_every_s: float = READ_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._opened = opened
        self._configured = {each.record.provider_id: each for each in configured}
        self._read_every_s = read_every_s
        self._clock = clock
        self._shelves: OrderedDict[str, _Shelf] = OrderedDict()

    async def eligible(self, request: QuoteRequest) -> Asked:
        """Those to ask for this loan; who is paused or does not lend this is named as missing."""
        asked: list[CreditProvider] = []
        missing: list[MissingProvider] = []
        for shelf in await self._shelves_of(request.tenant_id):
            for entry in shelf.entries.values():
                if (why_not := entry.missing(request)) is not None:
                    missing.append(why_not)
                elif entry.provider is not None:
                    asked.append(entry.provider)
        return Asked(tuple(asked), tuple(missing))

    async def find(self, tenant_id: str, provider_id: str) -> CreditProvider | None:
        """One lender in whatever status, removed ones too; None if unknown.

        Raises Transient PROVIDER_NOT_READY while it cannot be spoken to: what it has offered waits.
        """
        if (configured := self._configured.get(provider_id)) is not None:
            return configured.provider
        for shelf in await self._shelves_of(tenant_id):
            if (entry := shelf.entries.get(provider_id)) is not None:
                if entry.provider is None:
                    raise ProviderNotReady(provider_id, entry.why)
                return entry.provider
        return await self._removed(tenant_id, provider_id)

    async def close(self) -> None:
        """Disconnect what is open, configured lenders included."""
        await self._opened.close()
        for each in self._configured.values():
            await each.provider.disconnect()

    async def _shelves_of(self, tenant_id: str) -> tuple[_Shelf, ...]:
        platform = await self._fresh(PLATFORM)
        return (platform,) if tenant_id == PLATFORM else (platform, await self._fresh(tenant_id))

    async def _fresh(self, tenant_id: str) -> _Shelf:
        shelf = self._shelves.get(tenant_id)
        if shelf is None:
            shelf = self._shelves[tenant_id] = _Shelf()
            self._forget_the_longest_unused()
        else:
            self._shelves.move_to_end(tenant_id)
        if self._clock() < shelf.fresh_until:
            return shelf
        async with shelf.reading:
            # Who waited finds what the one before has read.
            if self._clock() >= shelf.fresh_until:
                shelf.entries = await self._read(tenant_id)
                shelf.fresh_until = self._clock() + self._read_every_s
        return shelf

    async def _read(self, tenant_id: str) -> dict[str, _Entry]:
        async with self._database.transaction(tenant_id) as tx:
            rows = await providers_reading.of_tenant(tx)
            standings = (
                await providers_reading.standings(tx, list(self._configured))
                if tenant_id == PLATFORM
                else {}
            )
        registered = await asyncio.gather(*(self._entry(row) for row in rows))
        self._opened.keep_only(tenant_id, {row.record.provider_id for row in rows})
        configured = self._configured if tenant_id == PLATFORM else ()
        entries = {name: self._as_configured(name, standings) for name in configured}
        return entries | {each.provider_id: each for each in registered}

    async def _entry(self, stored: StoredProvider) -> _Entry:
        record = stored.record
        status = record.standing.health.status
        try:
            plugin = self._opened.plugin_of(record)
            provider = await self._opened.provider(stored)
        except ProviderNotReady as error:
            return _Entry(record.provider_id, status, Appetite(), None, error.why)
        return _Entry(record.provider_id, status, plugin.manifest.appetite, provider)

    def _as_configured(self, name: str, standings: dict[str, Standing]) -> _Entry:
        each = self._configured[name]
        status = standings.get(name, Standing()).health.status
        return _Entry(name, status, each.appetite, each.provider)

    async def _removed(self, tenant_id: str, provider_id: str) -> CreditProvider | None:
        for owner in dict.fromkeys((tenant_id, PLATFORM)):
            async with self._database.transaction(owner) as tx:
                stored = await providers_reading.one(tx, provider_id, removed=True)
            if stored is not None and stored.record.tenant_id == owner:
                return await self._opened.provider(stored)
        return None

    def _forget_the_longest_unused(self) -> None:
        while len(self._shelves) > _MOST_TENANTS:
            tenant_id, _ = self._shelves.popitem(last=False)
            self._opened.keep_only(tenant_id, ())
