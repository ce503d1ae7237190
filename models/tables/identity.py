"""People: their keys, their verification, and the callbacks of the identity vendor."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import SQLModel

from models.tables.columns import document, moment, sealed, text, text_key


class SubjectKeyRow(SQLModel, table=True):
    """A person's data key, wrapped by the tenant's key; destroying it erases the person."""

    __tablename__ = "subject_keys"

    tenant_id: str = text_key()
    user_id: str = text_key()
    key_id: str = text()
    wrapped_key: bytes | None = sealed(nullable=True)
    created_at: datetime = moment(default_now=True)
    destroyed_at: datetime | None = moment(nullable=True)


class KYCProfileRow(SQLModel, table=True):
    """What is known of a person's identity, and until when.

    `identity` is a keyed fingerprint of what was examined: an application that states another
    identity is verified anew.
    """

    __tablename__ = "kyc_profiles"

    tenant_id: str = text_key()
    user_id: str = text_key()
    status: str = text()
    reason: str | None = text(nullable=True)
    verification_id: str | None = text(nullable=True)
    identity: str | None = text(nullable=True)
    screening: dict[str, Any] | None = document(nullable=True)
    concluded_by: str | None = text(nullable=True)
    verified_at: datetime | None = moment(nullable=True)
    expires_at: datetime | None = moment(nullable=True)
    updated_at: datetime = moment(default_now=True)


class KYCWaiterRow(SQLModel, table=True):
    """An application that joined a person's verification; `told_at` once it has the answer."""

    __tablename__ = "kyc_waiters"

    tenant_id: str = text_key()
    user_id: str = text_key()
    application_id: str = text_key()
    answer: dict[str, Any] | None = document(nullable=True)
    created_at: datetime = moment(default_now=True)
    told_at: datetime | None = moment(nullable=True)


class VerificationRow(SQLModel, table=True):
    """One verification asked of a vendor; the vendor's callback names it."""

    __tablename__ = "kyc_verifications"

    tenant_id: str = text_key()
    verification_id: str = text_key()
    user_id: str = text()
    vendor: str = text()
    identity: str = text()
    check_id: str | None = text(nullable=True)
    created_at: datetime = moment(default_now=True)


class CallbackEventRow(SQLModel, table=True):
    """A verified callback, by the vendor's event id; `delivered_at` once a workflow has it."""

    __tablename__ = "callback_events"
    __table_args__ = (
        sa.Index(
            "callback_events_undelivered",
            "received_at",
            postgresql_where=sa.text("delivered_at IS NULL"),
        ),
    )

    tenant_id: str = text_key()
    vendor: str = text_key()
    event_id: str = text_key()
    verification_id: str = text()
    user_id: str = text()
    verdict: str = text()
    reason: str | None = text(nullable=True)
    received_at: datetime = moment(default_now=True)
    delivered_at: datetime | None = moment(nullable=True)
