"""Force row-level security on every table, and give each role exactly what its work needs.

`caas_app` serves one tenant at a time (`app.tenant_id`, set per transaction). `caas_chain` signs
and watches for all tenants; `caas_relay` sweeps and publishes for all tenants: both through
explicit policies on the few tables they need.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ROLES = ("caas_app", "caas_chain", "caas_relay")

TABLES = (
    "applications", "start_intents", "idempotency_keys", "decisions", "reviews",
    "subject_keys", "kyc_profiles", "kyc_waiters", "kyc_verifications", "callback_events",
    "evidence", "assessments", "offer_searches", "offers", "loans",
    "settlements", "chain_attempts", "chain_accounts",
    "ledger_entries", "ledger_postings", "audit_log", "outbox",
)  # fmt: skip

# table: (caas_app, caas_chain, caas_relay)
GRANTS: dict[str, tuple[str, str, str]] = {
    "applications": ("SELECT, INSERT, UPDATE", "SELECT, UPDATE", ""),
    "start_intents": ("SELECT, INSERT, DELETE", "", "SELECT"),
    "idempotency_keys": ("SELECT, INSERT, UPDATE, DELETE", "", ""),
    "decisions": ("SELECT, INSERT", "", ""),
    "reviews": ("SELECT, INSERT, UPDATE", "", ""),
    "subject_keys": ("SELECT, INSERT, UPDATE", "", ""),
    "kyc_profiles": ("SELECT, INSERT, UPDATE", "", ""),
    "kyc_waiters": ("SELECT, INSERT, UPDATE", "", ""),
    "kyc_verifications": ("SELECT, INSERT, UPDATE", "", ""),
    "callback_events": ("SELECT, INSERT, UPDATE", "", "SELECT, UPDATE"),
    "evidence": ("SELECT, INSERT", "", ""),
    "assessments": ("SELECT, INSERT", "", ""),
    "offer_searches": ("SELECT, INSERT", "", ""),
    "offers": ("SELECT, INSERT, UPDATE", "SELECT, UPDATE", ""),
    "loans": ("SELECT, INSERT", "", ""),
    "settlements": ("SELECT, UPDATE", "SELECT, INSERT, UPDATE", ""),
    "chain_attempts": ("SELECT", "SELECT, INSERT, UPDATE", ""),
    "chain_accounts": ("", "SELECT, INSERT, UPDATE", ""),
    "ledger_entries": ("SELECT, INSERT, UPDATE", "SELECT, INSERT", ""),
    "ledger_postings": ("SELECT, INSERT", "SELECT, INSERT", ""),
    "audit_log": ("SELECT, INSERT", "INSERT", "INSERT"),
    "outbox": ("INSERT", "INSERT", "SELECT, INSERT, UPDATE"),
}

# (table, role, commands) that reach beyond one tenant.
CROSS_TENANT = (
    ("start_intents", "caas_relay", ("SELECT",)),
    ("callback_events", "caas_relay", ("SELECT", "UPDATE")),
    ("outbox", "caas_relay", ("SELECT", "UPDATE")),
    ("settlements", "caas_chain", ("SELECT", "UPDATE")),
    ("chain_attempts", "caas_chain", ("SELECT", "UPDATE")),
    ("chain_accounts", "caas_chain", ("SELECT", "UPDATE")),
)


def upgrade() -> None:
    for role in ROLES:
        op.execute(
            f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') "
            f"THEN CREATE ROLE {role} NOLOGIN; END IF; END $$"
        )
        op.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
        op.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}")
    for table in TABLES:
        _isolate(table)
    for table, role, commands in CROSS_TENANT:
        for command in commands:
            op.execute(
                f"CREATE POLICY {role}_{command.lower()} ON {table} "
                f"FOR {command} TO {role} USING (true)"
            )
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def _isolate(table: str) -> None:
    """One tenant sees and writes its own rows only; without a tenant set, none at all."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    own = "tenant_id = current_setting('app.tenant_id', true)"
    op.execute(f"CREATE POLICY own_tenant ON {table} USING ({own}) WITH CHECK ({own})")
    for role, privileges in zip(ROLES, GRANTS[table], strict=True):
        if privileges:
            op.execute(f"GRANT {privileges} ON {table} TO {role}")


def downgrade() -> None:
    raise NotImplementedError("tenancy is never taken back; restore a backup instead")
