"""What administrators do with providers: look, register, change, rotate, remove, try."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pydantic import BaseModel, ValidationError

from activities.ports.credit_provider import CreditProvider
from adapters.egress import EgressPolicy, check_url
from adapters.postgres.providers import PostgresProviders
from adapters.postgres.providers_health import PostgresProviderHealth, StatusChange
from adapters.providers.directory import Configured, PostgresProviderDirectory
from adapters.providers.opened import NOT_READY
from adapters.providers.plugin import Plugin
from adapters.providers.trial import ANYWHERE, Step, try_provider
from adapters.webhooks.signature import without_callback_secrets
from models.domain.errors import Conflict, Invalid, NotFound, Transient
from models.domain.operations import Command
from models.domain.provider import ProviderStatus, ProviderType
from models.domain.provider_record import (
    Change,
    Draft,
    ProviderRecord,
    Source,
    Standing,
    Unacceptable,
    narrowed_appetite,
    narrowed_limits,
)
from models.domain.writes import StoredAnswer, WriteKey

HISTORY: Final = 100

Answer = Callable[[ProviderRecord], StoredAnswer]


@dataclass(frozen=True, slots=True)
class ProviderPage:
    """A page of a list: what is on it, and the id behind which it goes on."""

    providers: tuple[ProviderRecord, ...]
    next_after: str | None


class ProviderDesk:
    """Providers as the API and `cli.py providers` handle them."""

    def __init__(
        self,
        records: PostgresProviders,
        health: PostgresProviderHealth,
        directory: PostgresProviderDirectory,
        plugins: Mapping[str, Plugin],
        configured: Sequence[Configured],
        policy: EgressPolicy,
    ) -> None:
        self._records = records
        self._health = health
        self._directory = directory
        self._plugins = plugins
        self._configured = {each.record.provider_id: each.record for each in configured}
        self._policy = policy

    async def page(
        self,
        tenant_id: str,
        *,
        after: str | None,
        limit: int,
        type_: ProviderType | None = None,
        status: ProviderStatus | None = None,
    ) -> ProviderPage:
        """Whom this tenant may borrow from: registered ones, the newest first, then configured."""
        found: list[ProviderRecord] = []
        if after is None or after not in self._configured:
            found = await self._records.page(
                tenant_id, after=after, limit=limit + 1, type_=type_, status=status
            )
        if len(found) <= limit:
            behind = after if after in self._configured else None
            found += [
                each
                for each in await self._as_configured(tenant_id)
                if (behind is None or each.provider_id > behind)
                and type_ in (None, each.type)
                and status in (None, each.standing.health.status)
            ]
        shown = tuple(found[:limit])
        return ProviderPage(shown, shown[-1].provider_id if len(found) > limit else None)

    async def find(self, tenant_id: str, provider_id: str) -> ProviderRecord:
        """One of them; a removed one stays readable. Raises NotFound."""
        if (configured := self._configured.get(provider_id)) is not None:
            standings = await self._records.standings(tenant_id, [provider_id])
            return replace(configured, standing=standings.get(provider_id, Standing()))
        return await self._records.find(tenant_id, provider_id)

    async def register(
        self, write: WriteKey, adapter: str, draft: Draft, answer: Answer
    ) -> StoredAnswer:
        """A new provider; raises Unacceptable naming every field that is wrong."""
        plugin = self._plugins.get(adapter)
        if plugin is None:
            raise Unacceptable((("adapter",), "adapter_unknown"))
        self._check(plugin, draft)
        type_ = plugin.manifest.type
        return await self._records.register(write, adapter, type_, draft, answer)

    async def change(
        self, write: WriteKey, provider_id: str, change: Change, answer: Answer
    ) -> StoredAnswer:
        """Change a provider as a whole; raises Unacceptable, NotFound or Conflict."""
        record = await self._own(write.tenant_id, provider_id)
        if change.status is ProviderStatus.INACTIVE:
            raise Unacceptable((("status",), "set_by_checks_alone"))
        self._check(self._plugin_of(record), change.draft)
        return await self._records.change(write, provider_id, change, answer)

    async def rotate(
        self, write: WriteKey, provider_id: str, secrets: Mapping[str, str], answer: Answer
    ) -> StoredAnswer:
        """New credentials take over; raises Unacceptable, NotFound or Conflict."""
        record = await self._own(write.tenant_id, provider_id)
        _refuse(_wrong_credentials(self._plugin_of(record), secrets))
        return await self._records.rotate(write, provider_id, secrets, answer)

    async def remove(self, write: WriteKey, provider_id: str, answer: Answer) -> StoredAnswer:
        """Ask it for no more offers; raises NotFound or Conflict."""
        self._refuse_configured(provider_id)
        return await self._records.remove(write, provider_id, answer)

    async def commanded(self, tenant_id: str, provider_id: str, command: Command) -> None:
        """Put on record why an operator did something by hand."""
        await self._records.note_command(tenant_id, provider_id, command)

    async def history(self, tenant_id: str, provider_id: str) -> tuple[StatusChange, ...]:
        """Its changes of status, the newest first; raises NotFound."""
        await self.find(tenant_id, provider_id)
        return await self._health.history(tenant_id, provider_id, HISTORY)

    async def test(self, tenant_id: str, actor: str, provider_id: str) -> tuple[Step, ...]:
        """Try it step by step; raises NotFound, or Conflict PROVIDER_NOT_YOURS."""
        record = await self.find(tenant_id, provider_id)
        if record.removed_at is not None:
            raise NotFound("PROVIDER_UNKNOWN")
        if record.tenant_id != tenant_id:
            raise Conflict("PROVIDER_NOT_YOURS")

        async def opened() -> CreditProvider:
            found = await self._directory.find(tenant_id, provider_id)
            if found is None:
                raise Transient(NOT_READY, provider_id)
            return found

        # Where the configuration leads to is its own matter.
        configured = record.source is Source.CONFIGURATION
        policy = ANYWHERE if configured else self._policy
        steps = await try_provider(record.url, policy, opened)
        failed = next((each.name for each in steps if not each.passed), None)
        await self._records.note_test(tenant_id, actor, provider_id, failed)
        return steps

    async def _own(self, tenant_id: str, provider_id: str) -> ProviderRecord:
        self._refuse_configured(provider_id)
        record = await self._records.find(tenant_id, provider_id)
        if record.removed_at is not None:
            raise NotFound("PROVIDER_UNKNOWN")
        if not record.belongs_to(tenant_id):
            raise Conflict("PROVIDER_NOT_YOURS")
        return record

    def _refuse_configured(self, provider_id: str) -> None:
        if provider_id in self._configured:
            raise Conflict("PROVIDER_NOT_YOURS")

    def _plugin_of(self, record: ProviderRecord) -> Plugin:
        plugin = self._plugins.get(record.adapter)
        if plugin is None:
            raise Conflict("ADAPTER_NOT_INSTALLED")
        return plugin

    async def _as_configured(self, tenant_id: str) -> list[ProviderRecord]:
        standings = await self._records.standings(tenant_id, list(self._configured))
        return [
            replace(record, standing=standings.get(name, Standing()))
            for name, record in sorted(self._configured.items())
        ]

    def _check(self, plugin: Plugin, draft: Draft) -> None:
        wrong = _wrong(plugin.config, draft.config, "config")
        if draft.credentials is not None:
            wrong += _wrong_credentials(plugin, draft.credentials)
        try:
            check_url(draft.url, self._policy)
        except Invalid as error:
            wrong.append((("url",), error.detail))
        try:
            narrowed_appetite(plugin.manifest.appetite, draft.appetite)
        except Unacceptable as error:
            wrong += error.places
        try:
            narrowed_limits(plugin.manifest.limits, draft.limits)
        except Unacceptable as error:
            wrong += error.places
        _refuse(wrong)


Place = tuple[tuple[str, ...], str]


def _wrong(model: type[BaseModel], told: Mapping[str, object], where: str) -> list[Place]:
    """What an adapter's own model does not accept: where and why, never what it was."""
    try:
        model.model_validate(dict(told))
    except ValidationError as error:
        found = error.errors(include_input=False, include_context=False, include_url=False)
        return [
            ((where, *(str(part) for part in _known(each["loc"], each["type"]))), each["type"])
            for each in found
        ]
    return []


def _wrong_credentials(plugin: Plugin, told: Mapping[str, str]) -> list[Place]:
    """The same for credentials, of which the adapter never sees what callbacks are signed with."""
    try:
        of_adapter = without_callback_secrets(told)
    except ValueError:
        return [(("credentials", "callback_secret"), "value_error")]
    return _wrong(plugin.credentials, of_adapter, "credentials")


def _known(place: tuple[int | str, ...], reason: str) -> tuple[int | str, ...]:
    """The place without an unknown field's own name: those are the sender's words."""
    return place[:-1] if reason == "extra_forbidden" else place


def _refuse(wrong: list[Place]) -> None:
    if wrong:
        raise Unacceptable(*wrong)
