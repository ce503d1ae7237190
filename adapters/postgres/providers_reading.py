"""Reading providers: as lists show them, and as adapters are opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from adapters.credential_vault import Kept
from adapters.postgres.database import Transaction
from models.domain.ids import PLATFORM
from models.domain.provider import ProviderStatus, ProviderType
from models.domain.provider_health import ProviderHealth, SetBy
from models.domain.provider_record import CredentialState, ProviderRecord, Source, Standing

# Row-level security decides whose rows these are: a tenant's own and the platform's; of the
# platform's credentials a tenant sees none.
_JOINED: Final = (
    "SELECT p.*, c.vault, c.key_id, c.wrapped_key, c.sealed_fields, c.vault_version, c.fields,"
    " c.created_at AS rotated_at, h.status, h.set_by, h.reason, h.since, h.connected, h.failures,"
    " h.successes, h.checked_at, h.latency_ms"
    " FROM providers p LEFT JOIN provider_credentials c ON c.tenant_id = p.tenant_id"
    " AND c.provider_id = p.provider_id AND c.version = p.credential_version"
    " LEFT JOIN provider_health h ON h.tenant_id = p.tenant_id AND h.provider_id = p.provider_id"
)


@dataclass(frozen=True, slots=True)
class StoredProvider:
    """A provider with what its credentials are kept as; None while it has none."""

    record: ProviderRecord
    kept: Kept | None


async def page(
    tx: Transaction,
    *,
    after: str | None,
    limit: int,
    type_: ProviderType | None,
    status: ProviderStatus | None,
) -> list[ProviderRecord]:
    """Providers that are not removed, the newest first, behind the id `after`."""
    rows = await tx.rows(
        f"{_JOINED} WHERE p.tenant_id IN ($1, $2) AND p.removed_at IS NULL"
        " AND ($3::text IS NULL OR p.provider_id < $3) AND ($4::text IS NULL OR p.type = $4)"
        " AND ($5::text IS NULL OR h.status = $5) ORDER BY p.provider_id DESC LIMIT $6",
        tx.tenant_id, PLATFORM, after, type_, status, limit,
    )  # fmt: skip
    return [record_of(row) for row in rows]


async def one(tx: Transaction, provider_id: str, *, removed: bool = False) -> StoredProvider | None:
    """A provider by its id, if this tenant may borrow from it; removed ones only if asked for."""
    row = await tx.row(
        f"{_JOINED} WHERE p.tenant_id IN ($1, $2) AND p.provider_id = $3"
        " AND ($4 OR p.removed_at IS NULL)",
        tx.tenant_id, PLATFORM, provider_id, removed,
    )  # fmt: skip
    return None if row is None else stored_of(row)


async def of_tenant(tx: Transaction) -> list[StoredProvider]:
    """All providers of exactly this tenant that are not removed, with their sealed credentials."""
    rows = await tx.rows(
        f"{_JOINED} WHERE p.tenant_id = $1 AND p.removed_at IS NULL ORDER BY p.provider_id",
        tx.tenant_id,
    )
    return [stored_of(row) for row in rows]


async def of_all_tenants(tx: Transaction, after: str, limit: int) -> list[StoredProvider]:
    """Providers of every tenant behind the id `after`, for the role that may read them."""
    rows = await tx.rows(
        f"{_JOINED} WHERE p.removed_at IS NULL AND p.provider_id > $1"
        " ORDER BY p.provider_id LIMIT $2",
        after, limit,
    )  # fmt: skip
    return [stored_of(row) for row in rows]


async def standings(tx: Transaction, provider_ids: Sequence[str]) -> dict[str, Standing]:
    """How configured providers fare, by id."""
    rows = await tx.rows(
        "SELECT * FROM provider_health WHERE tenant_id = $1 AND provider_id = ANY($2)",
        PLATFORM, list(provider_ids),
    )  # fmt: skip
    return {row["provider_id"]: standing_of(row) for row in rows}


def stored_of(row: Any) -> StoredProvider:
    """A joined row."""
    kept = None
    if row["vault"] is not None:
        kept = Kept(
            row["vault"],
            row["key_id"],
            row["wrapped_key"],
            row["sealed_fields"],
            row["vault_version"],
        )
    return StoredProvider(record_of(row), kept)


def record_of(row: Any) -> ProviderRecord:
    """A joined row, without what seals its credentials."""
    credential = None
    if row["fields"] is not None:
        rotated_at: datetime = row["rotated_at"]
        credential = CredentialState(row["credential_version"], tuple(row["fields"]), rotated_at)
    return ProviderRecord(
        tenant_id=row["tenant_id"],
        provider_id=row["provider_id"],
        name=row["name"],
        adapter=row["adapter"],
        type=ProviderType(row["type"]),
        url=row["url"],
        config=row["config"],
        appetite=row["appetite"],
        limits=row["limits"],
        metadata=row["details"],
        version=row["version"],
        credential=credential,
        standing=standing_of(row) if row["status"] is not None else Standing(),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        removed_at=row["removed_at"],
        source=Source.PLATFORM if row["tenant_id"] == PLATFORM else Source.TENANT,
    )


def standing_of(row: Any) -> Standing:
    """A row of health."""
    health = ProviderHealth(
        status=ProviderStatus(row["status"]),
        set_by=SetBy(row["set_by"]),
        reason=row["reason"],
        connected=row["connected"],
        failures=row["failures"],
        successes=row["successes"],
    )
    return Standing(health, row["since"], row["checked_at"], row["latency_ms"])
