"""Versions of providers' credentials: kept, replaced, wrapped anew, and destroyed when due."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog

from adapters.credential_vault import (
    POSTGRES,
    CredentialRef,
    CredentialVault,
    EnvelopeVault,
    Kept,
)
from adapters.postgres.database import PLATFORM, Database, Transaction
from adapters.postgres.security_log import note
from models.domain.errors import CreditError
from models.domain.operations import Command

log = structlog.get_logger()

# How long a removed provider's credentials are kept at least: its offers are honoured.
KEPT_AFTER_REMOVAL: Final = timedelta(days=30)
_BATCH: Final = 200


async def keep_version(
    tx: Transaction,
    vault: CredentialVault,
    ref: CredentialRef,
    secrets: Mapping[str, str],
    actor: str,
    overlap: timedelta,
) -> None:
    """Seal this version, and let the ones before it end after the overlap."""
    kept = await vault.seal(ref, secrets)
    fields = sorted(name for name, secret in secrets.items() if secret)
    await tx.execute(
        "INSERT INTO provider_credentials (tenant_id, provider_id, version, vault, key_id,"
        " wrapped_key, sealed_fields, vault_version, fields, created_by)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        ref.tenant_id, ref.provider_id, ref.version, kept.vault, kept.key_id, kept.wrapped_key,
        kept.sealed_fields, kept.vault_version, fields, actor,
    )  # fmt: skip
    await tx.execute(
        "UPDATE provider_credentials SET usable_until = clock_timestamp() + $4"
        " WHERE tenant_id = $1 AND provider_id = $2 AND version < $3 AND usable_until IS NULL",
        ref.tenant_id, ref.provider_id, ref.version, overlap,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """How many data keys were wrapped anew, were current already, and could not be opened."""

    rewrapped: int = 0
    current: int = 0
    failed: int = 0


class PostgresCredentialUpkeep:
    """What is due with credentials of all tenants (role `caas_relay`)."""

    def __init__(self, database: Database, vault: CredentialVault) -> None:
        self._database = database
        self._vault = vault

    async def rewrap(self, command: Command) -> Rewrapped:
        """Wrap every data key under the current master key; again, it changes nothing.

        One that cannot be opened stays as it is, and is counted: its master key is missing.
        """
        envelope, done = EnvelopeVault(self._database.keyring), Rewrapped()
        after: tuple[str, str, int] = ("", "", 0)
        while rows := await self._wrapped_after(after):
            for row in rows:
                done = await self._rewrap_one(envelope, row, done)
            after = (rows[-1]["tenant_id"], rows[-1]["provider_id"], rows[-1]["version"])
        async with self._database.transaction(PLATFORM) as tx:
            detail = {
                "rewrapped": done.rewrapped, "current": done.current, "failed": done.failed,
                "reason": command.reason,
            }  # fmt: skip
            await note(tx, command.operator, "provider_credentials.rewrapped", PLATFORM, detail)
        return done

    async def destroy_due(self) -> int:
        """Destroy versions whose overlap is over, and those of providers removed long ago.

        A removed provider's stay as long as any tenant has an open offer of it; what was accepted
        before is confirmed long before they end.
        """
        async with self._database.transaction(PLATFORM) as tx:
            due = await tx.rows(
                "SELECT c.* FROM provider_credentials c JOIN providers p"
                " ON p.tenant_id = c.tenant_id AND p.provider_id = c.provider_id"
                " WHERE c.destroyed_at IS NULL AND (c.usable_until < clock_timestamp()"
                " OR (p.removed_at < clock_timestamp() - $1::interval AND NOT EXISTS"
                " (SELECT FROM offers o WHERE o.provider_id = p.provider_id"
                "  AND o.status = 'open'))) LIMIT $2",
                KEPT_AFTER_REMOVAL, _BATCH,
            )  # fmt: skip
        destroyed = 0
        for row in due:
            try:
                await self._vault.destroy(ref_of(row), kept_of(row))
                await self._forget(row)
                destroyed += 1
            except CreditError as error:
                log.warning("credentials_not_destroyed", code=error.code)
        return destroyed

    async def _wrapped_after(self, after: tuple[str, str, int]) -> list[Any]:
        async with self._database.transaction(PLATFORM) as tx:
            return await tx.rows(
                "SELECT * FROM provider_credentials WHERE vault = $1 AND destroyed_at IS NULL"
                " AND (tenant_id, provider_id, version) > ($2, $3, $4)"
                " ORDER BY tenant_id, provider_id, version LIMIT $5",
                POSTGRES, *after, _BATCH,
            )  # fmt: skip

    async def _rewrap_one(self, envelope: EnvelopeVault, row: Any, done: Rewrapped) -> Rewrapped:
        if row["key_id"] == self._database.keyring.current:
            return Rewrapped(done.rewrapped, done.current + 1, done.failed)
        try:
            kept = envelope.rewrapped(ref_of(row), kept_of(row))
        except CreditError as error:
            log.error("credentials_not_rewrapped", provider=row["provider_id"], code=error.code)
            return Rewrapped(done.rewrapped, done.current, done.failed + 1)
        async with self._database.transaction(row["tenant_id"]) as tx:
            await tx.execute(
                "UPDATE provider_credentials SET key_id = $4, wrapped_key = $5"
                " WHERE tenant_id = $1 AND provider_id = $2 AND version = $3"
                " AND destroyed_at IS NULL",
                row["tenant_id"], row["provider_id"], row["version"], kept.key_id,
                kept.wrapped_key,
            )  # fmt: skip
        return Rewrapped(done.rewrapped + 1, done.current, done.failed)

    async def _forget(self, row: Any) -> None:
        async with self._database.transaction(row["tenant_id"]) as tx:
            await tx.execute(
                "UPDATE provider_credentials SET wrapped_key = NULL, sealed_fields = NULL,"
                " destroyed_at = clock_timestamp()"
                " WHERE tenant_id = $1 AND provider_id = $2 AND version = $3",
                row["tenant_id"], row["provider_id"], row["version"],
            )  # fmt: skip


def ref_of(row: Any) -> CredentialRef:
    """Which version a row keeps."""
    return CredentialRef(row["tenant_id"], row["provider_id"], row["version"])


def kept_of(row: Any) -> Kept:
    """What a row keeps of it."""
    return Kept(
        row["vault"], row["key_id"], row["wrapped_key"], row["sealed_fields"], row["vault_version"]
    )
