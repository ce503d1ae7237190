"""The front door under load, with everything on the machine and the workers at work.

First a steady load, whose latencies count from the moment a request was due, so that a slow answer
does not hide those that waited behind it. Then as many requests as the API answers, against a bare
endpoint that does the same transaction: one right after the other in each repeat, and the repeat
with the median ratio speaks for all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from typing import Any, Final

import asyncpg
import httpx

from bench.bare_api import TENANT, URL_VARIABLE
from bench.driver import Crowd
from bench.figure import Figure
from bench.gateway_load import (
    APPLY,
    PATH,
    WRITES,
    Plan,
    SaturatedPlan,
    Staff,
    SteadyPlan,
    document_of,
    follow_request,
)
from bench.processor import cpu_ms
from bench.stored import quiet
from sandbox.borrower import Borrower, persona
from sandbox.services.ports import claim_port
from sandbox.services.process import ManagedProcess
from sandbox.services.state_dir import hold
from sandbox.services.valkey import Valkey
from sandbox.stack import DATABASE, WORKER_GROUPS, Stack, StackOptions, forget_earlier_run
from settings import ROOT

STATE_DIR: Final = ROOT / ".run" / "bench"
STEADY_S: Final = 60.0
SOAK_S: Final = 600.0
PER_S: Final = 200
KNOWN: Final = 40
REPEATS: Final = 3
CONCURRENCY: Final = 16
SATURATED_S: Final = 8.0
_TOKENS_VALID_S: Final = 6 * 3600
_START_LIMIT_S: Final = 60.0
_CPU: Final = "CPU-ms/request"


@dataclass(frozen=True)
class Steady:
    """What came of the steady load; processor time is the window's, by process."""

    latencies_ms: Mapping[str, Sequence[float]]
    errors: int
    late_ms: float
    own_share: float  # of one core, what the load generator took
    cpu_ms: Mapping[str, float]

    def p99_ms(self, kinds: Callable[[str], bool]) -> float:
        """The 99th percentile over some kinds of requests."""
        of_kinds = [each for kind, of in self.latencies_ms.items() if kinds(kind) for each in of]
        return round(statistics.quantiles(of_kinds, n=100)[98], 1)


@dataclass(frozen=True)
class Saturated:
    """How many requests a second were answered, and what each cost the process that answers."""

    rate: float
    cpu_ms: float
    own_share: float


@dataclass(frozen=True)
class Repeat:
    """One round of all three."""

    bare: Saturated
    by_hand: Saturated
    gateway: Saturated


async def measure() -> list[Figure]:
    """Latencies under a steady load, and throughput against the bare endpoint's."""
    return await _measure(STEADY_S, REPEATS)


async def _measure(seconds: float, repeats: int) -> list[Figure]:
    with hold(STATE_DIR):
        forget_earlier_run(STATE_DIR)
        # As production may: workflow code has passed its tests, which always use the sandbox.
        stack = Stack(STATE_DIR, StackOptions(headless=True, workflow_sandbox=False))
        cache, bare = Valkey(STATE_DIR), None
        try:
            await _start(stack, cache)
            known = await _known(stack)
            steady = await _steady(stack, cache, known, seconds)
            _tell_steady(steady)
            bare = await _bare(stack)
            rounds = [await _repeat(stack, bare, known, number) for number in range(repeats)]
        finally:
            if bare is not None:
                await bare.process.terminate()
            await stack.stop()
            await cache.stop()
    return _figures(steady, rounds)


def _figures(steady: Steady, repeats: Sequence[Repeat]) -> list[Figure]:
    requests = sum(map(len, steady.latencies_ms.values()))
    figures = [
        Figure("gateway.read_p99_ms", steady.p99_ms(lambda kind: kind not in WRITES), "ms"),
        Figure("gateway.write_p99_ms", steady.p99_ms(lambda kind: kind in WRITES), "ms"),
        Figure("gateway.apply_p99_ms", steady.p99_ms(lambda kind: kind == APPLY), "ms"),
        Figure("gateway.errors", steady.errors, f"of {requests} requests"),
        *(
            Figure(f"gateway.cpu.{name}", round(ms / requests, 2), _CPU)
            for name, ms in steady.cpu_ms.items()
        ),
    ]
    if not repeats:
        return figures
    return [
        *figures,
        *_against(repeats, "", lambda each: each.bare),
        # What is left to be had, and no goal: an endpoint without a framework's comforts.
        *_against(repeats, "_by_hand", lambda each: each.by_hand),
    ]


def _against(
    repeats: Sequence[Repeat], name: str, baseline: Callable[[Repeat], Saturated]
) -> list[Figure]:
    """Rate and cost of the repeat with the median ratio of rates."""
    ratios = {each.gateway.rate / baseline(each).rate: each for each in repeats}
    ratio = statistics.median_low(ratios)
    ours, theirs = ratios[ratio].gateway, baseline(ratios[ratio])
    return [
        Figure(
            f"gateway.rate{name}", round(ours.rate, 1), "requests/s", round(theirs.rate, 1),
            round(ratio, 3),
        ),
        Figure(
            f"gateway.cpu{name}", round(ours.cpu_ms, 3), _CPU, round(theirs.cpu_ms, 3),
            round(theirs.cpu_ms / ours.cpu_ms, 3),
        ),
    ]  # fmt: skip


async def _start(stack: Stack, cache: Valkey) -> None:
    await asyncio.gather(stack.start_surroundings(), cache.start())
    extra = {"CAAS_CACHE__URL": cache.url}
    await asyncio.gather(stack.start_api(extra), *map(stack.start_worker, WORKER_GROUPS))


async def _known(stack: Stack) -> list[tuple[str, str]]:
    """Applications that have offers already: what most pages show."""
    crowd, at = _crowd(stack, "known", KNOWN), stack.deployment
    assert at is not None
    async with httpx.AsyncClient(base_url=stack.api_url, trust_env=False, timeout=60.0) as http:
        people = [
            Borrower.of(http, {**crowd.persona, "user_id": user_id}, stack.seed, at, token)
            for user_id, token in crowd.people
        ]
        known = [(await person.apply(), person.token) for person in people]
    await quiet(stack)
    return known


async def _steady(
    stack: Stack, cache: Valkey, known: list[tuple[str, str]], seconds: float
) -> Steady:
    applications = round(PER_S * (seconds + 10) / 100)
    staff = Staff(
        stack.token("ulla", TENANT, "underwriter", ttl_s=_TOKENS_VALID_S),
        stack.token("adam", TENANT, "tenant_admin", ttl_s=_TOKENS_VALID_S),
    )
    plan = SteadyPlan(_crowd(stack, "steady", applications), staff, known, PER_S, seconds)
    processes = {process.name: process for process in [*stack.managed(), cache.process]}
    told, spent = await _drive(plan, processes)
    lost = await _lost(stack, told["accepted"])
    for what, times in told["unexpected"].items():
        print(f"unexpected, {times} times: {what}", file=sys.stderr, flush=True)
    if lost:
        print(f"accepted and never offered anything: {lost}", file=sys.stderr, flush=True)
    errors = sum(told["unexpected"].values()) + lost
    share = told["own_cpu_s"] / seconds
    return Steady(told["latencies_ms"], errors, told["late_ms"], share, spent)


async def _lost(stack: Stack, accepted: Sequence[str]) -> int:
    """How many accepted applications did not come to an offer, as this person's all do."""
    await quiet(stack)
    connection = await asyncpg.connect(stack.postgres.dsn(DATABASE))
    try:
        offered: int = await connection.fetchval(
            "SELECT count(*) FROM applications WHERE state = 'offered'"
            " AND application_id = ANY($1::text[])",
            accepted,
        )
    finally:
        await connection.close()
    return len(accepted) - offered


@dataclass(frozen=True)
class Bare:
    """The baseline's process."""

    url: str
    process: ManagedProcess


async def _bare(stack: Stack) -> Bare:
    port = claim_port(None, "")
    process = ManagedProcess(
        "bare", [sys.executable, "-m", "bench.bare_api", str(port)], state_dir=STATE_DIR, cwd=ROOT,
        env={URL_VARIABLE: stack.database_url("app")},
    )  # fmt: skip
    bare = Bare(f"http://127.0.0.1:{port}", process)
    await process.start()

    async def answers() -> bool:
        try:
            async with httpx.AsyncClient(trust_env=False) as http:
                absent = await http.get(f"{bare.url}/bare/none", timeout=2.0)
        except httpx.HTTPError:
            return False
        return absent.status_code == httpx.codes.NOT_FOUND

    await process.ready(answers, _START_LIMIT_S)
    return bare


async def _repeat(
    stack: Stack, bare: Bare, known: Sequence[tuple[str, str]], number: int
) -> Repeat:
    paths = {"bare": "/bare", "by_hand": "/by-hand", "gateway": PATH}
    await _same_answers(
        known[0], {f"{_at(stack, bare, name)}{path}" for name, path in paths.items()}
    )
    rates = {}
    for name, path in paths.items():
        requests = [follow_request(*each, path) for each in known]
        process = stack.processes["api"] if name == "gateway" else bare.process
        each = rates[name] = await _saturated(_at(stack, bare, name), requests, process)
        load = " ".join(f"{load:.1f}" for load in os.getloadavg())
        print(
            f"repeat {number + 1} {name}: {each.rate:.0f}/s, {each.cpu_ms:.3f} CPU-ms, "
            f"the load generator {each.own_share:.0%} of a core; load average {load}",
            file=sys.stderr, flush=True,
        )  # fmt: skip
    return Repeat(**rates)


def _at(stack: Stack, bare: Bare, name: str) -> str:
    return stack.api_url if name == "gateway" else bare.url


async def _same_answers(known: tuple[str, str], places: Set[str]) -> None:
    """All answer the same document; RuntimeError if they do not."""
    application_id, token = known
    shown = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(trust_env=False, headers=shown) as http:
        answers = [(await http.get(f"{place}/{application_id}")).json() for place in places]
    if any(each != answers[0] for each in answers):
        raise RuntimeError("a baseline answers another document")


async def _saturated(url: str, requests: list[str], process: ManagedProcess) -> Saturated:
    plan = SaturatedPlan(url, requests, CONCURRENCY, SATURATED_S)
    told, spent = await _drive(plan, {"process": process})
    answered = told["statuses"].pop("200", 0)
    if told["statuses"]:
        raise RuntimeError(f"some were not answered: {told['statuses']}")
    seconds = told["seconds"]
    return Saturated(answered / seconds, spent["process"] / answered, told["own_cpu_s"] / seconds)


async def _drive(
    plan: Plan, processes: Mapping[str, ManagedProcess]
) -> tuple[dict[str, Any], dict[str, float]]:
    """Run a plan in a process of its own; what it told, and processor time between its marks."""
    load = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.gateway_load", cwd=ROOT, limit=2**26,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert load.stdin is not None
    assert load.stdout is not None
    load.stdin.write(json.dumps(document_of(plan)).encode())
    load.stdin.close()
    marks: list[dict[str, float]] = []
    told: dict[str, Any] = {}
    try:
        async for line in load.stdout:
            told = json.loads(line)
            if "mark" in told:
                marks.append(cpu_ms(processes))
        if await load.wait():
            raise RuntimeError("the load generator failed; see what it said above")
    finally:
        if load.returncode is None:
            load.kill()
            await load.wait()
    before, after = marks
    return told, {name: after[name] - before[name] for name in before}


def _crowd(stack: Stack, name: str, count: int) -> Crowd:
    """Persons of one tenant who state the same, with ids and wallets of their own."""
    assert stack.deployment is not None
    data = {**persona("approved"), "tenant": TENANT}
    ids = [f"person-{name}-{number}" for number in range(count)]
    people = [
        (user_id, stack.token(user_id, TENANT, "applicant", ttl_s=_TOKENS_VALID_S))
        for user_id in ids
    ]
    return Crowd(stack.api_url, stack.seed.hex(), asdict(stack.deployment), data, people)


def _tell_steady(steady: Steady) -> None:
    """The steady load on stderr, with the machine's load: ratios travel, figures do not."""
    for kind, latencies_ms in sorted(steady.latencies_ms.items()):
        cuts = statistics.quantiles(latencies_ms, n=100)
        print(
            f"{kind}: {len(latencies_ms)} requests, p50 {cuts[49]:.1f}, p90 {cuts[89]:.1f}, "
            f"p99 {cuts[98]:.1f}, most {max(latencies_ms):.1f} ms",
            file=sys.stderr, flush=True,
        )  # fmt: skip
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    print(
        f"sent up to {steady.late_ms:.1f} ms late; the load generator took {steady.own_share:.0%} "
        f"of a core; load average {load}",
        file=sys.stderr, flush=True,
    )  # fmt: skip


def main() -> None:
    """The steady load alone, for longer: `make soak`; exits 1 on any error."""
    parser = argparse.ArgumentParser(prog="bench.gateway", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SOAK_S)
    given = parser.parse_args()
    figures = asyncio.run(_measure(given.seconds, repeats=0))
    for figure in figures:
        print(figure.line(), flush=True)
    errors = next(figure.value for figure in figures if figure.name == "gateway.errors")
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
