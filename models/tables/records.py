"""The audit trail and the outbox: written in the same transaction as the state they tell of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from models.tables.columns import (
    document,
    moment,
    sealed,
    sequence,
    text,
    text_key,
    whole,
    whole_key,
)


class AuditRow(SQLModel, table=True):
    """Who did what to which thing; append-only for every role.

    `salt` goes into the row's hash: ids are guessable, and a bare hash of them would tell.
    """

    __tablename__ = "audit_log"
    __table_args__ = (sa.Index("audit_by_subject", "tenant_id", "subject_id"),)

    seq: int = sequence()
    tenant_id: str = text()
    actor: str = text()
    action: str = text()
    subject_id: str = text()
    detail: dict[str, Any] = document()
    recorded_at: datetime = moment(default_now=True)
    salt: bytes = Field(
        sa_type=sa.LargeBinary,
        nullable=False,
        sa_column_kwargs={"server_default": sa.text("uuid_send(gen_random_uuid())")},
    )


class UnsealedAuditRow(SQLModel, table=True):
    """An audit row the sealer has not reached; written by a trigger, in the row's transaction.

    A list of its own, because sequence numbers are handed out before commit: behind a high-water
    mark, a row that became visible late would never be sealed.
    """

    __tablename__ = "audit_unsealed"

    tenant_id: str = text_key()
    audit_seq: int = whole_key()


class AuditSealRow(SQLModel, table=True):
    """A link of a tenant's hash chain; append-only. Positions count from 1 without gaps."""

    __tablename__ = "audit_seals"
    __table_args__ = (sa.UniqueConstraint("tenant_id", "audit_seq", name="audit_seals_row"),)

    tenant_id: str = text_key()
    position: int = whole_key()
    audit_seq: int = whole()
    row_hash: bytes = sealed()
    chain_hash: bytes = sealed()
    sealed_at: datetime = moment()


class OutboxRow(SQLModel, table=True):
    """An event to publish, in order per `key`; `published_at` once the broker has it.

    One the broker refused `attempts` times is parked with the reason: it holds back its key's
    later events, and nobody else's, until an operator releases it.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        sa.UniqueConstraint("event_id", name="outbox_event"),
        sa.Index("outbox_by_tenant", "tenant_id", "seq"),
        sa.Index("outbox_unpublished", "seq", postgresql_where=sa.text("published_at IS NULL")),
        sa.Index(
            "outbox_parked",
            "tenant_id",
            "key",
            postgresql_where=sa.text("published_at IS NULL AND parked_at IS NOT NULL"),
        ),
    )

    seq: int = sequence()
    event_id: str = text()
    tenant_id: str = text()
    key: str = text()
    type: str = text()
    data: dict[str, Any] = document()
    recorded_at: datetime = moment(default_now=True)
    published_at: datetime | None = moment(nullable=True)
    attempts: int = Field(
        sa_type=sa.BigInteger, nullable=False, sa_column_kwargs={"server_default": sa.text("0")}
    )
    parked_at: datetime | None = moment(nullable=True)
    parked_because: str | None = text(nullable=True)


class RateLimitRow(SQLModel, table=True):
    """A token bucket by the moment it will be full; unlogged: a crash of the server forgets it.

    `granted` is what the last request took: an insert that meets a row can only say so through it.
    """

    __tablename__ = "rate_limits"
    __table_args__ = {"prefixes": ["UNLOGGED"]}

    tenant_id: str = text_key()
    key: str = text_key()
    full_at_us: int = whole()
    granted: int = whole()
