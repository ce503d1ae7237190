"""Providers, their credentials and their health, under row-level security.

Tenants read the platform's providers and how they fare, never its credentials. The relay's role
checks the health of every tenant's providers, so it alone reads the credentials of all.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from models.tables.row_security import CrossTenant, Directory, Grants, secure

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

GRANTS: Grants = {
    "providers": ("SELECT, INSERT, UPDATE", "SELECT", "SELECT"),
    "provider_credentials": ("SELECT, INSERT, UPDATE", "SELECT", "SELECT, UPDATE"),
    "provider_health": ("SELECT, INSERT, UPDATE", "SELECT", "SELECT, INSERT, UPDATE"),
    "provider_status_changes": ("SELECT, INSERT", "", "INSERT"),
}
CROSS_TENANT: CrossTenant = (
    ("providers", "caas_relay", ("SELECT",)),
    ("provider_credentials", "caas_relay", ("SELECT", "UPDATE")),
    ("provider_health", "caas_relay", ("SELECT",)),
)
# Whether a removed provider's offers are still to be honoured, whoever they were made to.
DIRECTORY: Directory = (("offers", "caas_relay", "tenant_id, offer_id, provider_id, status"),)
SHARED: tuple[str, ...] = ("providers", "provider_health", "provider_status_changes")

_NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    _providers()
    _credentials()
    _health()
    secure(GRANTS, CROSS_TENANT, DIRECTORY, SHARED)
    for role in ("caas_app", "caas_relay"):
        op.execute(f"GRANT USAGE ON SEQUENCE provider_status_changes_seq_seq TO {role}")
    _guard_status_changes()


def _providers() -> None:
    op.create_table(
        "providers",
        _text("tenant_id"),
        _text("provider_id"),
        *(_text(name) for name in ("name", "adapter", "type", "url")),
        *(_document(name) for name in ("config", "appetite", "limits", "details")),
        _whole("version"),
        _whole("credential_version"),
        _text("created_by"),
        _moment("created_at", default=_NOW),
        _moment("updated_at", default=_NOW),
        _moment("removed_at", nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "provider_id"),
    )
    op.create_index("providers_by_id", "providers", ["provider_id"], unique=False)


def _credentials() -> None:
    op.create_table(
        "provider_credentials",
        _text("tenant_id"),
        _text("provider_id"),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        _text("vault"),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("sealed_fields", sa.LargeBinary(), nullable=True),
        sa.Column("vault_version", sa.BigInteger(), nullable=True),
        _document("fields"),
        _text("created_by"),
        _moment("created_at", default=_NOW),
        _moment("usable_until", nullable=True),
        _moment("destroyed_at", nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "provider_id", "version"),
    )


def _health() -> None:
    op.create_table(
        "provider_health",
        _text("tenant_id"),
        _text("provider_id"),
        *(_text(name) for name in ("status", "set_by", "reason")),
        _moment("since", default=_NOW),
        sa.Column("connected", sa.Boolean(), server_default=sa.false(), nullable=False),
        _whole("failures"),
        _whole("successes"),
        _moment("checked_at", nullable=True),
        sa.Column("latency_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "provider_id"),
    )
    op.create_table(
        "provider_status_changes",
        sa.Column("seq", sa.BigInteger(), autoincrement=True, nullable=False),
        _text("tenant_id"),
        _text("provider_id"),
        *(_text(name) for name in ("from_status", "to_status", "set_by", "actor", "reason")),
        _moment("changed_at", default=_NOW),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index(
        "provider_status_changes_by_provider",
        "provider_status_changes",
        ["tenant_id", "provider_id", "seq"],
        unique=False,
    )


def _guard_status_changes() -> None:
    """A status change is written once, whoever asks."""
    op.execute(
        "CREATE FUNCTION refuse_status_rewrite() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the status history is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER status_append_only BEFORE UPDATE OR DELETE OR TRUNCATE"
        " ON provider_status_changes FOR EACH STATEMENT EXECUTE FUNCTION refuse_status_rewrite()"
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _document(name: str) -> sa.Column[object]:
    return sa.Column(name, JSONB(), nullable=False)


def _moment(
    name: str, *, nullable: bool = False, default: sa.TextClause | None = None
) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def downgrade() -> None:
    raise NotImplementedError("providers are never taken back; restore a backup instead")
