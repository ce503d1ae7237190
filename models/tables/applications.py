"""Applications, their decisions and reviews, and what makes a request happen only once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import SQLModel

from models.tables.columns import document, moment, sealed, text, text_key, whole


class ApplicationRow(SQLModel, table=True):
    """One application; `sealed_applicant` is readable with the person's key only."""

    __tablename__ = "applications"
    __table_args__ = (
        sa.CheckConstraint("amount_minor > 0 AND amount_minor <= 1000000000", name="amount"),
        sa.Index("applications_by_user", "tenant_id", "user_id"),
        sa.Index("applications_by_age", "tenant_id", "created_at"),
    )

    tenant_id: str = text_key()
    application_id: str = text_key()
    user_id: str = text()
    state: str = text()
    stage: str = text()
    reasons: list[str] = document()
    amount_minor: int = whole()
    currency: str = text()
    term_months: int = whole()
    purpose: str = text()
    jurisdiction: str = text()
    wallet: str = text()
    chain_id: int = whole()
    sealed_applicant: bytes = sealed()
    accepted_offer_id: str | None = text(nullable=True)
    version: int = whole()
    created_at: datetime = moment(default_now=True)
    updated_at: datetime = moment(default_now=True)


class StartIntentRow(SQLModel, table=True):
    """An application whose workflow is not known to have started; the sweeper starts it."""

    __tablename__ = "start_intents"

    tenant_id: str = text_key()
    application_id: str = text_key()
    user_id: str = text()
    created_at: datetime = moment(default_now=True)


class IdempotencyKeyRow(SQLModel, table=True):
    """A write request by its key; `response` is replayed byte for byte."""

    __tablename__ = "idempotency_keys"

    tenant_id: str = text_key()
    route: str = text_key()
    key: str = text_key()
    subject: str = text()
    body_sha256: bytes = sealed()
    lease_until: datetime | None = moment(nullable=True)
    status: int | None = whole(nullable=True)
    headers: dict[str, str] | None = document(nullable=True)
    response: bytes | None = sealed(nullable=True)
    created_at: datetime = moment(default_now=True)


class DecisionRow(SQLModel, table=True):
    """A verdict of the rule book with everything needed to reproduce it."""

    __tablename__ = "decisions"
    __table_args__ = (sa.Index("decisions_by_application", "tenant_id", "application_id"),)

    tenant_id: str = text_key()
    application_id: str = text_key()
    phase: str = text_key()
    outcome: str = text()
    reasons: list[str] = document()
    fired: list[dict[str, Any]] = document()
    packs: list[str] = document()
    rule_set_version: str = text()
    sanctions_list_version: str | None = text(nullable=True)
    model_version: str | None = text(nullable=True)
    sealed_facts: bytes = sealed()
    decided_at: datetime = moment(default_now=True)


class ReviewRow(SQLModel, table=True):
    """A question for a named person; `workflow_id` is who waits for the answer."""

    __tablename__ = "reviews"
    __table_args__ = (
        sa.Index("reviews_open", "tenant_id", "status"),
        sa.Index("reviews_by_subject", "tenant_id", "subject_id"),
    )

    tenant_id: str = text_key()
    review_id: str = text_key()
    kind: str = text()
    subject_id: str = text()
    applicant_id: str = text()
    workflow_id: str = text()
    reasons: list[str] = document()
    status: str = text()
    approvals_needed: int = whole()
    approvals: list[str] = document()
    assignee: str | None = text(nullable=True)
    decided_by: str | None = text(nullable=True)
    decision_reason: str | None = text(nullable=True)
    created_at: datetime = moment(default_now=True)
    decided_at: datetime | None = moment(nullable=True)
