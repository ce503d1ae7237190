"""Webhooks: endpoints, their secrets, deliveries and what could not be delivered.

The relay's role finds every tenant's webhooks and makes first attempts; it changes no webhook. What
has failed is looked after by workflows, one tenant at a time.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from models.tables.row_security import CrossTenant, Directory, Grants, secure

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

GRANTS: Grants = {
    "webhooks": ("SELECT, INSERT, UPDATE", "", "SELECT"),
    "webhook_deliveries": ("SELECT, UPDATE", "", "SELECT, INSERT, UPDATE"),
    "webhook_lines": ("SELECT, INSERT, UPDATE, DELETE", "", "SELECT, INSERT, UPDATE"),
    "lender_callbacks": ("SELECT, INSERT", "", ""),
    "webhook_position": ("", "", "SELECT, INSERT, UPDATE"),
}
CROSS_TENANT: CrossTenant = (
    ("webhooks", "caas_relay", ("SELECT",)),
    ("webhook_deliveries", "caas_relay", ("SELECT", "UPDATE")),
    ("webhook_lines", "caas_relay", ("SELECT", "UPDATE")),
)
DIRECTORY: Directory = ()
SHARED: tuple[str, ...] = ()

_NOW = sa.text("clock_timestamp()")
_PENDING = sa.text("status = 'pending'")


def upgrade() -> None:
    _webhooks()
    _deliveries()
    op.create_table(
        "webhook_lines",
        *_texts("tenant_id", "webhook_id", "key"),
        _moment("since", default=_NOW),
        _moment("due_at"),
        _moment("told_at", nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "webhook_id", "key"),
    )
    op.create_index("webhook_lines_due", "webhook_lines", ["due_at"], unique=False)
    op.create_table(
        "webhook_position",
        *_texts("tenant_id"),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id"),
    )
    _lender_callbacks()
    secure(GRANTS, CROSS_TENANT, DIRECTORY, SHARED)


def _webhooks() -> None:
    op.create_table(
        "webhooks",
        *_texts("tenant_id", "webhook_id"),
        _text("provider_id", nullable=True),
        _text("url"),
        sa.Column("event_types", JSONB(), nullable=True),
        *_texts("view", "description", "status"),
        _text("status_reason", nullable=True),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        _text("secret_key_id"),
        sa.Column("former_secret", sa.LargeBinary(), nullable=True),
        _text("former_key_id", nullable=True),
        _moment("former_until", nullable=True),
        sa.Column("from_seq", sa.BigInteger(), nullable=False),
        _text("created_by"),
        _moment("created_at", default=_NOW),
        _moment("updated_at", default=_NOW),
        sa.PrimaryKeyConstraint("tenant_id", "webhook_id"),
    )


def _deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        *_texts("tenant_id", "delivery_id", "webhook_id", "key"),
        sa.Column("event_seq", sa.BigInteger(), nullable=False),
        *_texts("event_id", "type", "status"),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_status", sa.BigInteger(), nullable=True),
        _text("last_reason", nullable=True),
        sa.Column("last_ms", sa.BigInteger(), nullable=True),
        _moment("since", default=_NOW),
        _moment("created_at", default=_NOW),
        _moment("settled_at", nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "delivery_id"),
        sa.UniqueConstraint("tenant_id", "webhook_id", "event_id", name="webhook_event"),
    )
    op.create_index(
        "webhook_deliveries_pending",
        "webhook_deliveries",
        ["tenant_id", "webhook_id", "key", "event_seq"],
        unique=False,
        postgresql_where=_PENDING,
    )
    op.create_index(
        "webhook_deliveries_due",
        "webhook_deliveries",
        ["tenant_id", "webhook_id", "event_seq"],
        unique=False,
        postgresql_where=_PENDING,
    )
    op.create_index(
        "webhook_deliveries_listed",
        "webhook_deliveries",
        ["tenant_id", "webhook_id", "delivery_id"],
        unique=False,
    )


def _lender_callbacks() -> None:
    op.create_table(
        "lender_callbacks",
        *_texts("tenant_id", "provider_id", "event_id", "type", "subject"),
        sa.Column("sender_sequence", sa.BigInteger(), nullable=False),
        _text("outcome"),
        _moment("received_at", default=_NOW),
        sa.PrimaryKeyConstraint("tenant_id", "provider_id", "event_id"),
    )
    op.create_index(
        "lender_callbacks_by_subject",
        "lender_callbacks",
        ["tenant_id", "provider_id", "subject"],
        unique=False,
    )


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _texts(*names: str) -> list[sa.Column[str]]:
    return [_text(name) for name in names]


def _moment(
    name: str, *, nullable: bool = False, default: sa.TextClause | None = None
) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def downgrade() -> None:
    raise NotImplementedError("webhooks are never taken back; restore a backup instead")
