"""Providers of credit as they were registered, their sealed credentials, and how they fare."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import SQLModel

from models.tables.columns import (
    document,
    flag,
    moment,
    sealed,
    sequence,
    text,
    text_key,
    whole,
    whole_key,
)


class ProviderRow(SQLModel, table=True):
    """A registered provider; of the tenant `platform`, one that every tenant may borrow from.

    `version` grows with each change and names what a change was made from. `credential_version` is
    the one in use, 0 while there is none. A removed one stays: what it offered is honoured.
    """

    __tablename__ = "providers"
    __table_args__ = (sa.Index("providers_by_id", "provider_id"),)

    tenant_id: str = text_key()
    provider_id: str = text_key()
    name: str = text()
    adapter: str = text()
    type: str = text()
    url: str = text()
    config: dict[str, Any] = document()
    appetite: dict[str, Any] = document()
    limits: dict[str, Any] = document()
    details: dict[str, Any] = document()
    version: int = whole()
    credential_version: int = whole()
    created_by: str = text()
    created_at: datetime = moment(default_now=True)
    updated_at: datetime = moment(default_now=True)
    removed_at: datetime | None = moment(nullable=True)


class ProviderCredentialRow(SQLModel, table=True):
    """One version of a provider's credentials, sealed or kept in an outside vault.

    `wrapped_key` opens under the master key `key_id`, and then opens `sealed_fields`; both are null
    where an outside vault keeps them under `vault_version`, and once they were destroyed.
    `usable_until` is set when a newer version takes over.
    """

    __tablename__ = "provider_credentials"

    tenant_id: str = text_key()
    provider_id: str = text_key()
    version: int = whole_key()
    vault: str = text()
    key_id: str | None = text(nullable=True)
    wrapped_key: bytes | None = sealed(nullable=True)
    sealed_fields: bytes | None = sealed(nullable=True)
    vault_version: int | None = whole(nullable=True)
    fields: list[str] = document()
    created_by: str = text()
    created_at: datetime = moment(default_now=True)
    usable_until: datetime | None = moment(nullable=True)
    destroyed_at: datetime | None = moment(nullable=True)


class ProviderHealthRow(SQLModel, table=True):
    """Where a provider stands, and who said so; of a configured one in the tenant `platform`."""

    __tablename__ = "provider_health"

    tenant_id: str = text_key()
    provider_id: str = text_key()
    status: str = text()
    set_by: str = text()
    reason: str = text()
    since: datetime = moment(default_now=True)
    connected: bool = flag()
    failures: int = whole()
    successes: int = whole()
    checked_at: datetime | None = moment(nullable=True)
    latency_ms: int | None = whole(nullable=True)


class ProviderStatusChangeRow(SQLModel, table=True):
    """A provider's status changed: from what to what, why, and by whom; append-only."""

    __tablename__ = "provider_status_changes"
    __table_args__ = (
        sa.Index("provider_status_changes_by_provider", "tenant_id", "provider_id", "seq"),
    )

    seq: int = sequence()
    tenant_id: str = text()
    provider_id: str = text()
    from_status: str = text()
    to_status: str = text()
    set_by: str = text()
    actor: str = text()
    reason: str = text()
    changed_at: datetime = moment(default_now=True)
