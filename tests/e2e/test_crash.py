"""Processes killed from outside (SIGKILL) at the worst moments: one loan, paid once, all the same.

Three applications are at three points when all workers are killed: waiting for the identity
vendor, just accepted, and between broadcast and recording. They share the restarts, because an
activity whose worker was killed is tried again only after its timeout (30 s on chain).
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from models.domain.failpoints import ENVIRONMENT_VARIABLE
from sandbox.borrower import Borrower
from sandbox.stack import WORKER_GROUPS, Stack
from tests.e2e.outside import World, eventually

pytestmark = pytest.mark.stack

PRINCIPAL_UNITS = 5_000 * 10**6


@dataclass
class Survivor:
    """An application whose workers were killed, and what was true at that moment."""

    person: Borrower
    application_id: str
    when_killed: dict[str, Any]

    @property
    def tenant(self) -> str:
        return str(self.person.data["tenant"])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def survivors(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Survivor]:
    """Three applications after their kills, in different states of recovery."""
    stack, marker = world.stack, tmp_path_factory.mktemp("crash") / "broadcast"
    slow = world.person({"applicant.document.number": "SLOW2"})
    accepted, sent = world.person(), world.person()
    try:
        sent_id, accepted_id = await sent.apply(), await accepted.apply()
        offers = await asyncio.gather(
            world.until(sent, sent_id, "offered"), world.until(accepted, accepted_id, "offered")
        )
        waiting = await _kill_while_waiting_for_identity(world, slow)
        await _start_workers(stack, {ENVIRONMENT_VARIABLE: f"settlement.broadcast=pause:{marker}"})

        await sent.accept(sent_id, offers[0]["offers"][0])
        unrecorded = await _kill_after_broadcast(world, sent, sent_id, marker)
        await _start_workers(stack)

        # The chain lane dies first, so that nobody can have taken up the accepted offer.
        await stack.processes["worker-chain"].kill()
        await accepted.accept(accepted_id, offers[1]["offers"][0])
        unsettled = await _kill_after_acceptance(world, accepted, accepted_id)
        await _start_workers(stack)
        offered = await world.until(slow, waiting.application_id, "offered")
        await slow.accept(waiting.application_id, offered["offers"][0])
    except BaseException:
        await _kill_workers(stack)  # one of them may still be armed
        raise
    finally:
        await _start_workers(stack)
    return {"identity": waiting, "accepted": unsettled, "broadcast": unrecorded}


async def test_killed_while_waiting_for_identity(
    world: World, survivors: dict[str, Survivor]
) -> None:
    survivor = survivors["identity"]
    assert survivor.when_killed == {"state": "processing", "stage": "identity", "answered": 0}
    await _ends_funded_once(world, survivor)
    assert len(world.journals.effects("identity_vendor", "check.opened", survivor.tenant)) == 1


async def test_killed_after_acceptance(world: World, survivors: dict[str, Survivor]) -> None:
    survivor = survivors["accepted"]
    assert survivor.when_killed == {"accepted": 1, "confirmed": 0, "attempts": 0}
    await _ends_funded_once(world, survivor)


async def test_killed_between_broadcast_and_recording(
    world: World, survivors: dict[str, Survivor]
) -> None:
    survivor = survivors["broadcast"]
    assert survivor.when_killed == {"attempts": 1, "recorded": 0, "known_to_chain": True}
    await _ends_funded_once(world, survivor)
    # The bytes that were sent before the kill are the bytes that paid.
    [attempt] = await world.truth.rows(
        "SELECT tx_hash, broadcast_at FROM chain_attempts WHERE tenant_id = $1", survivor.tenant
    )
    view = await survivor.person.view(survivor.application_id)
    assert view["transaction"]["tx_hash"] == attempt["tx_hash"]


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "stored"


async def test_the_api_is_killed_between_commit_and_start(world: World, marker: Path) -> None:
    stack, person, key = world.stack, world.person(), secrets.token_urlsafe(16)
    tenant, body = person.data["tenant"], person.application_body()
    try:
        await stack.processes["api"].terminate()
        await stack.start_api({ENVIRONMENT_VARIABLE: f"application.stored=pause:{marker}"})
        unanswered = asyncio.create_task(person.post("/api/v1/applications", body, key))
        await eventually("the application is stored", lambda: _exists(marker))
        await stack.processes["api"].kill()
        with suppress(httpx.HTTPError):
            await unanswered
        assert unanswered.exception() is not None  # the client knows nothing of its application

        # While there is no API at all, the sweeper starts what was committed.
        async def started() -> bool:
            return bool((await world.truth.actions(tenant))["application.started"])

        await eventually("the sweeper starts the application", started)
    finally:
        await stack.processes["api"].kill()
        await stack.start_api()
    answer = await person.post("/api/v1/applications", body, key)
    assert await person.post("/api/v1/applications", body, key) == answer
    stored = await world.truth.rows(
        "SELECT application_id FROM applications WHERE tenant_id = $1", tenant
    )
    assert [row["application_id"] for row in stored] == [answer["application_id"]]
    await world.until(person, answer["application_id"], "offered")
    steps = await world.truth.actions(tenant)
    assert steps["application.submitted"] == steps["application.started"] == 1


async def _kill_while_waiting_for_identity(world: World, person: Borrower) -> Survivor:
    application_id, tenant = await person.apply(), person.data["tenant"]

    async def asked() -> bool:
        return bool((await world.truth.actions(tenant))["kyc.submitted"])

    await eventually("the identity vendor is asked", asked)
    await _kill_workers(world.stack)
    view = await person.view(application_id)
    answered = len(world.journals.effects("identity_vendor", "check.completed", tenant))
    seen = {"state": view["state"], "stage": view["stage"], "answered": answered}
    return Survivor(person, application_id, seen)


async def _kill_after_broadcast(
    world: World, person: Borrower, application_id: str, marker: Path
) -> Survivor:
    await eventually("the transaction is sent", lambda: _exists(marker))
    await _kill_workers(world.stack)
    attempts = await world.truth.rows(
        "SELECT tx_hash, broadcast_at FROM chain_attempts WHERE tenant_id = $1",
        person.data["tenant"],
    )
    known = await world.node.call("eth_getTransactionByHash", attempts[0]["tx_hash"])
    seen = {
        "attempts": len(attempts),
        "recorded": sum(attempt["broadcast_at"] is not None for attempt in attempts),
        "known_to_chain": known is not None,
    }
    return Survivor(person, application_id, seen)


async def _kill_after_acceptance(world: World, person: Borrower, application_id: str) -> Survivor:
    await _kill_workers(world.stack)
    tenant = person.data["tenant"]
    rows = await world.truth.footprint(tenant)
    steps = await world.truth.actions(tenant)
    seen = {
        "accepted": steps["offer.accepted"],
        "confirmed": steps["offer.confirmed"],
        "attempts": rows.get("chain_attempts", 0),
    }
    return Survivor(person, application_id, seen)


async def _kill_workers(stack: Stack) -> None:
    await asyncio.gather(*(stack.processes[name].kill() for name in WORKER_GROUPS))
    assert not any(stack.processes[name].running for name in WORKER_GROUPS)


async def _start_workers(stack: Stack, extra: dict[str, str] | None = None) -> None:
    """Start whichever do not run."""
    stopped = [name for name in WORKER_GROUPS if not stack.processes[name].running]
    await asyncio.gather(*(stack.start_worker(name, extra) for name in stopped))


async def _exists(marker: Path) -> bool:
    return marker.exists()


async def _ends_funded_once(world: World, survivor: Survivor) -> None:
    person, tenant = survivor.person, survivor.tenant
    view = await world.until(person, survivor.application_id, "funded")
    at, reference = person.deployment, view["transaction"]["loan_reference"]
    assert await world.node.balance_of(at.token, person.wallet.address) == PRINCIPAL_UNITS
    [event] = await world.node.disbursements(at.aggregator, reference)
    assert event["transactionHash"] == view["transaction"]["tx_hash"]
    attempts = await world.truth.rows(
        "SELECT nonce, sender FROM chain_attempts WHERE tenant_id = $1", tenant
    )
    assert len(attempts) == 1
    assert len(world.journals.effects("bank", "quote.confirmed", reference)) == 1
    rows = await world.truth.footprint(tenant)
    assert (rows["applications"], rows["settlements"], rows["loans"]) == (1, 1, 1)
    assert rows["ledger_entries"] == 3
    steps = await world.truth.actions(tenant)
    assert steps.pop("offer.created") == len(view["offers"])
    assert set(steps.values()) == {1}, steps
    for name in ("identity_vendor", "bureau", "bank"):
        assert world.journals.repeated(name) == []
