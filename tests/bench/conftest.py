"""A stack whose every trace is known: a few loans of every ending, then the evidence, read once."""

from __future__ import annotations

import asyncio
import copy
import os
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio

from bench.client_log import ClientLog
from bench.invariants.evidence import Evidence
from bench.invariants.gathering import gather
from bench.invariants.rest import at_rest
from sandbox.access import Access
from sandbox.borrower import Borrower, persona
from sandbox.services.state_dir import hold
from sandbox.stack import Stack, StackOptions
from settings import ROOT

LIMIT_S = 180.0


@dataclass(frozen=True)
class Examined:
    """The evidence of a stack at rest, and how to look at that stack again."""

    evidence: Evidence
    access: Access


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def examined(request: pytest.FixtureRequest) -> AsyncIterator[Examined]:
    """Three loans, one decline and one open offer, of two tenants."""
    state_dir = ROOT / ".run" / f"examined-{os.getpid()}"
    with hold(state_dir):
        stack = Stack(state_dir, StackOptions(durable=False, headless=True, identity_delay_s=0.1))
        try:
            await stack.start()
            await _history(stack)
            access = Access.read(state_dir)
            assert await at_rest(access, LIMIT_S) == ""
            yield Examined(await gather(access), access)
            assert stack.postgres.deadlocks() == 0, stack.postgres.process.log_path
        finally:
            await stack.stop()
    if not request.session.testsfailed:
        shutil.rmtree(state_dir, ignore_errors=True)


@pytest.fixture
def evidence(examined: Examined) -> Evidence:
    """A copy that the test may spoil; histories are shared, they are never changed."""
    shared = {id(each.history): each.history for each in examined.evidence.executions}
    return copy.deepcopy(examined.evidence, dict(shared))


async def _history(stack: Stack) -> None:
    log = ClientLog(stack.state_dir / "client.jsonl")
    async with httpx.AsyncClient(
        base_url=stack.api_url,
        trust_env=False,
        timeout=120.0,
        event_hooks={"response": [log.heard]},
    ) as http:
        people = [_person(stack, http, tenant, n) for tenant in ("east", "west") for n in range(2)]
        declined = _person(stack, http, "east", 9, document="REJECT1")
        waiting = _person(stack, http, "west", 9)
        await asyncio.gather(
            *(_fund(person) for person in people[:3]),
            _until_ended(declined),
            _until_offered(waiting),
            _until_offered(people[3]),
        )
    log.close()


def _person(
    stack: Stack, http: httpx.AsyncClient, tenant: str, number: int, document: str = ""
) -> Borrower:
    data = copy.deepcopy(persona("approved")) | {"tenant": tenant, "user_id": f"person-{number}"}
    if document:
        data["applicant"]["document"]["number"] = document
    assert stack.deployment is not None
    token = stack.token(data["user_id"], tenant, "applicant")
    return Borrower.of(http, data, stack.seed, stack.deployment, token)


async def _fund(person: Borrower) -> None:
    key = f"apply-{person.data['tenant']}-{person.data['user_id']}"
    body = person.application_body()
    answer = await person.post("/api/v1/applications", body, key)
    assert await person.post("/api/v1/applications", body, key) == answer
    application_id = answer["application_id"]
    offered = await person.until(application_id, "offered", timeout_s=LIMIT_S)
    await person.accept(application_id, offered["offers"][0])
    assert (await person.until(application_id, "funded", timeout_s=LIMIT_S))["state"] == "funded"


async def _until_offered(person: Borrower) -> None:
    await person.until(await person.apply(), "offered", timeout_s=LIMIT_S)


async def _until_ended(person: Borrower) -> None:
    view = await person.until(await person.apply(), timeout_s=LIMIT_S)
    assert view["state"] == "declined", view


Spoil = Callable[[Evidence], None]
