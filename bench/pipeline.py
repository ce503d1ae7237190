"""The whole stack under load, against the textbook workflow on the same server in the same call.

One stack with a fresh database carries all repeats; in each repeat the baseline comes first and
the pipeline right after it, so that both meet the machine in the same mood. A window opens when as
many as are under way have ended (everything is warm, the load is steady) and closes so many endings
later, while the load still goes on. Both windows last about forty seconds: a server pays for a
workflow for ten seconds after its end, when the timeouts of its tasks come due, and a window
of ten would not see that. The repeat with the median ratio is reported.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from bench.driver import Crowd, LoansPlan, Plan, StartsPlan, TextbookPlan, document_of
from bench.figure import Figure
from bench.processor import cpu_ms
from bench.stored import quiet, store_up_to
from sandbox.borrower import persona
from sandbox.services.deployment import deploy
from sandbox.services.process import ManagedProcess
from sandbox.services.state_dir import hold
from sandbox.stack import Stack, StackOptions, forget_earlier_run
from sandbox.wallets import DEVELOPMENT_DEPLOYER_KEY
from settings import ROOT

STATE_DIR: Final = ROOT / ".run" / "bench"
REPEATS: Final = 3
CONCURRENCY: Final = 50
MEASURED: Final = 200
TEXTBOOK_MEASURED: Final = 800
STARTS: Final = 300
STARTS_PER_S: Final = 20.0
STORED: Final = 5_000
LIMIT_S: Final = 1_800.0
_PER_S: Final = "applications/s"
_CPU: Final = "CPU-ms/application"
# Every loan of a run is paid by one lender.
PRINCIPAL_UNITS: Final = 10**9 * 10**6


@dataclass(frozen=True)
class Window:
    """What happened between two endings: how many ended, for how long, at what cost."""

    ended: int
    seconds: float
    cpu_ms: dict[str, float]

    @property
    def rate(self) -> float:
        """Endings per second."""
        return self.ended / self.seconds

    @property
    def cpu(self) -> float:
        """CPU-ms per ending, over all processes."""
        return sum(self.cpu_ms.values()) / self.ended


@dataclass(frozen=True)
class Repeat:
    """One round of everything."""

    textbook: Window
    fresh: Window
    known: Window
    start_p99_ms: float


async def measure() -> list[Figure]:
    """Rate and cost of an application, and the latency of taking one."""
    with hold(STATE_DIR):
        forget_earlier_run(STATE_DIR)
        # As production may: workflow code has passed its tests, which always use the sandbox.
        # The chain is not saved: it would write all of its history, every second more of it.
        options = StackOptions(headless=True, workflow_sandbox=False, chain_saved=False)
        stack = Stack(STATE_DIR, options)
        textbook: ManagedProcess | None = None
        try:
            await stack.start()
            await _furnish(stack)
            textbook = await _textbook_worker(stack)
            repeats = [await _repeat(stack, textbook, number) for number in range(REPEATS)]
            await store_up_to(stack, STORED)
            full = await _loans(stack, _crowd(stack, "full"))
        finally:
            if textbook is not None:
                await textbook.terminate()
            await stack.stop()
    return _figures(repeats, full)


def _figures(repeats: Sequence[Repeat], full: Window) -> list[Figure]:
    first = repeats[0].fresh
    start_p99_ms = statistics.median(each.start_p99_ms for each in repeats)
    return [
        _against(repeats, "pipeline.rate", _PER_S, lambda r: (r.fresh.rate, r.textbook.rate)),
        _against(repeats, "pipeline.cpu", _CPU, lambda r: (r.fresh.cpu, r.textbook.cpu)),
        _against(repeats, "pipeline.rate_known", _PER_S, lambda r: (r.known.rate, r.textbook.rate)),
        _against(repeats, "pipeline.cpu_known", _CPU, lambda r: (r.known.cpu, r.textbook.cpu)),
        Figure("pipeline.start_p99_ms", round(start_p99_ms, 1), "ms"),
        # Against the same with about a hundred applications stored.
        Figure(
            f"pipeline.cpu_at_{STORED}", round(full.cpu, 1), _CPU, round(first.cpu, 1),
            round(first.cpu / full.cpu, 3),
        ),
        *(Figure(f"pipeline.cpu.{name}", ms, _CPU) for name, ms in _by_process(repeats).items()),
    ]  # fmt: skip


def _by_process(repeats: Sequence[Repeat]) -> dict[str, float]:
    """CPU-ms per application of each process."""
    windows = [each.fresh for each in repeats]
    return {
        name: round(statistics.median(each.cpu_ms[name] / each.ended for each in windows), 1)
        for name in windows[0].cpu_ms
    }


def _against(
    repeats: Sequence[Repeat], name: str, unit: str, pair: Callable[[Repeat], tuple[float, float]]
) -> Figure:
    """The repeat with the median ratio to its own baseline; the ratio is higher for the better."""
    ratios = {
        (baseline / value if unit == _CPU else value / baseline): (value, baseline)
        for value, baseline in map(pair, repeats)
    }
    ratio = statistics.median_low(ratios)
    value, baseline = ratios[ratio]
    return Figure(name, round(value, 2), unit, round(baseline, 2), round(ratio, 3))


async def _repeat(stack: Stack, textbook: ManagedProcess, number: int) -> Repeat:
    base = await _textbook(stack, textbook, number)
    crowd = _crowd(stack, f"{number}")
    fresh = await _loans(stack, crowd)
    known = await _loans(stack, crowd)
    start_p99_ms = await _starts(stack, number)
    repeat = Repeat(base, fresh, known, start_p99_ms)
    _tell(number, repeat)
    return repeat


def _tell(number: int, repeat: Repeat) -> None:
    """The repeat on stderr, with the machine's load: ratios travel, figures do not."""
    for name, window in (
        ("textbook", repeat.textbook), ("fresh", repeat.fresh), ("known", repeat.known)
    ):  # fmt: skip
        parts = ", ".join(f"{part} {ms / window.ended:.0f}" for part, ms in window.cpu_ms.items())
        print(
            f"repeat {number + 1} {name}: {window.rate:.2f}/s, {window.cpu:.0f} CPU-ms ({parts})",
            file=sys.stderr, flush=True,
        )  # fmt: skip
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    print(
        f"repeat {number + 1} start p99 {repeat.start_p99_ms:.0f} ms; load average {load}",
        file=sys.stderr, flush=True,
    )  # fmt: skip


async def _textbook(stack: Stack, worker: ManagedProcess, number: int) -> Window:
    plan = TextbookPlan(
        stack.temporal.address,
        stack.temporal.namespace,
        f"{number}",
        TEXTBOOK_MEASURED + 2 * CONCURRENCY,
        CONCURRENCY,
    )
    processes = {"temporal": stack.temporal.process, "worker": worker}
    return await _window(plan, processes, TEXTBOOK_MEASURED)


async def _loans(stack: Stack, crowd: Crowd) -> Window:
    processes = {process.name: process for process in stack.managed()}
    return await _window(LoansPlan(crowd, CONCURRENCY), processes)


async def _starts(stack: Stack, number: int) -> float:
    """The 99th percentile of the answer's latency, counted from the scheduled moment."""
    lines = await _drive(StartsPlan(_crowd(stack, f"start-{number}", STARTS), STARTS_PER_S))
    # What was started goes its way to an offer before anything else is measured.
    await quiet(stack)
    p99_ms: float = statistics.quantiles((line["latency_ms"] for line in lines), n=100)[98]
    return p99_ms


async def _window(
    plan: Plan, processes: dict[str, ManagedProcess], measured: int = MEASURED
) -> Window:
    """The window between two endings of a plan, `measured` apart."""
    marks: list[tuple[float, dict[str, float]]] = []

    def ended(count: int) -> None:
        if count in (CONCURRENCY, CONCURRENCY + measured):
            marks.append((time.monotonic(), cpu_ms(processes)))

    await _drive(plan, ended)
    (opened, before), (closed, after) = marks
    spent = {name: after[name] - before[name] for name in before}
    return Window(measured, closed - opened, spent)


async def _drive(plan: Plan, ended: Callable[[int], None] = lambda _: None) -> list[dict[str, Any]]:
    """Run a plan in a process of its own; `ended` hears the count of each line as it comes."""
    driver = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.driver", cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert driver.stdin is not None
    assert driver.stdout is not None
    driver.stdin.write(json.dumps(document_of(plan)).encode())
    driver.stdin.close()
    lines = []
    try:
        async with asyncio.timeout(LIMIT_S):
            async for line in driver.stdout:
                lines.append(json.loads(line))
                ended(len(lines))
            if await driver.wait():
                raise RuntimeError("the load generator failed; see what it said above")
    finally:
        if driver.returncode is None:
            driver.kill()
            await driver.wait()
    return lines


def _crowd(stack: Stack, name: str, count: int = MEASURED + 2 * CONCURRENCY) -> Crowd:
    """Persons of the same data with ids and wallets of their own."""
    assert stack.deployment is not None
    data = persona("approved")
    ids = [f"person-{name}-{number}" for number in range(count)]
    people = [(user_id, stack.token(user_id, data["tenant"], "applicant")) for user_id in ids]
    return Crowd(
        stack.api_url, stack.seed.hex(), asdict(stack.deployment), data, people,
        stack.token("bench-integrator", data["tenant"], "integrator"),
    )  # fmt: skip


async def _furnish(stack: Stack) -> None:
    """Give the lender what all the loans of a run need."""
    assert stack.deployment is not None
    record = STATE_DIR / "deployment.json"
    record.write_text(json.dumps(asdict(stack.deployment)), encoding="utf-8")
    await deploy(
        stack.chain.rpc_url,
        stack.chain.chain_id,
        DEVELOPMENT_DEPLOYER_KEY,
        [stack.lender.private_key],
        relayer=stack.relayer.address,
        record=record,
        principal_units=PRINCIPAL_UNITS,
    )


async def _textbook_worker(stack: Stack) -> ManagedProcess:
    command = [
        sys.executable, "-m", "bench.textbook", stack.temporal.address, stack.temporal.namespace,
    ]  # fmt: skip
    worker = ManagedProcess("textbook", command, state_dir=STATE_DIR, cwd=ROOT)
    await worker.start()

    async def polls() -> bool:
        return "READY" in worker.log_tail()

    await worker.ready(polls, 60.0)
    return worker
