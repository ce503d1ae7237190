"""Adapters that are open: one per provider and version, replaced without breaking a call.

What replaces an adapter is used from the next call on; the one before it ends when its last call
has, so credentials are rotated and addresses changed while loans go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

import structlog

from activities.ports.credit_provider import CreditProvider
from adapters.credential_vault import CredentialRef, CredentialVault
from adapters.postgres.providers_reading import StoredProvider
from adapters.providers.opening import ProviderMisconfigured
from adapters.providers.plugin import Plugin
from models.domain.errors import CreditError, InvariantViolated, Transient
from models.domain.offer import Acceptance, LenderConfirmation, Quote, QuoteRequest
from models.domain.provider import ProviderStatus
from models.domain.provider_record import (
    ProviderRecord,
    Unacceptable,
    narrowed_appetite,
    narrowed_limits,
)

log = structlog.get_logger()

NOT_READY: Final = "PROVIDER_NOT_READY"
# Longer than any call that was given the adapter before it was replaced waits to begin.
RETIRES_AFTER_S: Final = 60.0
# An outside vault that does not answer holds nobody up for longer.
OPENS_WITHIN_S: Final = 3.0

Open = Callable[[Plugin, ProviderRecord, Mapping[str, str]], CreditProvider]


class ProviderNotReady(Transient):
    """The provider is known but cannot be spoken to yet; `why` is a code for operators."""

    def __init__(self, provider_id: str, why: str) -> None:
        super().__init__(NOT_READY, f"{provider_id}: {why}")
        self.why = why


class InUse:
    """Satisfies `CreditProvider`: an adapter that knows how many calls it is in."""

    def __init__(self, provider: CreditProvider) -> None:
        self.provider_id = provider.provider_id
        self._provider = provider
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def connect(self) -> None:
        """As the adapter does."""
        async with self._call():
            await self._provider.connect()

    async def get_offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        """As the adapter does."""
        async with self._call():
            return await self._provider.get_offers(request)

    async def accept_offer(
        self, tenant_id: str, application_id: str, quote: Quote, acceptance: Acceptance
    ) -> LenderConfirmation:
        """As the adapter does."""
        async with self._call():
            return await self._provider.accept_offer(tenant_id, application_id, quote, acceptance)

    async def get_status(self) -> ProviderStatus:
        """As the adapter does."""
        async with self._call():
            return await self._provider.get_status()

    async def disconnect(self) -> None:
        """Wait until no call is under way, then disconnect."""
        await self._idle.wait()
        await self._provider.disconnect()

    @asynccontextmanager
    async def _call(self) -> AsyncIterator[None]:
        self._calls += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._calls -= 1
            if self._calls == 0:
                self._idle.set()


@dataclass(frozen=True, slots=True)
class _Open:
    versions: tuple[int, int]
    provider: InUse


class OpenedProviders:
    """Opens registered providers' adapters, each once for what is on record of it."""

    def __init__(
        self,
        plugins: Mapping[str, Plugin],
        vault: CredentialVault,
        open_: Open,
        *,
        retires_after_s: float = RETIRES_AFTER_S,
    ) -> None:
        self._plugins = plugins
        self._vault = vault
        self._open = open_
        self._retires_after_s = retires_after_s
        self._opened: dict[tuple[str, str], _Open] = {}
        self._retiring: set[asyncio.Task[None]] = set()

    def plugin_of(self, record: ProviderRecord) -> Plugin:
        """The record's adapter with its manifest narrowed; raises ProviderNotReady."""
        plugin = self._plugins.get(record.adapter)
        if plugin is None:
            raise ProviderNotReady(record.provider_id, "ADAPTER_NOT_INSTALLED")
        manifest = plugin.manifest
        try:
            appetite = narrowed_appetite(manifest.appetite, record.appetite)
            limits = narrowed_limits(manifest.limits, record.limits)
        except Unacceptable as error:
            # The adapter was installed anew, and lends less than it did.
            raise ProviderNotReady(record.provider_id, "NARROWING_OUTSIDE_MANIFEST") from error
        return replace(plugin, manifest=replace(manifest, appetite=appetite, limits=limits))

    async def provider(self, stored: StoredProvider) -> CreditProvider:
        """The adapter of this version of a provider; raises ProviderNotReady."""
        record, key = stored.record, (stored.record.tenant_id, stored.record.provider_id)
        versions = (record.version, record.credential.version if record.credential else 0)
        known = self._opened.get(key)
        if known is not None and known.versions == versions:
            return known.provider
        fresh = InUse(await self._opened_anew(stored))
        # Somebody else may have opened it meanwhile: theirs is retired, calls of both go on.
        replaced = self._opened.get(key)
        self._opened[key] = _Open(versions, fresh)
        if replaced is not None:
            self._retire(replaced.provider)
        return fresh

    def keep_only(self, tenant_id: str, provider_ids: Collection[str]) -> None:
        """Retire the tenant's adapters of all other providers."""
        gone = [key for key in self._opened if key[0] == tenant_id and key[1] not in provider_ids]
        for key in gone:
            self._retire(self._opened.pop(key).provider)

    def keep_only_these(self, by_tenant: Mapping[str, Collection[str]]) -> None:
        """Retire whatever is not named, of every tenant."""
        for tenant_id in {tenant_id for tenant_id, _ in self._opened}:
            self.keep_only(tenant_id, by_tenant.get(tenant_id, ()))

    async def close(self) -> None:
        """Disconnect everything once its calls have ended."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        opened, self._opened = list(self._opened.values()), {}
        await asyncio.gather(*(each.provider.disconnect() for each in opened))

    async def _opened_anew(self, stored: StoredProvider) -> CreditProvider:
        record = stored.record
        plugin = self.plugin_of(record)
        try:
            secrets = await self._secrets(stored)
            return self._open(plugin, record, secrets)
        except ProviderMisconfigured as error:
            why = "CREDENTIALS_MISSING" if stored.kept is None else "MISCONFIGURED"
            log.error("provider_misconfigured", provider=record.provider_id, field=error.field)
            raise ProviderNotReady(record.provider_id, why) from None
        except InvariantViolated as error:
            # Sealed under a master key we do not have, or changed: nothing is opened.
            log.error("credentials_undecipherable", provider=record.provider_id, code=error.code)
            raise ProviderNotReady(record.provider_id, error.code) from None
        except (CreditError, TimeoutError) as error:
            code = error.code if isinstance(error, CreditError) else "VAULT_TOO_SLOW"
            log.warning("provider_not_ready", provider=record.provider_id, code=code)
            raise ProviderNotReady(record.provider_id, code) from None
        except Exception as error:
            # One lender's adapter must not take the others from a search.
            log.exception("provider_bug", provider=record.provider_id, exc_info=error)
            raise ProviderNotReady(record.provider_id, "ADAPTER_FAILED") from None

    async def _secrets(self, stored: StoredProvider) -> Mapping[str, str]:
        if stored.kept is None or stored.record.credential is None:
            return {}
        record = stored.record
        ref = CredentialRef(record.tenant_id, record.provider_id, stored.record.credential.version)
        async with asyncio.timeout(OPENS_WITHIN_S):
            return await self._vault.open(ref, stored.kept)

    def _retire(self, provider: InUse) -> None:
        task = asyncio.create_task(self._disconnected(provider))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _disconnected(self, provider: InUse) -> None:
        # Who was given it a moment ago may be about to call.
        try:
            await asyncio.sleep(self._retires_after_s)
        finally:
            with suppress(CreditError):
                await provider.disconnect()
