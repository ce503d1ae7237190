"""A hundred stuck applications, of which sixty can go on: a retry tells which, and why not."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from temporalio.client import Client

from adapters.operations.examining import Examiner
from adapters.operations.workflows import TemporalDesk
from adapters.postgres.database import Database
from adapters.postgres.operations import PostgresOperations, Search
from adapters.temporal import connect
from adapters.vault import Keyring
from sandbox.borrower import Borrower
from sandbox.steering import steer, unsteer
from tests.e2e.outside import World, eventually
from tests.e2e.support_desk import AS_ADA, Desk, terminate

pytestmark = pytest.mark.stack

TENANT = "tenant-of-the-stuck"


async def test_a_bulk_retry_tells_what_truly_recovered(world: World, temporal: Client) -> None:
    """100 stuck applications, 60 of which can go on: 40 whose vendor is back, 10 whose workflows
    somebody had terminated, 10 whose verifications; of the others the vendor still refuses 20 and
    20 have keys that no longer open.
    """
    desk = Desk(world)
    people = [
        world.person({"applicant.document.number": f"NEVER{number}"}, tenant=TENANT)
        for number in range(100)
    ]
    down = {"match": {"endpoint": "POST /v1/checks"}, "do": {"status": 503}}
    await steer(world.stack, "identity_vendor", [{"id": "down", **down}])
    try:
        ids = await _apply(people)
        by_id = {application_id: number for number, application_id in enumerate(ids)}
        await _stuck(world, len(people))
        for number in range(40, 50):
            await terminate(temporal, f"credit-application/{TENANT}/{ids[number]}")
        for number in range(50, 60):
            user_id = people[number].data["user_id"]
            await terminate(temporal, f"kyc/{TENANT}/{user_id}")
        await _spoil_keys(world, people[80:])
        await steer(world.stack, "identity_vendor", _refusals(people[60:80]))
        # The vendor comes back when the search for stuck ones is over: nobody recovered before.
        retrying = asyncio.create_task(
            desk.run("retry", "--all-stuck", "--tenant", TENANT, "--wait", "120", "--json", *AS_ADA)
        )
        await eventually("the retry has begun", lambda: _retry_began(world))
        await unsteer(world.stack, "identity_vendor", "down")
        said = await retrying
    finally:
        await unsteer(world.stack, "identity_vendor")
    *results, totals = said.documents()
    assert said.code == 1
    assert totals == {"total": 100, "recovered": 60, "not_recovered": 40, "not_stuck": 0}
    recovered = {
        by_id[each["application_id"]] for each in results if each["outcome"] == "recovered"
    }
    assert recovered == set(range(60))
    why = {by_id[each["application_id"]]: each["reason"] for each in results}
    assert {why[number] for number in range(60, 80)} == {
        "submit_verification fails again: UPSTREAM_BUSY: POST /v1/checks: status 503"
    }
    assert {why[number] for number in range(80, 100)} == {
        "submit_verification fails again: UNDECIPHERABLE"
    }
    await _check_what_was_told(world, ids)


async def _check_what_was_told(world: World, ids: Sequence[str]) -> None:
    """The vendor has exactly the 60, and every retry is in the trail."""
    asked = world.journals.effects("identity_vendor", "check.opened", TENANT)
    assert len(asked) == 60
    trail = await world.truth.rows(
        "SELECT actor, action, detail->>'outcome' AS outcome FROM audit_log"
        " WHERE action LIKE 'operations.%' AND subject_id = ANY($1::text[])", list(ids),
    )  # fmt: skip
    assert Counter((row["actor"], row["action"], row["outcome"]) for row in trail) == {
        ("ada", "operations.retry", None): 100,
        ("ada", "operations.retried", "recovered"): 60,
        ("ada", "operations.retried", "not_recovered"): 40,
    }


async def _apply(people: Sequence[Borrower]) -> list[str]:
    slots = asyncio.Semaphore(8)

    async def one(person: Borrower) -> str:
        async with slots:
            return await person.apply()

    return list(await asyncio.gather(*(one(each) for each in people)))


@asynccontextmanager
async def _examining(world: World) -> AsyncIterator[Examiner]:
    """Looks at applications as the command line does, without starting it each time."""
    told = world.stack.environment()
    [(version, key)] = json.loads(told["CAAS_MASTER_KEYS"]).items()
    keyring = Keyring({version: base64.b64decode(key)})
    client = await connect(world.stack.temporal.address, world.stack.temporal.namespace, keyring)
    database = await Database.connect(told["CAAS_DATABASE__APP_URL"], keyring)
    try:
        yield Examiner(PostgresOperations(database, None), TemporalDesk(client))
    finally:
        await database.close()


async def _stuck(world: World, number: int) -> None:
    """Wait until so many are found to be stuck."""
    async with _examining(world) as examiner:

        async def found() -> bool:
            stuck = examiner.search(Search(TENANT, only_open=True), number, stuck=True)
            return len([each async for each in stuck]) == number

        await eventually(f"{number} applications are stuck", found)


async def _retry_began(world: World) -> bool:
    return bool((await world.truth.actions(TENANT))["operations.retry"])


async def _spoil_keys(world: World, people: Sequence[Borrower]) -> None:
    for each in people:
        await world.truth.rows(
            "UPDATE subject_keys SET wrapped_key = decode(repeat('00', 60), 'hex')"
            " WHERE tenant_id = $1 AND user_id = $2 RETURNING 1",
            each.data["tenant"], each.data["user_id"],
        )  # fmt: skip


def _refusals(people: Sequence[Borrower]) -> list[dict[str, Any]]:
    return [
        {
            "id": f"still-down-{number}",
            "match": {
                "endpoint": "POST /v1/checks",
                "field": "person.document.number",
                "equals": person.data["applicant"]["document"]["number"],
            },
            "do": {"status": 503},
        }
        for number, person in enumerate(people)
    ]
