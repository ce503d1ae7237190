"""The embedded PostgreSQL answers, keeps its data across SIGKILL, and leaves nothing behind."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from sandbox.services import linux
from sandbox.services.ports import PortTakenError, free_port
from sandbox.services.postgres import Postgres
from sandbox.services.postgres_account import (
    Installation,
    NoAccountError,
    Way,
    as_nobody_elsewhere,
    as_other_user,
    in_namespace,
)

pytestmark = pytest.mark.stack
ROOT = Path(__file__).resolve().parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change its account")


async def ask(postgres: Postgres, statement: str) -> object:
    connection = await asyncpg.connect(postgres.dsn())
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_data_survive_sigkill_and_restart_and_no_process_stays(tmp_path: Path) -> None:
    postgres = Postgres(tmp_path)
    await postgres.start()
    try:
        first_dsn = postgres.dsn()
        await ask(postgres, "CREATE TABLE loans (id int)")
        await ask(postgres, "INSERT INTO loans VALUES (7)")
        busy = await asyncpg.connect(postgres.dsn())
        sleeping = asyncio.create_task(busy.execute("SELECT pg_sleep(600)"))
        await asyncio.sleep(0.1)
        server = linux.seen(postgres.process.pid)
        assert server is not None
        members = linux.family(server)
        await postgres.kill()
        assert len(members) > 3  # the server, its writers and the sleeping backend
        assert not any(linux.is_alive(member) for member in members)
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await sleeping
        await postgres.start()
        assert postgres.dsn() == first_dsn
        assert await ask(postgres, "SELECT id FROM loans") == 7
        await postgres.restart()
        assert await ask(postgres, "SELECT id FROM loans") == 7
        server = linux.seen(postgres.process.pid)
        assert server is not None
        members = linux.family(server)
    finally:
        await postgres.stop()
    assert not any(linux.is_alive(member) for member in members)


async def test_encoding_locale_and_doors_are_as_promised(tmp_path: Path) -> None:
    postgres = Postgres(tmp_path, durable=False)
    await postgres.start()
    try:
        assert await ask(postgres, "SHOW server_encoding") == "UTF8"
        assert await ask(postgres, "SELECT datcollate FROM pg_database LIMIT 1") == "C"
        assert await ask(postgres, "SHOW listen_addresses") == "127.0.0.1"
        assert await ask(postgres, "SHOW unix_socket_directories") == ""
        assert await ask(postgres, "SHOW fsync") == "off"
        await ask(postgres, "CREATE EXTENSION pgcrypto")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(postgres.dsn(password="a guess"))
    finally:
        await postgres.stop()


async def test_another_supervisor_finds_the_same_cluster(tmp_path: Path) -> None:
    first = Postgres(tmp_path, durable=False)
    await first.start()
    await ask(first, "CREATE DATABASE loans")
    await first.stop()
    second = Postgres(tmp_path, durable=False)
    await second.start()
    try:
        statement = "SELECT count(*) FROM pg_database WHERE datname = 'loans'"
        assert await ask(second, statement) == 1
    finally:
        await second.stop()


async def test_a_taken_port_is_refused_before_anything_starts(tmp_path: Path) -> None:
    port = free_port()
    taker = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", port)
    async with taker:
        with pytest.raises(PortTakenError, match="CAAS_POSTGRES_PORT"):
            await Postgres(tmp_path, port=port).start()
    assert not (tmp_path / "postgres").exists()


async def test_dies_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys, time; from pathlib import Path\n"
        "from sandbox.services.postgres import Postgres\n"
        "p = Postgres(Path(sys.argv[1])); asyncio.run(p.start())\n"
        "print(p.process.pid, flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as supervisor:
        assert supervisor.stdout is not None
        server = linux.seen(int(supervisor.stdout.readline()))
        assert server is not None
        members = linux.family(server)
        supervisor.kill()
    async with asyncio.timeout(60):
        while any(linux.is_alive(member) for member in members):
            await asyncio.sleep(0.05)


@as_root
@pytest.mark.parametrize("way", [in_namespace, as_nobody_elsewhere])
async def test_root_has_a_way_in_a_directory_only_root_can_read(tmp_path: Path, way: Way) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    chosen: list[Installation | None] = []

    def noting(bin_dir: Path, home: Path) -> Installation | None:
        chosen.append(way(bin_dir, home))
        return chosen[-1]

    postgres = Postgres(closed, durable=False, ways=[noting])
    await postgres.start()
    try:
        assert await ask(postgres, "SELECT 1") == 1
    finally:
        await postgres.stop()
    [installation] = chosen
    assert installation is not None
    assert installation.home.exists() == (installation.removed_on_stop is None)


@as_root
async def test_root_becomes_another_user_where_that_one_can_read(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tmp_path_factory.getbasetemp()
    for directory in (tmp_path, *tmp_path.parents):
        if directory.is_relative_to(base):
            directory.chmod(0o755)
    postgres = Postgres(tmp_path, durable=False, ways=[as_other_user])
    if any(not os.stat(directory).st_mode & 0o001 for directory in base.parents):
        with pytest.raises(NoAccountError, match="run as a normal user"):
            await postgres.start()
        return
    await postgres.start()
    try:
        assert await ask(postgres, "SELECT 1") == 1
        assert os.stat(f"/proc/{postgres.process.pid}").st_uid != 0
    finally:
        await postgres.stop()
