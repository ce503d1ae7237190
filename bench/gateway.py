"""The front door under load, with everything on the machine and the workers at work.

First a steady load, whose latencies count from the moment a request was due, so that a slow answer
does not hide those that waited behind it. Then as many requests as the API answers, see saturation.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import asyncpg
import httpx

from bench.bare_api import TENANT
from bench.driver import Crowd
from bench.figure import Figure
from bench.gateway_load import APPLY, WRITES, Staff, SteadyPlan, drive
from bench.saturation import CPU, Repeat, figures_of, saturate
from bench.stored import quiet
from sandbox.borrower import Borrower, persona
from sandbox.services.state_dir import hold
from sandbox.services.valkey import Valkey
from sandbox.stack import DATABASE, WORKER_GROUPS, Stack, StackOptions, forget_earlier_run
from settings import ROOT

STATE_DIR: Final = ROOT / ".run" / "bench"
STEADY_S: Final = 60.0
SOAK_S: Final = 600.0
PER_S: Final = 200
KNOWN: Final = 40
REPEATS: Final = 9
_TOKENS_VALID_S: Final = 6 * 3600


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


async def measure() -> list[Figure]:
    """Latencies under a steady load, and throughput against the bare endpoint's."""
    return await _measure(STEADY_S, REPEATS)


async def _measure(seconds: float, repeats: int) -> list[Figure]:
    with hold(STATE_DIR):
        forget_earlier_run(STATE_DIR)
        # As production may: workflow code has passed its tests, which always use the sandbox.
        stack = Stack(STATE_DIR, StackOptions(headless=True, workflow_sandbox=False))
        cache = Valkey(STATE_DIR)
        try:
            await _start(stack, cache)
            known = await _known(stack)
            steady = await _steady(stack, cache, known, seconds)
            _tell_steady(steady)
            rounds = await saturate(stack, known, repeats)
        finally:
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
            Figure(f"gateway.cpu.{name}", round(ms / requests, 2), CPU)
            for name, ms in steady.cpu_ms.items()
        ),
    ]
    return [*figures, *figures_of(repeats)] if repeats else figures


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
    told, spent = await drive(plan, processes)
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
