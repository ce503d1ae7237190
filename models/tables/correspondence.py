"""What is asked of applicants, and what they are owed in writing."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import SQLModel

from models.tables.columns import document, flag, moment, sealed, text, text_key


class InformationRequestRow(SQLModel, table=True):
    """What an operator asked of an applicant; the answer is readable with the person's key only.

    `delivered_at` is set once the workflow that waits knows of the answer.
    """

    __tablename__ = "information_requests"
    __table_args__ = (
        sa.Index("information_requests_by_review", "tenant_id", "review_id"),
        sa.Index("information_requests_by_user", "tenant_id", "user_id"),
        sa.Index(
            "information_requests_undelivered",
            "answered_at",
            postgresql_where=sa.text("answered_at IS NOT NULL AND delivered_at IS NULL"),
        ),
    )

    tenant_id: str = text_key()
    request_id: str = text_key()
    review_id: str = text()
    user_id: str = text()
    workflow_id: str = text()
    asked_by: str = text()
    items: list[str] = document()
    message: str = text()
    status: str = text()
    due_at: datetime = moment()
    application_id: str | None = text(nullable=True)
    sealed_answers: bytes | None = sealed(nullable=True)
    new_document: bool = flag()
    created_at: datetime = moment(default_now=True)
    answered_at: datetime | None = moment(nullable=True)
    delivered_at: datetime | None = moment(nullable=True)


class NoticeRow(SQLModel, table=True):
    """A notice an applicant is owed, once per application, and what became of it."""

    __tablename__ = "notices"
    __table_args__ = (
        sa.UniqueConstraint("tenant_id", "application_id", name="notices_once"),
        sa.Index("notices_by_status", "tenant_id", "status"),
    )

    tenant_id: str = text_key()
    notice_id: str = text_key()
    application_id: str = text()
    kind: str = text()
    status: str = text()
    reasons: list[str] = document()
    due_at: datetime = moment()
    handled_by: str | None = text(nullable=True)
    detail: str | None = text(nullable=True)
    created_at: datetime = moment(default_now=True)
    concluded_at: datetime | None = moment(nullable=True)
