"""One run: a fresh stack, everybody arrives, the faults strike, all comes to rest, is checked."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from bench.chaos.crowd import Crowd
from bench.chaos.injection import Injection
from bench.chaos.recovery import recovery_of
from bench.chaos.schedule import Fault, Schedule
from bench.chaos.supervisor import SERVICES, Supervisor
from bench.client_log import ClientLog
from bench.invariants.checks import Verdict, check_all
from bench.invariants.evidence import Evidence
from bench.invariants.flow import TERMINAL
from bench.invariants.gathering import gather
from bench.invariants.rest import at_rest
from sandbox.access import Access
from sandbox.services.state_dir import hold
from sandbox.stack import WORKER_GROUPS, Stack, StackOptions, forget_earlier_run

# A killed anvil forgets up to two seconds of blocks and a reorganisation two more: the depth has to
# be beyond what faults of the schedule may undo, as it has to be anywhere.
CONFIRMATIONS: Final = 8
EXTRA_WORKERS: Final = ("worker-workflows#2", "worker-scoring#2")
_REST_LIMIT_S: Final = 240.0

# What a violated invariant means for a borrower or a lender.
_LOST: Final = ("I3", "I4", "I13", "I14", "I18")
_DOUBLED: Final = ("I1", "I5", "I6", "I7", "I8", "I10", "I11")
_UNBALANCED: Final = ("I2", "I9")
_STUCK: Final = ("I12",)


@dataclass
class Report:
    """What a run showed."""

    seed: str
    applications: int
    faults: int
    took_effect: int
    by_kind: dict[str, str]
    states: dict[str, int]
    otherwise: int
    lost: int
    doubled: int
    unbalanced: int
    stuck: int
    violations: int
    deadlocks: int
    recovery: dict[str, float | int | None]
    elapsed_s: float

    @property
    def clean(self) -> bool:
        """Whether nothing at all was violated."""
        found = (self.lost, self.doubled, self.unbalanced, self.stuck, self.violations)
        return not (any(found) or self.deadlocks)


def say(line: str, /, **facts: Any) -> None:
    """One line of JSON; `line` says what it tells of."""
    print(json.dumps({"line": line, **facts}), flush=True)


async def run(schedule: Schedule, state_dir: Path) -> Report:
    """Play the schedule on a fresh stack in this directory."""
    started = time.monotonic()
    say("seed", seed=schedule.seed)
    for line in schedule.lines():
        say("scheduled", **line)
    with hold(state_dir):
        forget_earlier_run(state_dir)
        options = StackOptions(
            durable=False, headless=True, identity_delay_s=0.2, confirmations=CONFIRMATIONS
        )
        stack = Stack(state_dir, options)
        log = ClientLog(state_dir / "client.jsonl")
        try:
            await stack.start()
            report = await _play(schedule, stack, log)
        finally:
            await stack.stop()
            log.close()
    report.elapsed_s = round(time.monotonic() - started, 1)
    say("report", **asdict(report))
    return report


async def _play(schedule: Schedule, stack: Stack, log: ClientLog) -> Report:
    await asyncio.gather(*(stack.start_worker(name) for name in EXTRA_WORKERS))
    access = Access.read(stack.state_dir)
    watched = ("api", *WORKER_GROUPS, *EXTRA_WORKERS, *SERVICES)
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=50)
    async with (
        httpx.AsyncClient(
            base_url=stack.api_url,
            trust_env=False,
            timeout=30.0,
            limits=limits,
            event_hooks={"response": [log.heard]},
        ) as http,
        Supervisor(stack, watched) as supervisor,
    ):
        crowd, injection = Crowd(stack, http), Injection(stack, supervisor)
        duty = asyncio.create_task(crowd.stand_duty())
        try:
            began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                group.create_task(crowd.arrive(schedule.arrivals, began))
                for fault in schedule.faults:
                    group.create_task(_strike(injection, fault, began))
            await supervisor.settled(_REST_LIMIT_S)
            withdrawn = await crowd.withdraw_what_is_left()
            restless = await at_rest(access, _REST_LIMIT_S)
        finally:
            duty.cancel()
            with suppress(asyncio.CancelledError):
                await duty
        await injection.ask_the_steered()
        for effect in sorted(injection.effects, key=lambda each: each.fault.number):
            say("fault", **asdict(effect))
        say("rest", restless=restless, withdrawn=withdrawn)
        evidence = await gather(access)
        verdicts = await check_all(evidence, access)
        for verdict in verdicts:
            say("invariant", **asdict(verdict))
        return _report(schedule, stack, crowd, injection, supervisor, evidence, verdicts)


async def _strike(injection: Injection, fault: Fault, began: float) -> None:
    await asyncio.sleep(max(0.0, began + fault.at_s - time.monotonic()))
    await injection.strike(fault)


def _report(
    schedule: Schedule,
    stack: Stack,
    crowd: Crowd,
    injection: Injection,
    supervisor: Supervisor,
    evidence: Evidence,
    verdicts: list[Verdict],
) -> Report:
    applications = {row["application_id"]: row for row in evidence.rows("applications")}
    gone = crowd.acknowledged() - applications.keys()
    unfinished = [row for row in applications.values() if row["state"] not in TERMINAL]
    counts = {verdict.invariant: verdict.violations for verdict in verdicts}
    for told in crowd.told:
        if told.state != told.foreseen:
            say("otherwise", **asdict(told))
    for row in unfinished:
        say(
            "unfinished",
            application_id=row["application_id"],
            stage=row["stage"],
            state=row["state"],
        )
    return Report(
        seed=schedule.seed,
        applications=len(applications),
        faults=len(schedule.faults),
        took_effect=sum(effect.took_effect for effect in injection.effects),
        by_kind=_by_kind(injection),
        states=dict(Counter(row["state"] for row in applications.values())),
        otherwise=sum(told.state != told.foreseen for told in crowd.told),
        lost=len(gone) + sum(counts[each] for each in _LOST),
        doubled=sum(counts[each] for each in _DOUBLED),
        unbalanced=sum(counts[each] for each in _UNBALANCED),
        stuck=len(unfinished) + sum(counts[each] for each in _STUCK),
        violations=sum(counts.values()),
        deadlocks=stack.postgres.deadlocks(),
        recovery=recovery_of(supervisor.deaths, evidence.executions).figures(),
        elapsed_s=0.0,
    )


def _by_kind(injection: Injection) -> dict[str, str]:
    """Of each kind of fault, how many took effect of how many tried."""
    tried = Counter(effect.fault.kind for effect in injection.effects)
    worked = Counter(effect.fault.kind for effect in injection.effects if effect.took_effect)
    return {kind: f"{worked[kind]}/{tried[kind]}" for kind in sorted(tried)}
