"""Services pulled away one at a time under load: who is served, who is told to come back, and that
no accepted application is lost.

A whole product of its own, so that nobody else's services are pulled away. Readers, a writer and
applicants ask on and on; an applicant who is told to come back does, with the same key.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sandbox.borrower import Borrower, persona
from sandbox.services.state_dir import hold
from sandbox.services.valkey import Valkey
from sandbox.stack import WORKER_GROUPS, Stack, StackOptions
from settings import ROOT
from tests.e2e.outside import Truth, eventually

pytestmark = pytest.mark.stack

TENANT = "pulled-away"
# Longer than any refusal may take: beyond it a client counts as unanswered.
BOUNDED_S = 20.0
NOTHING = ""
# How many of each kind are asked while a service is away, before it comes back.
ENOUGH = {"read": 8, "write": 3, "apply": 2}


@dataclass(frozen=True)
class Asked:
    """A request as its client saw it; `away` names what was away when it was sent or answered."""

    kind: str
    away: frozenset[str]
    status: int
    code: str
    retry_after: str | None


@dataclass
class Load:
    """Clients that ask on and on."""

    stack: Stack
    http: httpx.AsyncClient
    asked: list[Asked] = field(default_factory=list)
    accepted: dict[str, str] = field(default_factory=dict)  # user id: application id
    applied: int = 0
    away: str = NOTHING
    over: bool = False

    async def ask(
        self, kind: str, method: str, path: str, token: str, **how: Any
    ) -> httpx.Response | None:
        """Ask once and remember the answer; None: there was none."""
        before = self.away
        headers = {"Authorization": f"Bearer {token}", **how.pop("headers", {})}
        try:
            answer = await self.http.request(method, path, headers=headers, **how)
        except httpx.HTTPError as error:
            away = frozenset({before, self.away})
            self.asked.append(Asked(kind, away, 0, type(error).__name__, None))
            return None
        code = "" if answer.is_success else str(answer.json()["code"])
        away = frozenset({before, self.away})
        waits = answer.headers.get("retry-after")
        self.asked.append(Asked(kind, away, answer.status_code, code, waits))
        return answer

    async def read(self) -> None:
        """An applicant's page, an underwriter's list, somebody's profile, in turn."""
        known = list(self.accepted.items())
        user_id, application_id = secrets.choice(known)
        own = self.stack.token(user_id, TENANT, "applicant")
        staff = self.stack.token("ulla", TENANT, "underwriter")
        await self.ask("read", "GET", f"/api/v1/applications/{application_id}", own)
        await self.ask("read", "GET", "/api/v1/reviews", staff)
        await self.ask("read", "GET", "/auth/profile", own)

    async def write(self) -> None:
        """A write that starts no workflow."""
        token = self.stack.token("adam", TENANT, "tenant_admin")
        body = {"name": "Till", "roles": ["integrator"]}
        headers = {"Idempotency-Key": secrets.token_urlsafe(16)}
        await self.ask(
            "write", "POST", "/api/v1/service-accounts", token, json=body, headers=headers
        )

    async def apply(self) -> None:
        """A new person applies, and comes back with the same key until it is accepted."""
        person = self._person()
        body = person.application_body()
        headers = {"Idempotency-Key": secrets.token_urlsafe(16)}
        self.applied += 1
        while True:
            answer = await self.ask(
                "apply", "POST", "/api/v1/applications", person.token, json=body, headers=headers
            )
            if answer is not None and answer.status_code == 202:
                self.accepted[person.data["user_id"]] = answer.json()["application_id"]
                return
            await asyncio.sleep(0.2)

    def _person(self) -> Borrower:
        at = self.stack.deployment
        assert at is not None
        user_id = f"user-{secrets.token_hex(6)}"
        data = {**persona("approved"), "tenant": TENANT, "user_id": user_id}
        token = self.stack.token(user_id, TENANT, "applicant")
        return Borrower.of(self.http, data, self.stack.seed, at, token)

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """All of them, until the block ends; then whoever is still applying is waited for."""
        async with asyncio.timeout(300), asyncio.TaskGroup() as clients:

            async def again(what: Callable[[], Coroutine[Any, Any, None]], pause_s: float) -> None:
                while not self.over:
                    clients.create_task(what())
                    await asyncio.sleep(pause_s)

            for what, pause_s in ((self.read, 0.4), (self.write, 0.5), (self.apply, 1.0)):
                clients.create_task(again(what, pause_s))
            try:
                yield
            finally:
                self.over = True


@dataclass
class Own:
    """The product with its services, under load."""

    stack: Stack
    valkey: Valkey
    truth: Truth
    load: Load

    async def pulled_away(self, name: str, service: Any) -> None:
        """SIGKILL; back when enough was asked meanwhile, and all is well again after that."""
        self.load.away = name
        await service.kill()
        gone = len(self.load.asked)
        await eventually(f"requests while {name} is away", lambda: self._enough(name, gone))
        if name == "temporal":
            await self._wait_to_be_started()
        await service.start()
        await eventually(f"{name} is back", self._whole)
        self.load.away = NOTHING
        served = len(self.load.asked)
        await eventually("requests after that", lambda: self._asked_since(served))

    async def _enough(self, name: str, gone: int) -> bool:
        """Whether as many were sent and answered while it was away all the time."""
        asked = Counter(each.kind for each in self.load.asked[gone:] if each.away == {name})
        return all(asked[kind] >= times for kind, times in ENOUGH.items())

    async def _asked_since(self, served: int) -> bool:
        return len(self.load.asked) >= served + 10

    async def _whole(self) -> bool:
        answer = await self.load.http.get("/readyz")
        return answer.status_code == 200 and answer.json()["missing"] == []

    async def _wait_to_be_started(self) -> None:
        """What was accepted without Temporal is on record, and on the list of what to start."""
        waiting = await self.truth.rows("SELECT application_id FROM start_intents")
        assert len(waiting) >= ENOUGH["apply"]
        assert {each["application_id"] for each in waiting} <= set(self.load.accepted.values())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own() -> AsyncIterator[Own]:
    state = ROOT / ".run" / f"pulled-away-{os.getpid()}"
    with hold(state):
        stack = Stack(state, StackOptions(headless=True, durable=False, identity_delay_s=0.1))
        valkey = Valkey(state)
        try:
            await asyncio.gather(stack.start_surroundings(), valkey.start())
            cache = {"CAAS_CACHE__URL": valkey.url}
            await asyncio.gather(
                stack.start_api(cache), *(stack.start_worker(name) for name in WORKER_GROUPS)
            )
            truth = await Truth.connect(stack)
            async with httpx.AsyncClient(
                base_url=stack.api_url, trust_env=False, timeout=BOUNDED_S
            ) as http:
                yield Own(stack, valkey, truth, Load(stack, http))
            assert stack.postgres.deadlocks() == 0, stack.postgres.process.log_path
        finally:
            await stack.stop()
            await valkey.stop()
    shutil.rmtree(state, ignore_errors=True)


async def test_services_pulled_away_one_at_a_time_under_load(own: Own) -> None:
    """One story, for starting services is what takes time."""
    stack, load = own.stack, own.load
    await load.apply()
    async with load.going_on():
        await own.pulled_away("kafka", stack.kafka)
        await own.pulled_away("cache", own.valkey)
        await own.pulled_away("temporal", stack.temporal)
        await own.pulled_away("postgres", stack.postgres)
    own.truth = await Truth.connect(stack)

    _served_whatever_else_is_away(load)
    _told_to_come_back_without_the_database(load)
    await _nothing_accepted_is_lost(own)
    assert all(each.running for each in stack.managed())


def _served_whatever_else_is_away(load: Load) -> None:
    expected = {"read": 200, "write": 201, "apply": 202}
    refused = [
        each
        for each in load.asked
        if "postgres" not in each.away and each.status != expected[each.kind]
    ]
    assert refused == []


def _told_to_come_back_without_the_database(load: Load) -> None:
    without = [each for each in load.asked if "postgres" in each.away]
    refused = [each for each in without if each.status >= 400 or not each.status]
    assert {each.kind for each in refused} == set(ENOUGH)
    # Every one is answered, and by no other refusal; a repeated write may meet the first one.
    allowed = {(503, "DATABASE_UNAVAILABLE"), (409, "REQUEST_IN_FLIGHT")}
    assert {(each.status, each.code) for each in refused} <= allowed
    assert all(each.retry_after for each in refused if each.status == 503)


async def _nothing_accepted_is_lost(own: Own) -> None:
    """Each person applied once, was accepted once, was started once, and came to offers."""
    accepted = set(own.load.accepted.values())
    assert len(accepted) == len(own.load.accepted) == own.load.applied
    stored = await own.truth.rows("SELECT application_id FROM applications")
    assert {each["application_id"] for each in stored} == accepted

    async def all_offered() -> bool:
        states = await own.truth.rows("SELECT DISTINCT state FROM applications")
        return [each["state"] for each in states] == ["offered"]

    await eventually("every accepted application has its offers", all_offered)
    steps = await own.truth.rows(
        "SELECT subject_id, action, count(*) FROM audit_log WHERE action IN"
        " ('application.submitted', 'application.started') GROUP BY 1, 2"
    )
    once = {(each["subject_id"], each["action"]): each["count"] for each in steps}
    actions = ("application.submitted", "application.started")
    assert once == dict.fromkeys(itertools.product(accepted, actions), 1)
    assert await own.truth.value("SELECT count(*) FROM start_intents") == 0

    async def all_told() -> bool:
        waiting = await own.truth.value("SELECT count(*) FROM outbox WHERE published_at IS NULL")
        return bool(waiting == 0)

    await eventually("every event is published", all_told)
