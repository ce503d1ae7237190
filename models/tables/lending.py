"""What risk and lenders said: evidence, assessments, offers, loans."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from models.tables.columns import document, moment, sealed, text, text_key, whole


class EvidenceRow(SQLModel, table=True):
    """A report bought for an application; kept sealed, bought once."""

    __tablename__ = "evidence"

    tenant_id: str = text_key()
    application_id: str = text_key()
    source: str = text_key()
    outcome: str = text()
    sealed_report: bytes | None = sealed(nullable=True)
    fetched_at: datetime = moment(default_now=True)


class AssessmentRow(SQLModel, table=True):
    """A score with its reasons, the model that gave it, and the features it saw (sealed)."""

    __tablename__ = "assessments"

    tenant_id: str = text_key()
    application_id: str = text_key()
    outcome: str = text()
    pd: float = Field(sa_type=sa.Float, nullable=False)
    score: int = whole()
    score_unclipped: float = Field(sa_type=sa.Float, nullable=False)
    confidence: float = Field(sa_type=sa.Float, nullable=False)
    reasons: list[dict[str, Any]] = document()
    model_version: str = text()
    model_sha256: str = text()
    bureau_status: str = text()
    referred_because: str | None = text(nullable=True)
    assessed_at: datetime = moment(default_now=True)


class OfferSearchRow(SQLModel, table=True):
    """The newest search over all lenders; `missing` says why others did not offer.

    `round` counts the searches of an application.
    """

    __tablename__ = "offer_searches"

    tenant_id: str = text_key()
    application_id: str = text_key()
    missing: list[dict[str, Any]] = document()
    searched_at: datetime = moment(default_now=True)
    round: int = whole(default=1)


class OfferRow(SQLModel, table=True):
    """A lender's offer; `terms` is what the contract will see, `terms_hash` binds all parties."""

    __tablename__ = "offers"
    __table_args__ = (
        sa.Index("offers_by_application", "tenant_id", "application_id"),
        # At most one accepted offer per application, whatever the code above does.
        sa.Index(
            "offers_one_accepted",
            "tenant_id",
            "application_id",
            unique=True,
            postgresql_where=sa.text("status = 'accepted'"),
        ),
    )

    tenant_id: str = text_key()
    offer_id: str = text_key()
    application_id: str = text()
    provider_id: str = text()
    quote_id: str = text()
    status: str = text()
    amount_minor: int = whole()
    currency: str = text()
    term_months: int = whole()
    nominal_rate_bps: int = whole()
    fee_minor: int = whole()
    monthly_payment_minor: int = whole()
    total_repayable_minor: int = whole()
    apr_bps: int = whole()
    chain_id: int = whole()
    aggregator: str = text()
    terms: dict[str, Any] = document()
    terms_hash: str = text()
    lender_signature: str | None = text(nullable=True)
    acceptance: dict[str, Any] | None = document(nullable=True)
    accepted_by: str | None = text(nullable=True)
    expires_at: datetime = moment()
    created_at: datetime = moment(default_now=True)
    round: int = whole(default=1)


class LoanRow(SQLModel, table=True):
    """A loan on the books, from the block that made its disbursement final."""

    __tablename__ = "loans"
    __table_args__ = (sa.UniqueConstraint("tenant_id", "application_id", name="loans_once"),)

    tenant_id: str = text_key()
    loan_id: str = text_key()
    application_id: str = text()
    offer_id: str = text()
    provider_id: str = text()
    amount_minor: int = whole()
    currency: str = text()
    apr_bps: int = whole()
    term_months: int = whole()
    monthly_payment_minor: int = whole()
    total_repayable_minor: int = whole()
    booked_at: datetime = moment(default_now=True)
