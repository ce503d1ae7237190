"""The gateway's load, one process of its own: `python -m bench.gateway_load` reads a plan (JSON).

    SteadyPlan     requests at fixed moments, whether or not earlier ones are answered
    SaturatedPlan  so many callers, each of whom asks again as soon as it is answered

It writes JSON lines: a mark where measuring begins and ends, for who counts processor time, and
what came of it last. What its own work cost is in there, too.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import secrets
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httpx
import uvloop

from bench.driver import Crowd
from bench.processor import cpu_ms
from bench.wire_client import Answer, Wire, request_bytes
from sandbox.borrower import Borrower
from sandbox.services.deployment import Deployment
from sandbox.services.process import ManagedProcess
from settings import ROOT

PATH: Final = "/api/v1/applications"
# Of a hundred requests one is an application, four are light writes, and the others are reads:
# mostly applicants who follow theirs, as pages do that show where one stands.
APPLY: Final = "apply"
FOLLOW: Final = "follow"
MIX: Final = {
    APPLY: 1, "service_account": 2, "invite": 2,
    FOLLOW: 82, "profile": 6, "reviews": 5, "accounts": 2,
}  # fmt: skip
WRITES: Final = frozenset({APPLY, "service_account", "invite"})
_EXPECTED: Final = {APPLY: 202, "service_account": 201, "invite": 201}
_LISTS: Final = {
    "profile": "/auth/profile", "reviews": "/api/v1/reviews", "accounts": "/api/v1/accounts",
}  # fmt: skip
# So long before the first request that counts, so that everything is warm.
WARM_S: Final = 3.0
SATURATED_WARM_S: Final = 1.0
LIMIT_S: Final = 30.0
_LATE_S: Final = 120.0  # every answer has come long before


@dataclass(frozen=True)
class Staff:
    """Access tokens of people who work for the tenant."""

    underwriter: str
    administrator: str


@dataclass(frozen=True)
class SteadyPlan:
    """Requests per second for so many seconds; `known` are (application id, its owner's token)."""

    crowd: Crowd
    staff: Staff
    known: list[tuple[str, str]]
    per_s: int
    seconds: float

    async def run(self) -> None:
        """Marks, and at the end latencies by kind of request, counted from scheduled moments."""
        await _Steady(self).run()


@dataclass(frozen=True)
class SaturatedPlan:
    """The same requests over and over by so many callers, for so many seconds."""

    url: str
    requests: list[str]
    concurrency: int
    seconds: float

    async def run(self) -> None:
        """Marks, and at the end how many were answered between them."""
        at = urlsplit(self.url)
        wire = Wire(str(at.hostname), at.port or 80)
        prepared = [each.encode("ascii") for each in self.requests]
        statuses: Counter[int] = Counter()
        sizes: set[int] = set()
        over = asyncio.Event()

        async def caller(number: int) -> None:
            while not over.is_set():
                number += 1
                answer = await wire.ask(prepared[number % len(prepared)])
                statuses[answer.status] += 1
                sizes.add(len(answer.body))

        async with asyncio.timeout(self.seconds + LIMIT_S), asyncio.TaskGroup() as group:
            for number in range(self.concurrency):
                group.create_task(caller(number))
            await asyncio.sleep(SATURATED_WARM_S)
            began_s = time.perf_counter()
            statuses.clear()
            before_s = _say_mark("opened")
            await asyncio.sleep(self.seconds)
            answered, spent_s = dict(statuses), time.perf_counter() - began_s
            own_cpu_s = _say_mark("closed") - before_s
            over.set()
        _say(
            {
                "statuses": answered,
                "seconds": spent_s,
                "own_cpu_s": own_cpu_s,
                "bytes": sorted(sizes),
            }
        )


@dataclass
class _Tally:
    """What came of a steady load."""

    latencies_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    unexpected: Counter[str] = field(default_factory=Counter)
    accepted: list[str] = field(default_factory=list)
    late_ms: float = 0.0  # how long after its moment the latest request was sent


class _Steady:
    """One steady load."""

    def __init__(self, plan: SteadyPlan) -> None:
        self._plan = plan
        at = urlsplit(plan.crowd.api_url)
        self._wire = Wire(str(at.hostname), at.port or 80)
        self._tally = _Tally()
        self._follows = [_follow(*each) for each in plan.known]
        self._turn = 0
        self._people = self._borrowers()

    async def run(self) -> None:
        """Send each request at its moment; wait for all answers, and tell."""
        plan = self._plan
        first_s = time.perf_counter() + 0.2
        warm = round(WARM_S * plan.per_s)
        total = warm + round(plan.seconds * plan.per_s)
        before_s = 0.0
        async with asyncio.timeout(WARM_S + plan.seconds + _LATE_S), asyncio.TaskGroup() as group:
            for number, kind in zip(range(total), _kinds(), strict=False):
                if number == warm:
                    before_s = _say_mark("opened")
                # Prepared ahead of its moment: what a client does before it asks is its own affair.
                request, token = self._prepared(kind)
                due_s = first_s + number / plan.per_s
                await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
                counts = number >= warm
                group.create_task(self._send(kind, request, token, due_s, counts=counts))
            own_cpu_s = _say_mark("closed") - before_s
        self._wire.close()
        _say({**vars(self._tally), "own_cpu_s": own_cpu_s, "connections": self._wire.opened})

    async def _send(
        self, kind: str, request: bytes, token: str, due_s: float, *, counts: bool
    ) -> None:
        tally = self._tally
        late_ms = (time.perf_counter() - due_s) * 1_000
        answer = await self._wire.ask(request)
        if counts:
            tally.late_ms = max(tally.late_ms, late_ms)
            tally.latencies_ms[kind].append((time.perf_counter() - due_s) * 1_000)
        if answer.status != _EXPECTED.get(kind, 200):
            tally.unexpected[f"{kind} {answer.status} {_code(answer)}"] += 1
        elif kind == APPLY:
            application_id = answer.document()["application_id"]
            tally.accepted.append(application_id)
            # From now on, the new one is followed as often as the others.
            self._follows.append(_follow(application_id, token))

    def _prepared(self, kind: str) -> tuple[bytes, str]:
        """The request, and whose token it shows."""
        plan = self._plan
        if kind == FOLLOW:
            self._turn += 1
            return self._follows[self._turn % len(self._follows)], ""
        if kind == APPLY:
            person = next(self._people)
            body: Any = person.application_body()
            return _write(PATH, person.token, body), person.token
        if kind == "service_account":
            body = {"name": f"Till {secrets.token_hex(4)}", "roles": ["integrator"]}
            return _write("/api/v1/service-accounts", plan.staff.administrator, body), ""
        if kind == "invite":
            email = f"{secrets.token_hex(8)}@staff.example"
            body = {"email": email, "roles": ["underwriter"]}
            return _write("/api/v1/invitations", plan.staff.administrator, body), ""
        token = plan.staff.underwriter if kind == "reviews" else plan.staff.administrator
        return request_bytes("GET", _LISTS[kind], _shown(token)), ""

    def _borrowers(self) -> Iterator[Borrower]:
        crowd = self._plan.crowd
        seed, deployment = bytes.fromhex(crowd.seed), Deployment(**crowd.deployment)
        nobody = cast("httpx.AsyncClient", None)  # bodies are made, and sent by another client
        for user_id, token in crowd.people:
            data = {**crowd.persona, "user_id": user_id}
            yield Borrower.of(nobody, data, seed, deployment, token)


Plan = SteadyPlan | SaturatedPlan


def document_of(plan: Plan) -> dict[str, Any]:
    """The plan as this process reads it."""
    return {"kind": type(plan).__name__, **asdict(plan)}


def plan_of(document: dict[str, Any]) -> Plan:
    """The plan a document describes."""
    if document.pop("kind") == SaturatedPlan.__name__:
        return SaturatedPlan(**document)
    document["crowd"] = Crowd(**document["crowd"])
    document["staff"] = Staff(**document["staff"])
    return SteadyPlan(**document)


async def drive(
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


def follow_request(application_id: str, token: str, path: str) -> str:
    """What an applicant's page asks, as text; or the same of an endpoint elsewhere."""
    return _follow(application_id, token, path).decode("ascii")


def _kinds() -> Iterator[str]:
    """Kinds of requests in the proportions of the mix, shuffled alike in every run."""
    hundred = [kind for kind, times in MIX.items() for _ in range(times)]
    shuffled = random.Random(200)
    while True:
        shuffled.shuffle(hundred)
        yield from hundred


def _follow(application_id: str, token: str, path: str = PATH) -> bytes:
    return request_bytes("GET", f"{path}/{application_id}", _shown(token))


def _write(path: str, token: str, document: Any) -> bytes:
    headers = {**_shown(token), "idempotency-key": secrets.token_urlsafe(16)}
    return request_bytes("POST", path, headers, document)


def _shown(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def _code(answer: Answer) -> str:
    """The problem's code, where there is one."""
    try:
        return str(answer.document()["code"])
    except (ValueError, KeyError, TypeError):
        return ""


def _say_mark(mark: str) -> float:
    """Say that measuring begins or ends; returns the processor time used so far, in seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _say({"mark": mark})
    return used.ru_utime + used.ru_stime


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    uvloop.run(plan_of(json.load(sys.stdin)).run())
