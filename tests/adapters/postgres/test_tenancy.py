"""One tenant's rows are invisible and unwritable for another, in every table, under every role."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from adapters.postgres.database import Database
from tests.adapters.postgres import tenancy

pytestmark = pytest.mark.stack

ROLES = ("app", "chain", "relay")
CROSS = {
    (table, role.removeprefix("caas_"), command)
    for table, role, commands in tenancy.CROSS_TENANT
    for command in commands
}
# Tables of which a role may read some columns of every tenant's rows.
DIRECTORY = {(table, role.removeprefix("caas_"), "SELECT") for table, role, _ in tenancy.DIRECTORY}

# A value of each column type; what a row says does not matter here, only whose it is.
VALUES = {
    "text": "'x'",
    "bigint": "1",
    "numeric": "1",
    "double precision": "0.5",
    "boolean": "true",
    "jsonb": "'{}'",
    "bytea": "'\\x00'",
    "timestamp with time zone": "now()",
}


async def insert_statement(lending: Any, table: str, tenant_id: str) -> str:
    """An INSERT of a row of this tenant, complete for any table; keys are the tenant's own."""
    columns = await lending.rows(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = $1 AND column_name <> 'seq'",
        table,
    )
    names = [column["column_name"] for column in columns]
    values = []
    for column in columns:
        name, kind = column["column_name"], column["data_type"]
        own = name in ("tenant_id", "event_id", "loan_reference", "sender")
        values.append(f"'{tenant_id}'" if own else VALUES[kind])
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(values)})"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def neighbours(lending: Any) -> tuple[str, str]:
    """Two tenants; the first has a row in every table."""
    mine, theirs = lending.tenant(), lending.tenant()
    # Entries first: postings refer to them.
    for table in sorted(await lending.tables(), key=lambda name: name == "ledger_postings"):
        if table != "audit_unsealed":  # the audit row's own trigger has put one there
            await lending.execute(await insert_statement(lending, table, mine))
    return mine, theirs


class AsRole:
    """Statements under a role and tenant, always rolled back."""

    def __init__(self, lending: Any, role: str, tenant_id: str | None) -> None:
        self._dsn, self._tenant_id = lending.cluster.dsn(lending.name, role), tenant_id

    async def __aenter__(self) -> Any:
        self._connection = await asyncpg.connect(self._dsn)
        if self._tenant_id is not None:
            await self._connection.execute(
                "SELECT set_config('app.tenant_id', $1, false)", self._tenant_id
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    async def touched(self, sql: str) -> int | None:
        """How many rows a statement touched; None when it was refused."""
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            return int((await self._connection.execute(sql)).rpartition(" ")[2])
        except asyncpg.InsufficientPrivilegeError:
            return None
        except asyncpg.RaiseError:  # the audit trail's own guard
            return None
        finally:
            await transaction.rollback()


def allowed(table: str, role: str, command: str) -> bool:
    privileges = tenancy.GRANTS[table][tenancy.ROLES.index(f"caas_{role}")]
    return command in privileges.split(", ") or (table, role, command) in DIRECTORY


def expected(table: str, role: str, command: str) -> int | None:
    """Rows a foreign tenant's statement may touch; None when the role may not even ask."""
    if not allowed(table, role, command):
        return None
    return 1 if (table, role, command) in CROSS | DIRECTORY else 0


@pytest.mark.parametrize("role", ROLES)
async def test_a_neighbours_rows_do_not_exist(
    lending: Any, neighbours: tuple[str, str], role: str
) -> None:
    mine, theirs = neighbours
    async with AsRole(lending, role, theirs) as as_them:
        for table in await lending.tables():
            where = f"WHERE tenant_id = '{mine}'"
            reads = await as_them.touched(f"SELECT 1 FROM {table} {where}")
            assert reads == expected(table, role, "SELECT"), (table, "SELECT")
            # An UPDATE needs SELECT for its WHERE; the one without it touches no row either.
            writes = await as_them.touched(f"UPDATE {table} SET tenant_id = tenant_id {where}")
            assert writes == expected(table, role, "UPDATE"), (table, "UPDATE")
            deletes = await as_them.touched(f"DELETE FROM {table} {where}")
            assert deletes == expected(table, role, "DELETE"), (table, "DELETE")


@pytest.mark.parametrize("role", ROLES)
async def test_a_row_cannot_be_written_into_a_neighbours_name(
    lending: Any, neighbours: tuple[str, str], role: str
) -> None:
    mine, theirs = neighbours
    async with AsRole(lending, role, mine) as as_me:
        for table in await lending.tables():
            statement = await insert_statement(lending, table, theirs)
            assert await as_me.touched(statement) is None, table


async def test_a_row_cannot_be_given_to_a_neighbour(
    lending: Any, neighbours: tuple[str, str]
) -> None:
    mine, theirs = neighbours
    async with AsRole(lending, "app", mine) as as_me:
        for table in await lending.tables():
            given = await as_me.touched(f"UPDATE {table} SET tenant_id = '{theirs}'")
            assert given is None, table


@pytest.mark.parametrize("role", ROLES)
async def test_ones_own_rows_are_there(
    lending: Any, neighbours: tuple[str, str], role: str
) -> None:
    """The fence keeps neighbours out, not the tenant: else the tests above would prove nothing."""
    mine, _ = neighbours
    async with AsRole(lending, role, mine) as as_me:
        for table in await lending.tables():
            seen = await as_me.touched(f"SELECT 1 FROM {table} WHERE tenant_id = '{mine}'")
            assert seen == (1 if allowed(table, role, "SELECT") else None), table


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("tenant_id", [None, ""])
async def test_without_a_tenant_only_the_listed_tables_show_rows(
    lending: Any, neighbours: tuple[str, str], role: str, tenant_id: str | None
) -> None:
    async with AsRole(lending, role, tenant_id) as nobody:
        for table in await lending.tables():
            seen = await nobody.touched(f"SELECT 1 FROM {table}")
            assert bool(seen) == ((table, role, "SELECT") in CROSS | DIRECTORY), table


async def test_the_tenant_does_not_stay_on_a_pooled_connection(
    lending: Any, neighbours: tuple[str, str]
) -> None:
    mine, _ = neighbours
    pool = await asyncpg.create_pool(
        lending.cluster.dsn(lending.name, "app"), min_size=1, max_size=1
    )
    try:
        database = Database(pool, lending.keyring, timeout_s=10)
        async with database.transaction(mine) as tx:
            assert await tx.value("SELECT count(*) FROM applications") == 1
        with pytest.raises(RuntimeError):
            async with database.transaction(mine):
                raise RuntimeError("rolled back")
        async with pool.acquire() as connection:
            assert not await connection.fetchval("SELECT current_setting('app.tenant_id', true)")
            assert await connection.fetchval("SELECT count(*) FROM applications") == 0
    finally:
        await pool.close()


@pytest.mark.parametrize("role", [*ROLES, "owner"])
@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"],
)
async def test_the_audit_trail_is_append_only(
    lending: Any, neighbours: tuple[str, str], role: str, statement: str
) -> None:
    async with AsRole(lending, role, neighbours[0]) as someone:
        assert await someone.touched(statement) is None
    assert await lending.value("SELECT count(*) FROM audit_log WHERE actor = 'x'") >= 1


async def test_not_even_a_superuser_rewrites_the_audit_trail_in_passing(
    lending: Any, neighbours: tuple[str, str]
) -> None:
    for statement in ("UPDATE audit_log SET actor = 'y'", "DELETE FROM audit_log"):
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await lending.execute(statement)
