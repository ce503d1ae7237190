"""Force row-level security on every table, and give each role exactly what its work needs.

`caas_app` serves one tenant at a time (`app.tenant_id`, set per transaction). `caas_chain` signs
and watches for all tenants; `caas_relay` sweeps and publishes for all tenants: both through
explicit policies on the few tables they need.
"""

from __future__ import annotations

from alembic import op

from models.tables.row_security import ROLES, secure

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# table: (caas_app, caas_chain, caas_relay)
GRANTS: dict[str, tuple[str, str, str]] = {
    "applications": ("SELECT, INSERT, UPDATE", "SELECT, UPDATE", ""),
    "start_intents": ("SELECT, INSERT, DELETE", "", "SELECT"),
    "idempotency_keys": ("SELECT, INSERT, UPDATE, DELETE", "", ""),
    "rate_limits": ("SELECT, INSERT, UPDATE, DELETE", "", ""),
    "decisions": ("SELECT, INSERT", "", ""),
    "reviews": ("SELECT, INSERT, UPDATE", "", ""),
    "subject_keys": ("SELECT, INSERT, UPDATE", "", ""),
    "kyc_profiles": ("SELECT, INSERT, UPDATE", "", ""),
    "kyc_waiters": ("SELECT, INSERT, UPDATE", "", ""),
    "kyc_verifications": ("SELECT, INSERT, UPDATE", "", ""),
    "callback_events": ("SELECT, INSERT, UPDATE", "", "SELECT, UPDATE"),
    "information_requests": ("SELECT, INSERT, UPDATE", "", "SELECT, UPDATE"),
    "notices": ("SELECT, INSERT, UPDATE", "", ""),
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
    "audit_log": ("SELECT, INSERT", "INSERT", "SELECT, INSERT"),
    "audit_unsealed": ("INSERT", "INSERT", "SELECT, INSERT, DELETE"),
    "audit_seals": ("", "", "SELECT, INSERT"),
    "outbox": ("SELECT, INSERT", "INSERT", "SELECT, INSERT, UPDATE"),
    "tenants": ("SELECT, INSERT, UPDATE", "", ""),
    "users": ("SELECT, INSERT, UPDATE", "", ""),
    "login_attempts": ("SELECT, INSERT, UPDATE, DELETE", "", ""),
    "invitations": ("SELECT, INSERT, UPDATE", "", ""),
    "sessions": ("SELECT, INSERT, UPDATE, DELETE", "", ""),
    "refresh_tokens": ("SELECT, INSERT, UPDATE, DELETE", "", ""),
    "revocations": ("SELECT, INSERT, UPDATE, DELETE", "", ""),
    "service_accounts": ("SELECT, INSERT", "", ""),
    "api_keys": ("SELECT, INSERT, UPDATE", "", ""),
    "signing_keys": ("SELECT, INSERT, UPDATE", "", ""),
}

# (table, role, commands) that reach beyond one tenant.
CROSS_TENANT = (
    ("start_intents", "caas_relay", ("SELECT",)),
    ("callback_events", "caas_relay", ("SELECT", "UPDATE")),
    ("information_requests", "caas_relay", ("SELECT", "UPDATE")),
    ("outbox", "caas_relay", ("SELECT", "UPDATE")),
    ("audit_log", "caas_relay", ("SELECT",)),
    ("audit_unsealed", "caas_relay", ("SELECT",)),
    ("audit_seals", "caas_relay", ("SELECT",)),
    ("settlements", "caas_chain", ("SELECT", "UPDATE")),
    ("chain_attempts", "caas_chain", ("SELECT", "UPDATE")),
    ("chain_accounts", "caas_chain", ("SELECT", "UPDATE")),
    # Every process honours every tenant's revocations; they are ids and times alone.
    ("revocations", "caas_app", ("SELECT",)),
)

# (table, role, columns): whose a thing is and where it stands, of all tenants; nothing sealed.
DIRECTORY = (
    (
        "applications",
        "caas_relay",
        "tenant_id, application_id, user_id, stage, state, created_at, updated_at",
    ),
)


def upgrade() -> None:
    for role in ROLES:
        op.execute(
            f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') "
            f"THEN CREATE ROLE {role} NOLOGIN; END IF; END $$"
        )
        op.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
        op.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}")
    secure(GRANTS, CROSS_TENANT, DIRECTORY)
    _guard_audit_trail()
    _order_events()


def _guard_audit_trail() -> None:
    """Rows and seals are written once, whoever asks; each new row waits for the sealer."""
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$"
    )
    for table, trigger in (
        ("audit_log", "audit_append_only"),
        ("audit_seals", "seals_append_only"),
    ):
        op.execute(
            f"CREATE TRIGGER {trigger} BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute(
        "CREATE FUNCTION await_seal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO audit_unsealed (audit_seq, tenant_id) VALUES (NEW.seq, NEW.tenant_id) "
        "ON CONFLICT DO NOTHING; RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_awaits_seal AFTER INSERT ON audit_log "
        "FOR EACH ROW EXECUTE FUNCTION await_seal()"
    )


def _order_events() -> None:
    """Events of one key become visible in the order of their numbers, and wake who waits for them.

    A number is drawn before its transaction commits, so without this a later number could be seen
    (and published) first. Whoever writes an event of a key holds that key until it commits, and
    draws the number only then; no writer has to remember anything. Keys stay independent.

    Between keys a later number may still be seen first. `settled_events` tells up to which number
    that is over, for whoever reads on from a number: every writer holds, from before it draws until
    it has ended, a shared lock named by a number below its own. The lock is never waited for; it
    is a mark that ends with the transaction, however that ends.
    """
    op.execute(
        "CREATE FUNCTION order_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM pg_advisory_xact_lock(hashtextextended(NEW.tenant_id || ' ' || NEW.key, 0)); "
        "PERFORM pg_advisory_xact_lock_shared("
        f"{DRAWING_EVENTS}, (drawn_events() & {_LOW_BITS})::int); "
        "NEW.seq := nextval('outbox_seq_seq'); "
        "RETURN NEW; END $$"
    )
    op.execute(
        "CREATE FUNCTION drawn_events() RETURNS bigint LANGUAGE sql VOLATILE AS "
        "$$ SELECT coalesce(pg_sequence_last_value('outbox_seq_seq'), 0) $$"
    )
    op.execute(_SETTLED_EVENTS)
    op.execute(
        "CREATE TRIGGER outbox_in_order BEFORE INSERT ON outbox "
        "FOR EACH ROW EXECUTE FUNCTION order_event()"
    )
    op.execute(
        "CREATE FUNCTION tell_of_event() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_notify('outbox', NEW.tenant_id); RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER outbox_tells AFTER INSERT ON outbox "
        "FOR EACH ROW EXECUTE FUNCTION tell_of_event()"
    )


# First number of the advisory locks of transactions that draw event numbers; the second holds the
# lower bits of a number, which is enough to tell it from those drawn within one transaction.
DRAWING_EVENTS = 7303
_LOW_BITS = 2**31 - 1

# The order of the three steps matters: who draws after the first gets a higher number than it read;
# who drew before it has ended, or its mark is among those read. Whoever reads rows after this sees
# all there will ever be up to `settled`.
_SETTLED_EVENTS = f"""
CREATE FUNCTION settled_events(OUT settled bigint, OUT drawn bigint)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE marks bigint[];
BEGIN
  settled := drawn_events();
  SELECT array_agg(objid::bigint) INTO marks FROM pg_locks
   WHERE locktype = 'advisory' AND classid = {DRAWING_EVENTS} AND objsubid = 2
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
  drawn := drawn_events();
  SELECT least(settled, min(drawn - ((drawn - mark) & {_LOW_BITS}))) INTO settled
    FROM unnest(marks) AS mark;
END $$
"""  # noqa: S608 - numbers of our own


def downgrade() -> None:
    raise NotImplementedError("tenancy is never taken back; restore a backup instead")
