"""Migrations: repeatable, equal to the tables in code, and every table fenced in."""

from __future__ import annotations

import uuid
from typing import Any

import asyncpg
import pytest

from adapters.postgres.database import Database
from adapters.postgres.schema import differences, migrate
from models.domain.errors import Permanent, Unavailable
from sandbox.services.ports import free_port
from tests.adapters.postgres import tenancy

pytestmark = pytest.mark.stack


SHAPE = """
SELECT 'column', table_name, column_name, data_type, is_nullable, column_default
  FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT 'policy', tablename, policyname, cmd, roles::text, qual || coalesce(with_check, '')
  FROM pg_policies
UNION ALL SELECT 'grant', table_name, grantee, privilege_type, '', ''
  FROM information_schema.role_table_grants WHERE table_schema = 'public'
UNION ALL SELECT 'relation', relname, oid::text, relkind::text, relrowsecurity::text,
  relforcerowsecurity::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, tgenabled::text, '', '' FROM pg_trigger
ORDER BY 1, 2, 3, 4, 5, 6
"""


async def test_migrating_again_changes_nothing(lending: Any) -> None:
    before = await lending.rows(SHAPE)
    await migrate(lending.cluster.dsn(lending.name, "owner"))
    assert len(before) > 200
    assert await lending.rows(SHAPE) == before


async def test_an_address_may_say_how_to_encrypt(lending: Any) -> None:
    with pytest.raises(ConnectionError, match="SSL"):  # the sandbox's server speaks none
        await migrate(lending.cluster.dsn(lending.name, "owner") + "?sslmode=require")
    await migrate(lending.cluster.dsn(lending.name, "owner") + "?sslmode=prefer")


async def test_the_tables_in_code_are_the_migrated_ones(lending: Any) -> None:
    assert await differences(lending.cluster.dsn(lending.name, "owner")) == []


async def test_a_difference_would_be_found(lending: Any) -> None:
    await lending.execute("ALTER TABLE outbox ADD COLUMN stray text")
    try:
        assert await differences(lending.cluster.dsn(lending.name, "owner")) != []
    finally:
        await lending.execute("ALTER TABLE outbox DROP COLUMN stray")


async def test_every_table_belongs_to_tenants_and_is_fenced_in(lending: Any) -> None:
    tables = await lending.tables()
    assert set(tables) == set(tenancy.TABLES)
    for table in tables:
        row = (
            await lending.rows(
                "SELECT c.relrowsecurity, c.relforcerowsecurity, a.attnotnull,"
                " (SELECT count(*) FROM pg_policies p WHERE p.tablename = c.relname"
                "  AND p.policyname = 'own_tenant' AND p.permissive = 'PERMISSIVE'"
                "  AND p.roles = '{public}' AND p.cmd = 'ALL'"
                "  AND p.qual = p.with_check) AS policies"
                " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
                " WHERE c.oid = $1::regclass AND a.attname = 'tenant_id'",
                table,
            )
        )[0]
        assert tuple(row) == (True, True, True, 1), table


async def test_grants_are_those_of_the_table_in_the_migration(lending: Any) -> None:
    granted: dict[tuple[str, str], set[str]] = {}
    for row in await lending.rows(
        "SELECT table_name, grantee, privilege_type FROM information_schema.role_table_grants"
        " WHERE table_schema = 'public' AND grantee NOT IN ('caas_owner', 'postgres')"
    ):
        granted.setdefault((row["table_name"], row["grantee"]), set()).add(row["privilege_type"])
    expected = {
        (table, role): set(privileges.split(", "))
        for table, by_role in tenancy.GRANTS.items()
        for role, privileges in zip(tenancy.ROLES, by_role, strict=True)
        if privileges
    }
    assert granted == expected


async def test_nobody_may_rewrite_history(lending: Any) -> None:
    """Decisions, evidence, assessments, loans and postings are written once."""
    for table in (
        "audit_log", "audit_seals", "decisions", "evidence", "assessments", "loans",
        "ledger_postings",
    ):  # fmt: skip
        assert "UPDATE" not in "".join(tenancy.GRANTS[table]), table
        assert "DELETE" not in "".join(tenancy.GRANTS[table]), table


async def test_the_owner_without_a_tenant_sees_no_row(lending: Any) -> None:
    ref = await lending.application()
    owner = await asyncpg.connect(lending.cluster.dsn(lending.name, "owner"))
    try:
        for table in await lending.tables():
            assert await owner.fetchval(f"SELECT count(*) FROM {table}") == 0, table
        await owner.execute("SELECT set_config('app.tenant_id', $1, false)", ref.tenant_id)
        assert await owner.fetchval("SELECT count(*) FROM applications") == 1
    finally:
        await owner.close()


@pytest.mark.parametrize(
    "attributes",
    ["LOGIN BYPASSRLS", "LOGIN SUPERUSER", "LOGIN IN ROLE caas_owner"],
)
async def test_a_role_that_policies_do_not_bind_is_refused(lending: Any, attributes: str) -> None:
    role = f"strong_{uuid.uuid4().hex[:8]}"
    await lending.cluster.administer(f"CREATE ROLE {role} {attributes} PASSWORD 'secret'")
    try:
        with pytest.raises(Permanent) as refused:
            await Database.connect(
                lending.cluster.server.dsn(lending.name, role, "secret"), lending.keyring
            )
        assert refused.value.code == "ROLE_TOO_STRONG"
        # The refused pool is closed: nothing stays connected under that role.
        assert not await lending.value(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = $1", role
        )
    finally:
        await lending.cluster.administer(f"DROP ROLE {role}")


async def test_the_owner_itself_is_refused(lending: Any) -> None:
    with pytest.raises(Permanent) as refused:
        await Database.connect(lending.cluster.dsn(lending.name, "owner"), lending.keyring)
    assert refused.value.code == "ROLE_TOO_STRONG"


async def test_a_database_that_is_not_there_is_unavailable(lending: Any, unused_port: int) -> None:
    with pytest.raises(Unavailable):
        await Database.connect(
            f"postgresql://caas_app:x@127.0.0.1:{unused_port}/caas", lending.keyring, timeout_s=2
        )


@pytest.fixture
def unused_port() -> int:
    return free_port()
