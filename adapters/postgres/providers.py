"""Registering, changing and removing providers: each by a named person, once, on record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from adapters.credential_vault import CredentialRef, CredentialVault
from adapters.postgres import idempotency, providers_health, providers_reading
from adapters.postgres.database import Database, Transaction
from adapters.postgres.providers_credentials import keep_version
from adapters.postgres.security_log import note
from models.domain.errors import Conflict, NotFound
from models.domain.ids import new_id
from models.domain.operations import Command
from models.domain.provider import ProviderStatus, ProviderType
from models.domain.provider_health import set_by_person
from models.domain.provider_record import Change, Draft, ProviderRecord, Standing
from models.domain.writes import StoredAnswer, WriteKey

Answer = Callable[[ProviderRecord], StoredAnswer]


class PostgresProviders:
    """Providers of one tenant, and the platform's to read."""

    def __init__(self, database: Database, vault: CredentialVault, overlap: timedelta) -> None:
        """Earlier credentials stay usable for `overlap` after newer ones took over."""
        self._database = database
        self._vault = vault
        self._overlap = overlap

    async def page(
        self,
        tenant_id: str,
        *,
        after: str | None,
        limit: int,
        type_: ProviderType | None = None,
        status: ProviderStatus | None = None,
    ) -> list[ProviderRecord]:
        """Registered providers this tenant may borrow from, the newest first."""
        async with self._database.transaction(tenant_id) as tx:
            return await providers_reading.page(
                tx, after=after, limit=limit, type_=type_, status=status
            )

    async def find(self, tenant_id: str, provider_id: str) -> ProviderRecord:
        """One of them, removed or not; raises NotFound."""
        async with self._database.transaction(tenant_id) as tx:
            stored = await providers_reading.one(tx, provider_id, removed=True)
        if stored is None:
            raise NotFound("PROVIDER_UNKNOWN")
        return stored.record

    async def standings(self, tenant_id: str, provider_ids: list[str]) -> dict[str, Standing]:
        """How configured providers fare, by id."""
        async with self._database.transaction(tenant_id) as tx:
            return await providers_reading.standings(tx, provider_ids)

    async def register(
        self, write: WriteKey, adapter: str, type_: ProviderType, draft: Draft, answer: Answer
    ) -> StoredAnswer:
        """A new provider of the write's tenant, asked for offers from now on."""
        provider_id = new_id("prv")
        async with self._database.transaction(write.tenant_id) as tx:
            if (earlier := await idempotency.reserve(tx, write)) is not None:
                return earlier
            version = 0 if draft.credentials is None else 1
            await tx.execute(
                "INSERT INTO providers (tenant_id, provider_id, name, adapter, type, url, config,"
                " appetite, limits, details, version, credential_version, created_by)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1, $11, $12)",
                tx.tenant_id, provider_id, draft.name, adapter, type_, draft.url,
                *_documents(draft), version, write.subject,
            )  # fmt: skip
            await self._keep(tx, provider_id, version, draft.credentials, write.subject)
            await providers_health.begun(tx, provider_id)
            detail = {"adapter": adapter, "type": type_.value, "credential_version": version}
            await note(tx, write.subject, "provider_registry.registered", provider_id, detail)
            given = answer(await _as_it_is(tx, provider_id))
            await idempotency.answer(tx, write, given)
        return given

    async def change(
        self, write: WriteKey, provider_id: str, change: Change, answer: Answer
    ) -> StoredAnswer:
        """Change a provider as a whole; its credentials only if new ones are given.

        Raises NotFound, Conflict PROVIDER_NOT_YOURS, or PROVIDER_CHANGED when somebody else was
        faster.
        """
        async with self._database.transaction(write.tenant_id) as tx:
            if (earlier := await idempotency.reserve(tx, write)) is not None:
                return earlier
            row = await _own(tx, provider_id)
            if row["version"] != change.version:
                raise Conflict("PROVIDER_CHANGED")
            draft = change.draft
            rotates = draft.credentials is not None
            version = row["credential_version"] + rotates
            await tx.execute(
                "UPDATE providers SET name = $3, url = $4, config = $5, appetite = $6, limits = $7,"
                " details = $8, version = version + 1, credential_version = $9,"
                " updated_at = clock_timestamp() WHERE tenant_id = $1 AND provider_id = $2",
                tx.tenant_id, provider_id, draft.name, draft.url, *_documents(draft), version,
            )  # fmt: skip
            await self._keep(tx, provider_id, version, draft.credentials, write.subject)
            detail = {"version": change.version + 1, "credential_version": version}
            await note(tx, write.subject, "provider_registry.updated", provider_id, detail)
            if change.status is not None:
                await _set_status(tx, provider_id, change.status, write.subject)
            given = answer(await _as_it_is(tx, provider_id))
            await idempotency.answer(tx, write, given)
        return given

    async def rotate(
        self, write: WriteKey, provider_id: str, secrets: Mapping[str, str], answer: Answer
    ) -> StoredAnswer:
        """New credentials take over at once; the earlier ones end after the overlap."""
        async with self._database.transaction(write.tenant_id) as tx:
            if (earlier := await idempotency.reserve(tx, write)) is not None:
                return earlier
            await self.rotated(tx, provider_id, secrets, write.subject)
            given = answer(await _as_it_is(tx, provider_id))
            await idempotency.answer(tx, write, given)
        return given

    async def rotated(
        self, tx: Transaction, provider_id: str, secrets: Mapping[str, str], actor: str
    ) -> int:
        """The same within a transaction; returns the new version of the credentials."""
        row = await _own(tx, provider_id)
        version: int = row["credential_version"] + 1
        await tx.execute(
            "UPDATE providers SET credential_version = $3, version = version + 1,"
            " updated_at = clock_timestamp() WHERE tenant_id = $1 AND provider_id = $2",
            tx.tenant_id, provider_id, version,
        )  # fmt: skip
        await self._keep(tx, provider_id, version, secrets, actor)
        detail = {"credential_version": version}
        await note(tx, actor, "provider_credentials.rotated", provider_id, detail)
        return version

    async def remove(self, write: WriteKey, provider_id: str, answer: Answer) -> StoredAnswer:
        """Ask it for no more offers; what is on record stays readable.

        Raises NotFound, Conflict PROVIDER_NOT_YOURS, or PROVIDER_HAS_OFFERS while the tenant has
        offers of it that are open, or accepted and not yet settled. Offers that other tenants have
        of a provider of the platform are honoured: it is found for them even when removed.
        """
        async with self._database.transaction(write.tenant_id) as tx:
            if (earlier := await idempotency.reserve(tx, write)) is not None:
                return earlier
            await _own(tx, provider_id)
            if await _has_offers(tx, provider_id):
                raise Conflict("PROVIDER_HAS_OFFERS")
            await tx.execute(
                "UPDATE providers SET removed_at = clock_timestamp(), version = version + 1,"
                " updated_at = clock_timestamp() WHERE tenant_id = $1 AND provider_id = $2",
                tx.tenant_id, provider_id,
            )  # fmt: skip
            await note(tx, write.subject, "provider_registry.removed", provider_id, {})
            given = answer(await _as_it_is(tx, provider_id))
            await idempotency.answer(tx, write, given)
        return given

    async def note_test(
        self, tenant_id: str, actor: str, provider_id: str, failed: str | None
    ) -> None:
        """Put on record that somebody tried a provider, and which step failed."""
        async with self._database.transaction(tenant_id) as tx:
            await note(tx, actor, "provider_registry.tested", provider_id, {"failed_step": failed})

    async def note_command(self, tenant_id: str, provider_id: str, command: Command) -> None:
        """Put on record why an operator did it by hand."""
        async with self._database.transaction(tenant_id) as tx:
            detail = {"reason": command.reason}
            await note(tx, command.operator, "provider_registry.commanded", provider_id, detail)

    async def _keep(
        self,
        tx: Transaction,
        provider_id: str,
        version: int,
        secrets: Mapping[str, str] | None,
        actor: str,
    ) -> None:
        if secrets is None:
            return
        ref = CredentialRef(tx.tenant_id, provider_id, version)
        await keep_version(tx, self._vault, ref, secrets, actor, self._overlap)


async def _own(tx: Transaction, provider_id: str) -> Any:
    """The tenant's own row, locked; another's that it can see is not its to change."""
    row = await tx.row(
        "SELECT version, credential_version FROM providers"
        " WHERE tenant_id = $1 AND provider_id = $2 AND removed_at IS NULL FOR UPDATE",
        tx.tenant_id, provider_id,
    )  # fmt: skip
    if row is not None:
        return row
    if await providers_reading.one(tx, provider_id) is not None:
        raise Conflict("PROVIDER_NOT_YOURS")
    raise NotFound("PROVIDER_UNKNOWN")


async def _set_status(
    tx: Transaction, provider_id: str, status: ProviderStatus, actor: str
) -> None:
    before = await providers_health.begun(tx, provider_id)
    if before.status is not status or status is ProviderStatus.MAINTENANCE:
        after = set_by_person(before, status)
        await providers_health.changed(tx, provider_id, before, after, actor)


async def _has_offers(tx: Transaction, provider_id: str) -> bool:
    found = await tx.value(
        "SELECT EXISTS (SELECT FROM offers o WHERE o.tenant_id = $1 AND o.provider_id = $2"
        " AND ((o.status = 'open' AND o.expires_at > clock_timestamp())"
        " OR (o.status = 'accepted' AND NOT EXISTS (SELECT FROM settlements s"
        "  WHERE s.tenant_id = $1 AND s.offer_id = o.offer_id"
        "  AND s.state IN ('final', 'failed')))))",
        tx.tenant_id, provider_id,
    )  # fmt: skip
    return bool(found)


async def _as_it_is(tx: Transaction, provider_id: str) -> ProviderRecord:
    stored = await providers_reading.one(tx, provider_id, removed=True)
    if stored is None:
        raise NotFound("PROVIDER_UNKNOWN")
    return stored.record


def _documents(draft: Draft) -> list[dict[str, Any]]:
    told = (draft.config, draft.appetite, draft.limits, draft.metadata)
    return [dict(each) for each in told]
