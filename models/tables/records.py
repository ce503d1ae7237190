"""The audit trail and the outbox: written in the same transaction as the state they tell of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import SQLModel

from models.tables.columns import document, moment, sequence, text


class AuditRow(SQLModel, table=True):
    """Who did what to which thing; append-only for every role."""

    __tablename__ = "audit_log"
    __table_args__ = (sa.Index("audit_by_subject", "tenant_id", "subject_id"),)

    seq: int = sequence()
    tenant_id: str = text()
    actor: str = text()
    action: str = text()
    subject_id: str = text()
    detail: dict[str, Any] = document()
    recorded_at: datetime = moment(default_now=True)


class OutboxRow(SQLModel, table=True):
    """An event to publish, in order per `key`; `published_at` once the broker has it."""

    __tablename__ = "outbox"
    __table_args__ = (
        sa.UniqueConstraint("event_id", name="outbox_event"),
        sa.Index("outbox_unpublished", "seq", postgresql_where=sa.text("published_at IS NULL")),
    )

    seq: int = sequence()
    event_id: str = text()
    tenant_id: str = text()
    key: str = text()
    type: str = text()
    data: dict[str, Any] = document()
    recorded_at: datetime = moment(default_now=True)
    published_at: datetime | None = moment(nullable=True)
