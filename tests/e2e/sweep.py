"""Every failpoint armed at once: whoever arrives first is killed there from outside, and restarted.

Several processes of a role and a stream of applications keep the kills from queueing up.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from bench.invariants.gathering import client_of
from models.domain.failpoints import ENVIRONMENT_VARIABLE, FAILPOINTS
from sandbox.access import Access
from sandbox.journey import Journey, journey_on
from sandbox.persona import read_persona
from sandbox.stack import WORKER_GROUPS, Stack
from settings import ROOT

# The product's processes, by the group of roles each has.
PROCESSES: Mapping[str, str] = {
    "api": "api",
    "worker-workflows": "worker-workflows",
    "worker-workflows#2": "worker-workflows",
    "worker-workflows#3": "worker-workflows",
    "worker-workflows#4": "worker-workflows",
    "worker-scoring": "worker-scoring",
    "worker-scoring#2": "worker-scoring",
    "worker-chain": "worker-chain",
}
# Generous: it only decides how long a failure takes.
LIMIT_S = 900.0
POLL_S = 0.02
# Queue and id of the workflows that are the sweep's own.
DIRECT = "direct"
# The sweeper takes up what is older than 5 s, every 2 s: whoever is to leave it something to do
# stays away for longer.
LEFT_TO_THE_SWEEPER = {"callback.stored": 8.0, "information.stored": 8.0}


class Nursery:
    """The parent's side of nursery.py."""

    def __init__(self, program: asyncio.subprocess.Process) -> None:
        self._program = program
        self._one_at_a_time = asyncio.Lock()

    @staticmethod
    async def open() -> Nursery:
        """Start the program; what it loads is loaded when the first child is asked for."""
        return Nursery(
            await asyncio.create_subprocess_exec(
                sys.executable,
                str(Path(__file__).with_name("nursery.py")),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                cwd=ROOT,
                # The scoring role sets the latter before it loads anything.
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            )
        )

    async def fork(self, order: Mapping[str, Any]) -> int:
        """A child for this order; returns its pid."""
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        async with self._one_at_a_time:
            self._program.stdin.write(json.dumps(order).encode() + b"\n")
            await self._program.stdin.drain()
            return int(await self._program.stdout.readline())

    async def close(self) -> None:
        """End it, and with it every child."""
        assert self._program.stdin is not None
        self._program.stdin.close()
        await self._program.wait()


@dataclass
class Sweep:
    """Keeps the product's processes running, kills whoever has paused, and remembers where."""

    stack: Stack
    nursery: Nursery
    markers: Path
    killed_at: dict[str, str] = field(default_factory=dict)
    _pids: dict[str, int] = field(default_factory=dict)

    @property
    def left(self) -> set[str]:
        """Failpoints nobody has reached yet."""
        return set(FAILPOINTS) - set(self.killed_at)

    async def run(self) -> None:
        """Watch every process until cancelled; all of them end with this."""
        try:
            async with asyncio.TaskGroup() as group:
                for name in PROCESSES:
                    group.create_task(self._keep(name))
        finally:
            for pid in self._pids.values():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    async def all_polling(self) -> None:
        """Wait until every process is there."""
        while len(self._pids) < len(PROCESSES):
            await asyncio.sleep(POLL_S)

    async def _keep(self, name: str) -> None:
        while True:
            pid = self._pids[name] = await self.nursery.fork(self._order(name))
            while _alive(pid):
                if (point := self._paused_at(pid)) is not None:
                    self.killed_at[point] = name
                    os.kill(pid, signal.SIGKILL)
                    await asyncio.sleep(LEFT_TO_THE_SWEEPER.get(point, 0.0))
                await asyncio.sleep(POLL_S)

    def _paused_at(self, pid: int) -> str | None:
        for marker in self.markers.iterdir():
            if marker.name not in self.killed_at and marker.read_text() == str(pid):
                return marker.name
        return None

    def _order(self, name: str) -> dict[str, Any]:
        points = ",".join(f"{point}=pause:{self.markers / point}" for point in FAILPOINTS)
        soon = {"CAAS_WEBHOOKS__RETRY_FIRST_S": "0.2"}
        inherited = {key: text for key, text in os.environ.items() if not key.startswith("CAAS_")}
        group = PROCESSES[name]
        return {
            "program": "api" if group == "api" else "worker",
            "roles": list(WORKER_GROUPS.get(group, ())),
            "port": self.stack.api_port,
            "env": {**inherited, **self.stack.environment(), **soon, ENVIRONMENT_VARIABLE: points},
            "log": str(self.stack.state_dir / "logs" / f"{name}.log"),
        }


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@dataclass
class Crowd:
    """Applicants of several personas, in one tenant, each a person of their own."""

    stack: Stack
    http: httpx.AsyncClient
    ended: list[tuple[Journey, dict[str, Any]]] = field(default_factory=list)
    _number: int = 0

    async def send(self, name: str) -> None:
        """One persona's journey to its ending."""
        self._number += 1
        persona = read_persona(name).as_another("sweep", f"{name[:9]}-{self._number}")
        journey = await journey_on(self.stack, self.http, persona, limit_s=LIMIT_S)
        self.ended.append((journey, await journey.run()))

    async def keep_sending(
        self, name: str, every_s: float, at_most: int, enough: Callable[[], bool]
    ) -> None:
        """Send one after the other until it is enough, with so many under way at most: a machine
        that is slower than they come would have more and more of them, and be slower still."""
        places = asyncio.Semaphore(at_most)

        async def one() -> None:
            try:
                await self.send(name)
            finally:
                places.release()

        async with asyncio.TaskGroup() as group:
            while not enough():
                await places.acquire()
                group.create_task(one())
                await asyncio.sleep(every_s)


@workflow.defn(name="OneActivity")
class OneActivityWorkflow:
    """Has one activity of the product executed: for those that only time or accidents lead to."""

    @workflow.run
    async def run(self, name: str, queue: str, args: list[Any]) -> None:
        await workflow.execute_activity(
            name,
            args=args,
            task_queue=queue,
            start_to_close_timeout=timedelta(seconds=20),
            heartbeat_timeout=timedelta(seconds=2),
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=1)
            ),
        )


async def execute_directly(
    access: Access, tenant: str, calls: Iterable[tuple[str, str, list[Any]]]
) -> None:
    """Have (activity, queue, arguments) executed on the product's own workers."""
    client = await client_of(access)

    async def one(name: str, queue: str, args: list[Any]) -> None:
        workflow_id = f"{DIRECT}/{tenant}/{name}"
        await client.execute_workflow(
            OneActivityWorkflow.run, args=[name, queue, args], id=workflow_id, task_queue=DIRECT
        )

    async with Worker(
        client,
        task_queue=DIRECT,
        workflows=[OneActivityWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        await asyncio.gather(*(one(*call) for call in calls))
