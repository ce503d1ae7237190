"""As many requests as the API answers, against a bare endpoint that does the same transaction.

All one right after the other in each repeat, so that they meet the machine in the same mood: in
short windows, and every other time from the last to the first, since its mood changes within
seconds. The repeat with the median ratio speaks for all.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Final

import httpx

from bench.bare_api import URL_VARIABLE
from bench.figure import Figure
from bench.gateway_load import PATH, SaturatedPlan, drive, follow_request
from sandbox.services.ports import claim_port
from sandbox.services.process import ManagedProcess
from sandbox.stack import Stack
from settings import ROOT

CONCURRENCY: Final = 16
SATURATED_S: Final = 3.0
CPU: Final = "CPU-ms/request"
_START_LIMIT_S: Final = 60.0


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


async def saturate(stack: Stack, known: Sequence[tuple[str, str]], repeats: int) -> list[Repeat]:
    """Rounds on a started stack; `known` are (application id, its owner's token)."""
    bare = await _bare(stack)
    try:
        return [await _repeat(stack, bare, known, number) for number in range(repeats)]
    finally:
        await bare.process.terminate()


def figures_of(repeats: Sequence[Repeat]) -> list[Figure]:
    """Against the bare endpoint; and against what is left to be had, which is no goal."""
    return [
        *_against(repeats, "", lambda each: each.bare),
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
            f"gateway.cpu{name}", round(ours.cpu_ms, 3), CPU, round(theirs.cpu_ms, 3),
            round(theirs.cpu_ms / ours.cpu_ms, 3),
        ),
    ]  # fmt: skip


@dataclass(frozen=True)
class Bare:
    """The baseline's process."""

    url: str
    process: ManagedProcess


async def _bare(stack: Stack) -> Bare:
    port = claim_port(None, "")
    process = ManagedProcess(
        "bare", [sys.executable, "-m", "bench.bare_api", str(port)], cwd=ROOT,
        state_dir=stack.state_dir, env={URL_VARIABLE: stack.database_url("app")},
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
    for name in reversed(paths) if number % 2 else paths:
        path = paths[name]
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
    told, spent = await drive(plan, {"process": process})
    answered = told["statuses"].pop("200", 0)
    if told["statuses"]:
        raise RuntimeError(f"some were not answered: {told['statuses']}")
    seconds = told["seconds"]
    return Saturated(answered / seconds, spent["process"] / answered, told["own_cpu_s"] / seconds)
