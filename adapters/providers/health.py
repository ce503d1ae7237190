"""Checks every provider again and again, and pauses or brings back who has earned it.

One process at a time checks, for every tenant. Its rounds are spread in time, so that lenders are
not all asked in the same instant, and a lender that hangs takes no other's turn.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from activities.ports.credit_provider import CreditProvider
from adapters.postgres import providers_reading
from adapters.postgres.database import Database, Session
from adapters.postgres.leadership import Task, lead, pause
from adapters.postgres.providers_credentials import PostgresCredentialUpkeep
from adapters.postgres.providers_health import Checked, PostgresProviderHealth
from adapters.providers.directory import Configured
from adapters.providers.opened import OpenedProviders, ProviderNotReady
from models.domain.errors import CreditError
from models.domain.ids import PLATFORM
from models.domain.provider import ProviderStatus
from models.domain.provider_health import Seen

log = structlog.get_logger()

BATCH: Final = 200
_SEEN: Final = {
    ProviderStatus.ACTIVE: Seen.WELL,
    ProviderStatus.MAINTENANCE: Seen.IN_MAINTENANCE,
    ProviderStatus.INACTIVE: Seen.FAILING,
}


@dataclass(frozen=True, slots=True)
class CheckPlan:
    """How often providers are checked, how many at a time, and how long one may take."""

    interval_s: float = 30.0
    jitter: float = 0.2  # of the interval, up to so much earlier or later
    concurrency: int = 10
    deadline_s: float = 5.0


class ProviderHealthChecker:
    """One checker leads at a time; the others stand by."""

    def __init__(
        self,
        database: Database,
        health: PostgresProviderHealth,
        upkeep: PostgresCredentialUpkeep,
        opened: OpenedProviders,
        configured: Sequence[Configured],
        plan: CheckPlan = CheckPlan(),
    ) -> None:
        self._database = database
        self._health = health
        self._upkeep = upkeep
        self._opened = opened
        self._configured = configured
        self._plan = plan
        self._room = asyncio.Semaphore(plan.concurrency)

    async def run(self, stop: asyncio.Event) -> None:
        """Check until told to stop; an outage is logged once, and outlived."""

        async def work(session: Session) -> None:
            while not stop.is_set():
                await self.round(session)
                destroyed = await self._upkeep.destroy_due()
                if destroyed:
                    log.info("credentials_destroyed", count=destroyed)
                spread = random.uniform(-self._plan.jitter, self._plan.jitter)  # noqa: S311
                await pause(stop, self._plan.interval_s * (1 + spread))

        try:
            await lead(self._database, Task.CHECK_PROVIDERS, stop, work)
        finally:
            await self._opened.close()

    async def round(self, session: Session) -> int:
        """Check every provider once; returns how many there were."""
        count = 0
        async for lot in self._everybody(session):
            await asyncio.gather(*(self._check(*each) for each in lot))
            count += len(lot)
        return count

    async def _everybody(
        self, session: Session
    ) -> AsyncIterator[list[tuple[str, str, CreditProvider | None]]]:
        """Lots of (tenant, provider's id, adapter); None for one that cannot be opened."""
        yield [(PLATFORM, each.record.provider_id, each.provider) for each in self._configured]
        after, seen = "", dict[str, set[str]]()
        while True:
            async with session.transaction() as tx:
                rows = await providers_reading.of_all_tenants(tx, after, BATCH)
            if not rows:
                break
            lot: list[tuple[str, str, CreditProvider | None]] = []
            for stored in rows:
                tenant_id, name = stored.record.tenant_id, stored.record.provider_id
                seen.setdefault(tenant_id, set()).add(name)
                try:
                    provider: CreditProvider | None = await self._opened.provider(stored)
                except ProviderNotReady:
                    provider = None
                lot.append((tenant_id, name, provider))
            yield lot
            after = rows[-1].record.provider_id
        self._opened.keep_only_these(seen)

    async def _check(
        self, tenant_id: str, provider_id: str, provider: CreditProvider | None
    ) -> None:
        async with self._room:
            started = time.monotonic()
            seen, code = await self._seen(provider)
            latency_ms = round((time.monotonic() - started) * 1_000)
        checked = Checked(tenant_id, provider_id, seen, latency_ms, code)
        now = await self._health.record(checked)
        if code is not None:
            status = now.status.value
            log.warning("provider_unwell", provider=provider_id, code=code, status=status)

    async def _seen(self, provider: CreditProvider | None) -> tuple[Seen, str | None]:
        if provider is None:
            return Seen.FAILING, "PROVIDER_NOT_READY"
        try:
            async with asyncio.timeout(self._plan.deadline_s):
                seen = _SEEN[await provider.get_status()]
        except TimeoutError:
            return Seen.FAILING, "DEADLINE_EXCEEDED"
        except CreditError as error:
            return Seen.FAILING, error.code
        except Exception as error:
            # One lender's adapter must not end the checks of all others.
            log.exception("provider_bug", provider=provider.provider_id, exc_info=error)
            return Seen.FAILING, "PROVIDER_FAILED"
        return seen, "NOT_SERVING" if seen is Seen.FAILING else None
