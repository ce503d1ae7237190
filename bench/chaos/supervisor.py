"""Restarts what has ended, as a production supervisor would, and writes down how long it took."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sandbox.services.ports import PortTakenError
from sandbox.services.process import EarlyExitError, ManagedProcess, NotReadyInTimeError
from sandbox.stack import Stack

_LOOK_EVERY_S: Final = 0.05
# A program that ends at once, again and again, is given this long before it is started anew.
_PAUSE_S: Final = 0.3

SERVICES: Final = ("postgres", "temporal", "chain")


@dataclass
class Death:
    """A process that was killed; moments are Unix times, `back_at` is when it was of use again."""

    name: str
    pid: int
    killed_at: float
    back_at: float | None = None

    @property
    def away_s(self) -> float | None:
        """From the kill until its successor polled its queues or answered."""
        return None if self.back_at is None else self.back_at - self.killed_at


class Supervisor:
    """Keeps these processes of a stack running; `environment` is what they are given beside."""

    def __init__(
        self,
        stack: Stack,
        names: Sequence[str],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.stack = stack
        self.deaths: list[Death] = []
        self._names = list(names)
        self._environment = dict(environment or {})
        self._held_until: dict[str, float] = {}
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Supervisor:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        tasks = [self._task, *self._starting.values()]
        for task in tasks[1:]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def process(self, name: str) -> ManagedProcess:
        """The process that bears the name now."""
        match name:
            case "postgres":
                return self.stack.postgres.process
            case "temporal":
                return self.stack.temporal.process
            case "chain":
                return self.stack.chain.process
            case _:
                return self.stack.processes[name]

    def owner_of(self, pid: int) -> str | None:
        """Whose the process is, among the watched ones."""
        for name in self._names:
            with contextlib.suppress(KeyError, RuntimeError):
                if self.process(name).pid == pid:
                    return name
        return None

    async def kill(self, name: str, *, away_s: float = 0.0) -> Death:
        """SIGKILL; it is started again, after `away_s` at the earliest."""
        process = self.process(name)
        death = Death(name, process.pid, time.time())
        self._held_until[name] = time.monotonic() + away_s
        self.deaths.append(death)
        if name == "chain":
            await self.stack.chain.kill()  # which also ends the copying of its state
        else:
            await process.kill()
        return death

    async def settled(self, limit_s: float) -> None:
        """Wait until everything runs and nothing is being started; TimeoutError."""
        async with asyncio.timeout(limit_s):
            while not self._whole():  # noqa: ASYNC110 - processes end without telling
                await asyncio.sleep(_LOOK_EVERY_S)

    def _whole(self) -> bool:
        return not self._starting and all(self.process(name).running for name in self._names)

    async def _watch(self) -> None:
        while True:
            for name in self._names:
                held = time.monotonic() < self._held_until.get(name, 0.0)
                if name in self._starting or held or self.process(name).running:
                    continue
                self._starting[name] = asyncio.create_task(self._revive(name))
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _revive(self, name: str) -> None:
        try:
            await self._start(name)()
            for death in self.deaths:
                if death.name == name and death.back_at is None:
                    death.back_at = time.time()
        except (EarlyExitError, NotReadyInTimeError, PortTakenError):
            await asyncio.sleep(_PAUSE_S)  # killed while it started, or its port is not free yet
        finally:
            del self._starting[name]

    def _start(self, name: str) -> Callable[[], Awaitable[object]]:
        match name:
            case "postgres":
                return self.stack.postgres.start
            case "temporal":
                return self.stack.temporal.start
            case "chain":
                return self.stack.chain.start
            case "api":
                return lambda: self.stack.start_api(self._environment)
            case _:
                return lambda: self.stack.start_worker(name, self._environment)
