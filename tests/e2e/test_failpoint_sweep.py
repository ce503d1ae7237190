"""The sweep: a process is killed at every failpoint there is, and each service once; nothing is
lost, nothing is doubled."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import httpx
import pytest
import pytest_asyncio
from aiohttp import web

from bench.client_log import ClientLog
from bench.invariants.checks import check_all
from bench.invariants.gathering import client_of, gather
from bench.invariants.rest import at_rest
from models.domain.application import ApplicationRef
from models.domain.failpoints import FAILPOINTS
from models.domain.kyc import PersonRef
from models.domain.routing import CHAIN_QUEUE, SCORING_QUEUE, WORKFLOWS_QUEUE
from models.domain.settlement import SettlementOrder
from sandbox.access import Access
from sandbox.services.state_dir import hold
from sandbox.stack import Stack, StackOptions
from settings import ROOT
from tests.adapters.postgres.receivers import Receiver, Told, receiving
from tests.e2e.sweep import DIRECT, LIMIT_S, PROCESSES, Crowd, Nursery, Sweep, execute_directly

pytestmark = pytest.mark.stack

# Between them they take every way there is.
ONCE_EACH = (
    "withdrawn", "declined", "requoted", "enhanced_due_diligence", "thin_file", "needs_review",
    "expired_offer",
)  # fmt: skip
SERVICES = ("temporal", "postgres", "chain")
TENANT = "sweep"
_UNTOLD = (
    "SELECT EXISTS (SELECT FROM webhook_deliveries WHERE status = 'pending') OR EXISTS"
    " (SELECT FROM outbox WHERE tenant_id = $1 AND seq > (SELECT position FROM webhook_position))"
)


@dataclass
class Swept:
    """A stack after the sweep, at rest."""

    access: Access
    sweep: Sweep
    crowd: Crowd
    receiver: Receiver
    services: dict[str, tuple[int, int]]  # pid before and after


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def swept(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Swept]:
    """Applications of all kinds while whoever reaches a failpoint is killed there."""
    state_dir = ROOT / ".run" / f"swept-{os.getpid()}"
    markers = tmp_path_factory.mktemp("failpoints")
    # A killed chain forgets up to two seconds of its blocks: the depth is beyond that.
    options = StackOptions(durable=False, headless=True, identity_delay_s=0.1, confirmations=6)
    nursery = await Nursery.open()
    with hold(state_dir):
        stack = Stack(state_dir, options)
        log = ClientLog(state_dir / "client.jsonl")
        try:
            await stack.start_surroundings()
            async with httpx.AsyncClient(
                base_url=stack.api_url,
                trust_env=False,
                timeout=120.0,
                event_hooks={"response": [log.heard]},
            ) as http:
                sweep, crowd = Sweep(stack, nursery, markers), Crowd(stack, http)
                watching = asyncio.create_task(sweep.run())
                async with receiving() as receiver:
                    yield await _swept(sweep, crowd, receiver)
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watching
            assert stack.postgres.deadlocks() == 0, stack.postgres.process.log_path
        finally:
            await nursery.close()
            await stack.stop()
            log.close()
    if not request.session.testsfailed:
        shutil.rmtree(state_dir, ignore_errors=True)


async def _swept(sweep: Sweep, crowd: Crowd, receiver: Receiver) -> Swept:
    access = Access.read(sweep.stack.state_dir)
    await sweep.all_polling()
    async with asyncio.timeout(LIMIT_S):
        await _tell_of_everything(sweep.stack, receiver)
    try:
        async with asyncio.timeout(LIMIT_S):
            async with asyncio.TaskGroup() as group:
                for name in ONCE_EACH:
                    group.create_task(crowd.send(name))
                group.create_task(
                    crowd.keep_sending("approved", 1.5, 12, lambda: not _on_the_way(sweep))
                )
            await _directly(access, crowd, sweep)
            services = await _services_die(sweep.stack, crowd)
        assert await at_rest(access, LIMIT_S) == ""
        async with asyncio.timeout(LIMIT_S):
            await _all_told(access)
    except TimeoutError:
        pytest.fail(f"not swept: {sorted(sweep.left)}")
    return Swept(access, sweep, crowd, receiver, services)


async def _tell_of_everything(stack: Stack, receiver: Receiver) -> None:
    """A webhook of the crowd's tenant; its receiver refuses every third message at first."""
    token = stack.token("tess", TENANT, "tenant_admin")
    answered = 0
    # By a client of its own: what is answered is sealed, so no log of answers compares with it.
    async with httpx.AsyncClient(base_url=stack.api_url, trust_env=False) as http:
        while answered != 201:
            with contextlib.suppress(httpx.TransportError):  # the API begins to answer some time
                answer = await http.post(
                    "/api/v1/webhooks",
                    json={"url": receiver.url()},
                    headers={"Authorization": f"Bearer {token}", "Idempotency-Key": "everything"},
                )
                answered = answer.status_code
            await asyncio.sleep(0.2)
    refused: set[str] = set()

    def refuse_some(told: Told) -> web.Response:
        if int(told.message_id[-4:], 16) % 3 or told.message_id in refused:
            return web.Response(status=204)
        refused.add(told.message_id)
        return web.Response(status=503)

    receiver.answer = refuse_some


async def _all_told(access: Access) -> None:
    connection = await asyncpg.connect(access.database)
    try:
        while await connection.fetchval(_UNTOLD, TENANT):
            await asyncio.sleep(0.2)
    finally:
        await connection.close()


def _on_the_way(sweep: Sweep) -> set[str]:
    """What an approved application passes and nobody has been killed at."""
    aside = ("review", "notice", "information", "withdraw", "closed", "close", "failed", "fail")
    elsewhere = {*aside, "observe", "resolve", "follow", "recorded_ending", "expire", "refer"}
    late = ("sweep.informed", "someone_waits", "look_for", "application.withdrawn")
    return {name for name in sweep.left if not any(word in name for word in (*elsewhere, *late))}


async def _directly(access: Access, crowd: Crowd, sweep: Sweep) -> None:
    """Activities that only time or an accident leads to; each may be repeated without effect."""
    funded = next(j for j, view in crowd.ended if view["state"] == "funded")
    tenant, user_id = funded.persona.tenant, funded.persona.user_id
    application = ApplicationRef(tenant, funded.applications[-1], user_id)
    person = PersonRef(tenant, user_id)
    order = await _order_of(access, application)
    [asked] = next(
        view["information_requests"] for _, view in crowd.ended if view["information_requests"]
    )
    known = {
        "observe_settlement": (CHAIN_QUEUE, [application]),
        "resolve_settlement": (CHAIN_QUEUE, [order]),
        "follow_settlement": (WORKFLOWS_QUEUE, [application]),
        "recorded_ending": (WORKFLOWS_QUEUE, [application]),
        "refer_unscored": (SCORING_QUEUE, [application]),
        "expire_verification": (WORKFLOWS_QUEUE, [person]),
        "someone_waits": (WORKFLOWS_QUEUE, [person]),
        "look_for_information": (WORKFLOWS_QUEUE, [tenant, asked["request_id"]]),
    }
    names = {name.split(".")[1] for name in sweep.left if name.startswith("activity.")}
    await execute_directly(
        access, tenant, [(name, *call) for name, call in known.items() if name in names]
    )


async def _order_of(access: Access, application: ApplicationRef) -> SettlementOrder:
    """The order of a settlement, as its workflow was given it."""
    client = await client_of(access)
    handle = client.get_workflow_handle(
        f"settlement/{application.tenant_id}/{application.application_id}"
    )
    history = await handle.fetch_history()
    started = history.events[0].workflow_execution_started_event_attributes
    [order] = await client.data_converter.decode(list(started.input.payloads), [SettlementOrder])
    return order


async def _services_die(stack: Stack, crowd: Crowd) -> dict[str, tuple[int, int]]:
    """SIGKILL to each service once while loans are under way."""
    services = {"temporal": stack.temporal, "postgres": stack.postgres, "chain": stack.chain}
    pids = {}
    async with asyncio.TaskGroup() as group:
        for name in SERVICES:
            group.create_task(crowd.send("approved"))
            await asyncio.sleep(1.0)
            before = services[name].process.pid
            await services[name].kill()
            await services[name].start()
            pids[name] = before, services[name].process.pid
    return pids


def test_a_process_was_killed_at_every_failpoint(swept: Swept) -> None:
    assert set(swept.sweep.killed_at) == set(FAILPOINTS)
    assert set(swept.sweep.killed_at.values()) == set(PROCESSES)


def test_each_service_was_killed_and_came_back(swept: Swept) -> None:
    assert set(swept.services) == set(SERVICES)
    assert all(before != after for before, after in swept.services.values())


def test_every_application_ended_as_it_should(swept: Swept) -> None:
    otherwise = {
        journey.applications[-1]: (journey.persona.name, view["state"])
        for journey, view in swept.crowd.ended
        if view["state"] != journey.persona.ends_in.state
    }
    assert otherwise == {}


async def test_every_event_was_told_in_order_however_often_who_tells_was_killed(
    swept: Swept,
) -> None:
    connection = await asyncpg.connect(swept.access.database)
    try:
        rows = await connection.fetch(
            "SELECT event_id, key, seq FROM outbox WHERE tenant_id = $1"
            " AND type NOT LIKE 'webhook.%' ORDER BY seq",
            TENANT,
        )
    finally:
        await connection.close()
    told = {each.message_id: each for each in swept.receiver.told}
    assert set(told) == {row["event_id"] for row in rows}
    assert all(each.message_id == each.envelope["id"] for each in swept.receiver.told)
    keys = {row["event_id"]: row["key"] for row in rows}
    arrived: dict[str, list[int]] = {}
    for message_id, each in _first_arrivals(swept.receiver).items():
        arrived.setdefault(keys[message_id], []).append(each.sequence)
    assert [key for key, numbers in arrived.items() if numbers != sorted(numbers)] == []
    assert len(swept.receiver.told) > len(told)  # some were refused, or told twice


def _first_arrivals(receiver: Receiver) -> dict[str, Told]:
    first: dict[str, Told] = {}
    for each in receiver.told:
        first.setdefault(each.message_id, each)
    return first


async def test_nothing_is_violated(swept: Swept) -> None:
    evidence = await gather(swept.access)
    ours = f"{DIRECT}/"
    evidence.executions = [e for e in evidence.executions if not e.workflow_id.startswith(ours)]
    verdicts = await check_all(evidence, swept.access)
    assert [each.line() for each in verdicts if each.violations] == []
