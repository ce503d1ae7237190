"""The load generator, a process of its own so that its work is nobody's cost.

`python -m bench.driver` reads a plan (JSON) from stdin and writes a JSON line per ending:

    loans     borrowers with real wallets apply, sign and accept, until funded; their integrator
              follows them by the event stream
    starts    applications are submitted at a fixed rate, whether or not earlier ones are answered
    textbook  the baseline's workflows are started and awaited
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

import httpx
from temporalio.client import Client

from bench.following import ENDINGS, OFFERED, LoanEvents
from bench.textbook import QUEUE, TextbookWorkflow
from clients.python.caas_client.types import ApplicationAnswer
from sandbox.borrower import Borrower
from sandbox.services.deployment import Deployment

LIMIT_S: Final = 240.0
REPETITIONS: Final = 30
REPEAT_AFTER_S: Final = 1.0
_COME_BACK: Final = frozenset({409, 503})  # still under way, or too busy


@dataclass(frozen=True)
class Crowd:
    """Who applies, and where: `people` are (user id, access token); all state the same data."""

    api_url: str
    seed: str
    deployment: dict[str, Any]
    persona: dict[str, Any]
    people: list[tuple[str, str]]
    integrator_token: str = ""  # whoever follows them


@dataclass(frozen=True)
class LoansPlan:
    """So many loans under way at any time, one for each of the crowd."""

    crowd: Crowd
    concurrency: int

    async def run(self) -> None:
        """A line for each loan as it is funded."""
        events = LoanEvents()
        async with _http(self.crowd, self.concurrency) as http, _http(self.crowd, 1) as stream:
            following = asyncio.create_task(events.run(stream, self.crowd.integrator_token))
            await asyncio.wait(
                [asyncio.create_task(events.following.wait()), following],
                return_when=asyncio.FIRST_COMPLETED,
            )
            loan = partial(_loan, events)
            await _several_at_a_time(_borrowers(http, self.crowd), self.concurrency, loan)
            following.cancel()


@dataclass(frozen=True)
class StartsPlan:
    """Applications per second; one for each of the crowd."""

    crowd: Crowd
    per_s: float

    async def run(self) -> None:
        """A line for each application answered: milliseconds from its scheduled moment."""
        async with _http(self.crowd, len(self.crowd.people)) as http:
            borrowers = list(_borrowers(http, self.crowd))
            bodies = [borrower.application_body() for borrower in borrowers]
            await borrowers[0].http.get("/healthz")
            first = time.monotonic() + 0.1

            async def submit(number: int) -> None:
                due = first + number / self.per_s
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await borrowers[number].post("/api/v1/applications", bodies[number])
                _say({"latency_ms": (time.monotonic() - due) * 1000})

            await asyncio.gather(*(submit(number) for number in range(len(borrowers))))


@dataclass(frozen=True)
class TextbookPlan:
    """So many workflows, so many at any time."""

    address: str
    namespace: str
    run_id: str
    count: int
    concurrency: int

    async def run(self) -> None:
        """A line for each workflow that has ended."""
        client = await Client.connect(self.address, namespace=self.namespace)

        async def one(number: int) -> None:
            await client.execute_workflow(
                TextbookWorkflow.run, id=f"textbook-{self.run_id}-{number}", task_queue=QUEUE
            )
            _say({"ended": True})

        await _several_at_a_time(range(self.count), self.concurrency, one)


Plan = LoansPlan | StartsPlan | TextbookPlan


def document_of(plan: Plan) -> dict[str, Any]:
    """The plan as the driver reads it."""
    return {"kind": type(plan).__name__, **asdict(plan)}


def plan_of(document: dict[str, Any]) -> Plan:
    """The plan a document describes."""
    kinds = {kind.__name__: kind for kind in (LoansPlan, StartsPlan, TextbookPlan)}
    kind = kinds[document.pop("kind")]
    if "crowd" in document:
        document["crowd"] = Crowd(**document["crowd"])
    plan: Plan = kind(**document)
    return plan


async def _several_at_a_time(
    items: Iterable[Any], concurrency: int, work: Callable[[Any], Awaitable[None]]
) -> None:
    waiting = iter(items)

    async def one_after_the_other() -> None:
        for item in waiting:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(one_after_the_other())


async def _loan(events: LoanEvents, borrower: Borrower) -> None:
    applied = time.monotonic()
    async with asyncio.timeout(LIMIT_S):
        submitted = await _insist(borrower, "/api/v1/applications", borrower.application_body())
        application_id = submitted["application_id"]
        await events.until(application_id, OFFERED, *ENDINGS)
        offered = await _seen(borrower, application_id, "offered")
        body = borrower.acceptance_body(offered["offers"][0])
        await _insist(borrower, f"/api/v1/applications/{application_id}/accept", body)
        await events.until(application_id, *ENDINGS)
        await _seen(borrower, application_id, "funded")
    _say({"seconds": time.monotonic() - applied})


async def _insist(borrower: Borrower, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The same write under the same key until it is answered, as clients are told to."""
    key = secrets.token_urlsafe(16)
    for _ in range(REPETITIONS):
        try:
            return await borrower.post(path, body, key)
        except httpx.TransportError as error:
            problem: httpx.HTTPError = error
        except httpx.HTTPStatusError as error:
            if error.response.status_code not in _COME_BACK:
                raise
            problem = error
        await asyncio.sleep(REPEAT_AFTER_S)
    raise problem


async def _seen(borrower: Borrower, application_id: str, state: str) -> ApplicationAnswer:
    view = await borrower.view(application_id)
    if view["state"] != state:
        raise RuntimeError(f"the loan is {view['state']}, not {state}: {view['reasons']}")
    return view


def _borrowers(http: httpx.AsyncClient, crowd: Crowd) -> Iterable[Borrower]:
    seed, deployment = bytes.fromhex(crowd.seed), Deployment(**crowd.deployment)
    for user_id, token in crowd.people:
        yield Borrower.of(http, {**crowd.persona, "user_id": user_id}, seed, deployment, token)


def _http(crowd: Crowd, connections: int) -> httpx.AsyncClient:
    # Shorter than the server keeps an idle connection, so that none is closed under a request.
    limits = httpx.Limits(
        max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=2.0
    )
    return httpx.AsyncClient(
        base_url=crowd.api_url, trust_env=False, timeout=LIMIT_S, limits=limits
    )


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    asyncio.run(plan_of(json.load(sys.stdin)).run())
    # All is said. The SDK's own threads sometimes abort an interpreter that takes itself apart.
    os._exit(0)
