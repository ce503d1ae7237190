"""One child process under supervision: started, watched, stopped as a whole, never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sandbox.services import linux
from sandbox.services.ports import PortTakenError, claim_port, free_port
from sandbox.services.state_dir import (
    RUN_ID,
    RUN_ID_VARIABLE,
    DiskFullError,
    Record,
    StateDirBusyError,
    cleanup_stale,
    ensure_disk_space,
    hold,
)

__all__ = [
    "RUN_ID",
    "Account",
    "DiskFullError",
    "EarlyExitError",
    "ManagedProcess",
    "NotReadyInTimeError",
    "PortTakenError",
    "StateDirBusyError",
    "claim_port",
    "cleanup_stale",
    "ensure_disk_space",
    "free_port",
    "hold",
]

_BOUND_EXEC = Path(__file__).with_name("bound_exec.py")
_POLL_S = 0.02
_WATCH_S = 0.25
_STRAGGLER_GRACE_S = 1.0  # children of a process that ended in order have this long to follow
_KILL_LIMIT_S = 10.0  # SIGKILL is not refused; a process may still wait for a hanging disk

Result = TypeVar("Result")


class EarlyExitError(Exception):
    """The process ended by itself while it was needed; the message ends with its last words."""


class NotReadyInTimeError(Exception):
    """The process runs but did not answer in time; the message ends with its last words."""


@dataclass(frozen=True)
class Account:
    """As whom a process runs: through a wrapper command, or under another user and group id."""

    wrapper: tuple[str, ...] = ()
    user_and_group: tuple[int, int] | None = None


class ManagedProcess:
    """A child in its own session that dies with us, logs to a file and is written down on disk.

    Files, all under `state_dir`: `logs/<name>.log` and `processes/<name>.json`. `env` is added to
    the inherited environment, or is all of it with `inherit_env=False`. Start it from the main
    thread: the kernel ends the child when the *thread* that started it ends.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        state_dir: Path,
        env: Mapping[str, str] | None = None,
        inherit_env: bool = True,
        cwd: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace_s: float = 10.0,
        account: Account | None = None,
    ) -> None:
        self.name = name
        self.argv = list(argv)
        self.state_dir = state_dir
        self.log_path = state_dir / "logs" / f"{name}.log"
        self._env = {**(os.environ if inherit_env else {}), **(env or {}), RUN_ID_VARIABLE: RUN_ID}
        self._cwd = cwd
        self._stop_signal = stop_signal
        self._grace_s = grace_s
        self._account = account or Account()
        self._child: subprocess.Popen[bytes] | None = None
        self._leader: linux.Seen | None = None
        self._log_start = 0

    @property
    def pid(self) -> int:
        """The pid of the running or last process; raises RuntimeError if it was never started."""
        if self._child is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the process itself is alive."""
        return self._child is not None and self._child.poll() is None

    @property
    def returncode(self) -> int | None:
        """Its exit code, minus the signal's number if one ended it; None while it runs."""
        return None if self._child is None else self._child.poll()

    async def start(self) -> None:
        """Start the process; does not wait until it is of use, see `ready`."""
        if self.running:
            raise RuntimeError(f"{self.name} is already running (pid {self.pid})")
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        who = self._account.user_and_group
        command = [*self._account.wrapper, sys.executable, "-I", "-S", "-B", str(_BOUND_EXEC)]
        command += [str(os.getpid()), f"{who[0]}:{who[1]}" if who else "-", *self.argv]
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )
        self._leader = linux.seen(self._child.pid)
        assert self._leader is not None  # it cannot vanish before the first poll reaps it
        record = Record(self.name, self._leader.pid, self._leader.start_ticks, RUN_ID)
        record.write(self.state_dir)

    async def ready(self, probe: Callable[[], Awaitable[bool]], timeout_s: float) -> None:
        """Wait until `probe` says yes.

        Raises:
            EarlyExitError: the process ended first.
            NotReadyInTimeError: it did not say yes within `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            if not self.running:
                raise self.early_exit()
            if await probe():
                return
            if time.monotonic() > deadline:
                raise NotReadyInTimeError(
                    f"{self.name} did not answer within {timeout_s:g} s{self._last_words()}"
                )
            await asyncio.sleep(_POLL_S)

    def early_exit(self) -> EarlyExitError:
        """The error that tells with which code it ended, its log file and its last words."""
        return EarlyExitError(f"{self.name} ended with code {self.returncode}{self._last_words()}")

    async def wait_exit(self, timeout_s: float) -> int:
        """Its exit code once it ends by itself; raises TimeoutError if it does not."""
        deadline = time.monotonic() + timeout_s
        while self.running:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} still runs after {timeout_s:g} s")
            await asyncio.sleep(_POLL_S)
        self._forget()
        code = self.returncode
        return code if code is not None else 0

    async def terminate(self) -> None:
        """Ask it to stop, insist after the grace period, and wait until all of it has gone."""
        members = self._members()
        if self._leader is not None and self.running:
            linux.send(self._leader, self._stop_signal)
            await self._gone_within([self._leader], self._grace_s)
        if not self.running:
            await self._gone_within(members, _STRAGGLER_GRACE_S)
        await self._end(members)

    async def kill(self) -> None:
        """SIGKILL, as an outside force would, to it and all its descendants; waits for the end."""
        await self._end(self._members())

    def log_tail(self, lines: int = 20) -> str:
        """The last lines it wrote since its last start."""
        if not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])

    def _members(self) -> list[linux.Seen]:
        """Everyone who must go with it, itself first if it still runs."""
        return [] if self._leader is None else linux.family(self._leader)

    async def _end(self, members: list[linux.Seen]) -> None:
        """Kill these and whoever they started meanwhile, and reap the child."""
        deadline = time.monotonic() + _KILL_LIMIT_S
        while alive := [m for m in {*members, *self._members()} if linux.is_alive(m)]:
            if time.monotonic() > deadline:
                pids = sorted(member.pid for member in alive)
                raise RuntimeError(f"{self.name}: processes {pids} survived SIGKILL")
            for member in alive:
                linux.send(member, signal.SIGKILL)
            await self._gone_within(alive, _POLL_S)
        self._forget()

    async def _gone_within(self, members: list[linux.Seen], timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while any(linux.is_alive(member) for member in members):
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    def _forget(self) -> None:
        """Reap the child and strike it from the directory's list."""
        if self._child is not None:
            self._child.wait()
        Record.remove(self.state_dir, self.name)

    def _last_words(self) -> str:
        tail = self.log_tail()
        return f"; its log ({self.log_path}) " + (f"ends:\n{tail}" if tail else "says nothing")


async def while_running(
    processes: Callable[[], Sequence[ManagedProcess]], work: Coroutine[Any, Any, Result]
) -> Result:
    """The result of `work`, which needs all of `processes`; they are asked for at every look.

    Raises:
        EarlyExitError: one of them ended by itself. `work` is cancelled; if it failed first, that
            was the consequence, and its error is this one's cause.
    """
    task = asyncio.ensure_future(work)
    try:
        while True:
            done, _ = await asyncio.wait({task}, timeout=_WATCH_S)
            failure = task.exception() if done else None
            if failure is not None:
                # A dying process closes its connections a little before it can be seen to end.
                await asyncio.sleep(_WATCH_S)
            ended = [process for process in processes() if not process.running]
            if ended and (failure is not None or not done):
                raise ended[0].early_exit() from failure
            if done:
                return task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})
