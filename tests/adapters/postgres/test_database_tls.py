"""PostgreSQL by TLS, as an address may ask for it, against a real server that speaks it."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from adapters.postgres.database import Database
from adapters.postgres.schema import migrate
from adapters.vault import Keyring, new_key
from models.domain.errors import CreditError
from sandbox.services.postgres import Postgres
from sandbox.services.state_dir import hold
from settings import ROOT
from tests.certificates import Authority

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.found(tmp_path_factory.mktemp("tls") / "ours", "ours")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def speaking_tls(ours: Authority) -> AsyncIterator[Postgres]:
    """A migrated database on a server with a certificate of ours."""
    state = ROOT / ".run" / f"database-tls-{os.getpid()}"
    with hold(state):
        server = Postgres(state, durable=False)
        try:
            await server.start()
            administrator = await asyncpg.connect(server.dsn())
            for name, path in zip(("server.crt", "server.key"), ours.sign("db"), strict=True):
                text = base64.b64encode(path.read_bytes()).decode()
                program = f"base64 -d > {name} && chmod 600 {name}"
                await administrator.execute(f"COPY (SELECT '{text}') TO PROGRAM '{program}'")
            await administrator.execute("ALTER SYSTEM SET ssl = on")
            await administrator.execute("SELECT pg_reload_conf()")
            await administrator.execute("CREATE ROLE caas_owner LOGIN CREATEROLE PASSWORD 'o'")
            await administrator.execute("CREATE DATABASE caas OWNER caas_owner")
            await migrate(
                server.dsn("caas", "caas_owner", "o")
                + f"?sslmode=verify-full&sslrootcert={ours.path}"
            )
            await administrator.execute("ALTER ROLE caas_app LOGIN PASSWORD 'a'")
            await administrator.close()
            yield server
        finally:
            await server.stop()
    shutil.rmtree(state, ignore_errors=True)


async def test_a_server_that_is_known_is_spoken_to(speaking_tls: Postgres, ours: Authority) -> None:
    address = speaking_tls.dsn("caas", "caas_app", "a")
    database = await Database.connect(
        f"{address}?sslmode=verify-full&sslrootcert={ours.path}", Keyring({"v1": new_key()})
    )
    async with database.transaction("acme") as tx:
        version = await tx.value("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    await database.close()
    assert version == "TLSv1.3"


async def test_a_server_that_is_not_known_is_not(
    speaking_tls: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Authority.found(tmp_path_factory.mktemp("tls") / "other", "other")
    address = speaking_tls.dsn("caas", "caas_app", "a")
    with pytest.raises((CreditError, OSError)):
        await Database.connect(
            f"{address}?sslmode=verify-full&sslrootcert={other.path}",
            Keyring({"v1": new_key()}),
            timeout_s=5,
        )
