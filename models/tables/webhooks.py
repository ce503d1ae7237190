"""Webhooks: where integrators want to be told, what is due to them, and what could not be told."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from models.tables.columns import document, moment, sealed, text, text_key, whole

_PENDING = sa.text("status = 'pending'")


class WebhookRow(SQLModel, table=True):
    """An address that is told of events after number `from_seq`.

    Secrets are sealed under the tenant's key; the former one signs beside the new one until
    `former_until`. `event_types` null: all that `view` allows. A removed webhook's row stays, so
    that its deliveries can be accounted for.
    """

    __tablename__ = "webhooks"

    tenant_id: str = text_key()
    webhook_id: str = text_key()
    provider_id: str | None = text(nullable=True)
    url: str = text()
    event_types: list[str] | None = document(nullable=True)
    view: str = text()
    description: str = text()
    status: str = text()
    status_reason: str | None = text(nullable=True)
    secret: bytes = sealed()
    secret_key_id: str = text()
    former_secret: bytes | None = sealed(nullable=True)
    former_key_id: str | None = text(nullable=True)
    former_until: datetime | None = moment(nullable=True)
    from_seq: int = whole()
    created_by: str = text()
    created_at: datetime = moment(default_now=True)
    updated_at: datetime = moment(default_now=True)


class WebhookDeliveryRow(SQLModel, table=True):
    """One event for one webhook, in order per `key`; `event_id` is the message's id for ever.

    `since` is when its period of retries began: when the event was taken up, or was last revived.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        sa.UniqueConstraint("tenant_id", "webhook_id", "event_id", name="webhook_event"),
        sa.Index(
            "webhook_deliveries_pending",
            "tenant_id",
            "webhook_id",
            "key",
            "event_seq",
            postgresql_where=_PENDING,
        ),
        sa.Index(
            "webhook_deliveries_due",
            "tenant_id",
            "webhook_id",
            "event_seq",
            postgresql_where=_PENDING,
        ),
        sa.Index("webhook_deliveries_listed", "tenant_id", "webhook_id", "delivery_id"),
    )

    tenant_id: str = text_key()
    delivery_id: str = text_key()
    webhook_id: str = text()
    key: str = text()
    event_seq: int = whole()
    event_id: str = text()
    type: str = text()
    status: str = text()
    attempts: int = Field(
        sa_type=sa.BigInteger, nullable=False, sa_column_kwargs={"server_default": sa.text("0")}
    )
    last_status: int | None = whole(nullable=True)
    last_reason: str | None = text(nullable=True)
    last_ms: int | None = whole(nullable=True)
    since: datetime = moment(default_now=True)
    created_at: datetime = moment(default_now=True)
    settled_at: datetime | None = moment(nullable=True)


class WebhookLineRow(SQLModel, table=True):
    """A webhook and key that a workflow looks after, because an attempt has failed.

    While the row is there, nobody else attempts that key's events; they wait behind. It is due for
    its workflow at `due_at`, and was handed to it at `told_at`.
    """

    __tablename__ = "webhook_lines"
    __table_args__ = (sa.Index("webhook_lines_due", "due_at"),)

    tenant_id: str = text_key()
    webhook_id: str = text_key()
    key: str = text_key()
    since: datetime = moment(default_now=True)
    due_at: datetime = moment()
    told_at: datetime | None = moment(nullable=True)


class WebhookPositionRow(SQLModel, table=True):
    """Up to which number events have become deliveries; one row, the platform's."""

    __tablename__ = "webhook_position"

    tenant_id: str = text_key()
    position: int = whole()


class LenderCallbackRow(SQLModel, table=True):
    """A lender's signed message, kept once; `subject` is its quote, or empty for the lender itself.

    `sender_sequence` grows with what the lender says of one subject.
    """

    __tablename__ = "lender_callbacks"
    __table_args__ = (
        sa.Index("lender_callbacks_by_subject", "tenant_id", "provider_id", "subject"),
    )

    tenant_id: str = text_key()
    provider_id: str = text_key()
    event_id: str = text_key()
    type: str = text()
    subject: str = text()
    sender_sequence: int = whole()
    outcome: str = text()
    received_at: datetime = moment(default_now=True)


__all__ = [
    "LenderCallbackRow",
    "WebhookDeliveryRow",
    "WebhookLineRow",
    "WebhookPositionRow",
    "WebhookRow",
]
