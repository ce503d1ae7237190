"""Support staff at work on the running product: nothing they do pays or decides twice."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from adapters.operations.examining import Examiner
from adapters.operations.workflows import TemporalDesk
from adapters.postgres.database import Database
from adapters.postgres.operations import PostgresOperations, Search
from adapters.temporal import connect
from adapters.vault import Keyring
from sandbox.borrower import Borrower
from sandbox.steering import steer, unsteer
from settings import ROOT
from tests.e2e.outside import World, eventually

pytestmark = pytest.mark.stack

TENANT = "tenant-of-the-stuck"
AS_ADA = ("--operator", "ada", "--reason", "ticket 4711")


@dataclass(frozen=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    def documents(self) -> list[dict[str, Any]]:
        """What it printed as JSON lines."""
        assert "Traceback" not in self.err, self.err
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Desk:
    """The command line, in a process of its own with the product's settings."""

    world: World

    async def run(self, *arguments: str) -> Said:
        """`cli.py applications …`"""
        inherited = {name: text for name, text in os.environ.items() if name[:5] != "CAAS_"}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "cli.py", "applications", *arguments,
            cwd=ROOT, env={**inherited, **self.world.stack.environment()},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode is not None
        return Said(process.returncode, out.decode(), err.decode())


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


@dataclass(frozen=True)
class Money:
    """Everything that could be doubled: by the chain's word, and by the rows'."""

    balance: int
    disbursements: int
    settlements: int
    loans: int
    bank_confirmations: int
    reports_bought: int
    row: dict[str, Any]


async def money_of(world: World, person: Borrower, application_id: str) -> Money:
    at, tenant = person.deployment, person.data["tenant"]
    [row] = await world.truth.rows(
        "SELECT stage, state, version, reasons, accepted_offer_id FROM applications"
        " WHERE application_id = $1", application_id,
    )  # fmt: skip
    reference = await world.truth.value(
        "SELECT loan_reference FROM settlements WHERE application_id = $1", application_id
    )

    async def count(table: str) -> int:
        return int(
            await world.truth.value(f"SELECT count(*) FROM {table} WHERE tenant_id = $1", tenant)
        )

    return Money(
        balance=await world.node.balance_of(at.token, person.wallet.address),
        disbursements=len(await world.node.disbursements(at.aggregator, reference)),
        settlements=await count("settlements"),
        loans=await count("loans"),
        bank_confirmations=len(world.journals.effects("bank", "offer.confirmed", application_id)),
        reports_bought=len(world.journals.effects("bureau", "report.billed", application_id)),
        row=row,
    )


async def outcome_of(temporal: Client, workflow_id: str, run_id: str) -> str:
    """How a run ended, as Temporal has it."""
    handle = temporal.get_workflow_handle(workflow_id, run_id=run_id)

    async def ended() -> Any:
        status = (await handle.describe()).status
        return None if status is WorkflowExecutionStatus.RUNNING else status

    return str((await eventually("the new run ends", ended)).name)


async def audited(world: World, application_id: str) -> list[dict[str, Any]]:
    """What operators did with an application, as the trail has it."""
    return await world.truth.rows(
        "SELECT actor, action, detail FROM audit_log WHERE subject_id = $1"
        " AND action LIKE 'operations.%' ORDER BY seq", application_id,
    )  # fmt: skip


async def test_a_reset_to_scoring_after_settlement_pays_nobody_twice(
    world: World, desk: Desk, temporal: Client
) -> None:
    person = world.person()
    view = await world.fund(person)
    application_id, tenant = view["application_id"], person.data["tenant"]
    before = await money_of(world, person, application_id)
    assert (before.disbursements, before.settlements, before.loans) == (1, 1, 1)

    # Shown first: what would run, what is skipped, and nothing is changed.
    shown = await desk.run("reset", application_id, "--to", "scoring", "--json")
    [plan] = shown.documents()
    skipped = {step["name"]: step["words"] for step in plan["again"] if step["skipped"]}
    assert {"RiskScoringWorkflow", "decide_credit", "collect_offers"} <= set(skipped)
    assert skipped["SettlementWorkflow"].startswith("never signed again: settlement set_")
    assert "has ended as funded: that stands" in plan["notes"][0]
    assert plan["new_run_id"] is None
    assert await audited(world, application_id) == []

    done = await desk.run(
        "reset", application_id, "--tenant", tenant, "--to", "scoring", "--yes", "--json", *AS_ADA
    )
    [plan] = done.documents()
    assert done.code == 0
    ended = await outcome_of(temporal, plan["workflow_id"], plan["new_run_id"])
    assert ended == "COMPLETED", ended
    assert await money_of(world, person, application_id) == before
    again = await person.view(application_id)
    assert again["state"] == "funded"
    assert again["transaction"]["tx_hash"] == view["transaction"]["tx_hash"]

    intended, told = await audited(world, application_id)
    assert (intended["actor"], intended["action"]) == ("ada", "operations.reset")
    assert intended["detail"]["reason"] == "ticket 4711"
    assert intended["detail"]["checkpoint"] == "scoring"
    assert told["detail"]["new_run_id"] == plan["new_run_id"]
    replayed = await desk.run("replay", application_id)
    assert (replayed.code, replayed.out.count(": OK")) == (0, 4), replayed


async def test_a_reset_while_the_settlement_is_open_leaves_it_alone(
    world: World, desk: Desk, temporal: Client
) -> None:
    person = world.person()
    offered = await world.apply_until(person, "offered")
    application_id, tenant = offered["application_id"], person.data["tenant"]
    settlement_id = f"settlement/{tenant}/{application_id}"
    await world.node.call("evm_setIntervalMining", 0)
    try:
        await person.accept(application_id, offered["offers"][0])

        async def sent() -> Any:
            return await world.truth.value(
                "SELECT tx_hash FROM settlements WHERE application_id = $1 AND state = 'broadcast'",
                application_id,
            )

        tx_hash = await eventually("the transaction is broadcast", sent)
        run_id = (await temporal.get_workflow_handle(settlement_id).describe()).run_id
        done = await desk.run(
            "reset", application_id, "--to", "scoring", "--yes", "--json", *AS_ADA
        )
        [plan] = done.documents()
        assert plan["children"] == [
            f"{settlement_id} stays open and untouched; the new run follows its record"
        ]
        described = await temporal.get_workflow_handle(settlement_id).describe()
        assert (described.run_id, described.status) == (run_id, WorkflowExecutionStatus.RUNNING)
    finally:
        await world.node.call("evm_setIntervalMining", world.stack.options.block_time_s)
    await world.until(person, application_id, "funded")
    assert await outcome_of(temporal, plan["workflow_id"], plan["new_run_id"]) == "COMPLETED"
    money = await money_of(world, person, application_id)
    assert (money.balance, money.disbursements, money.settlements) == (5_000 * 10**6, 1, 1)
    view = await person.view(application_id)
    assert view["transaction"]["tx_hash"] == tx_hash


async def test_a_bulk_retry_tells_what_truly_recovered(
    world: World, desk: Desk, temporal: Client
) -> None:
    """100 stuck applications, 60 of which can go on: 40 whose vendor is back, 10 whose workflows
    somebody had terminated, 10 whose verifications; of the others the vendor still refuses 20 and
    20 have keys that no longer open.
    """
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
            await _terminate(temporal, f"credit-application/{TENANT}/{ids[number]}")
        for number in range(50, 60):
            user_id = people[number].data["user_id"]
            await _terminate(temporal, f"kyc/{TENANT}/{user_id}")
        await _spoil_keys(world, people[80:])
        await steer(world.stack, "identity_vendor", _refusals(people[60:80]))
        # The vendor comes back when the search for stuck ones is over: nobody recovered before.
        retrying = asyncio.create_task(
            desk.run("retry", "--all-stuck", "--tenant", TENANT, "--wait", "20", "--json", *AS_ADA)
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


async def test_what_is_not_stuck_is_left_alone(world: World, desk: Desk) -> None:
    person = world.person()
    offered = await world.apply_until(person, "offered")
    said = await desk.run("retry", person.data["user_id"], *AS_ADA)
    assert said.code == 0
    assert "not stuck  nothing is stuck: it is offered" in said.out
    assert await audited(world, offered["application_id"]) == []


async def test_what_is_shown_names_nobody(world: World, desk: Desk, tmp_path: Path) -> None:
    stated = {"applicant.given_name": "Quirinella", "applicant.email": "quirinella@canary.example"}
    person = world.person(stated)
    offered = await world.apply_until(person, "offered")
    application_id, tenant = offered["application_id"], person.data["tenant"]
    shown, listed, kept = await asyncio.gather(
        desk.run("show", application_id),
        desk.run("list", "--tenant", tenant, "--state", "offered", "--since", "1h", "--json"),
        desk.run("replay", application_id, "--save", str(tmp_path)),
    )
    assert (shown.code, listed.code, kept.code) == (0, 0, 0)
    for words in (
        f"credit-application/{tenant}/{application_id}",
        "says: 1 offer(s) open" if len(offered["offers"]) == 1 else "offer(s) open",
        "timer until",
        "phase=eligibility  outcome=allow",
    ):
        assert words in shown.out, (words, shown.out)
    assert [each["application_id"] for each in listed.documents()] == [application_id]
    for canary in (*stated.values(), person.data["applicant"]["national_id"], "Mockingbird"):
        assert canary not in shown.out + listed.out
    # A history that another code has written is noticed, from the file alone.
    [path] = tmp_path.glob("credit-application.*")
    assert "Quirinella" not in path.read_text("utf-8")
    path.write_text(path.read_text("utf-8").replace("collect_offers", "collect_quotes"))
    replayed = await desk.run("replay", "--file", str(path))
    assert replayed.code == 1
    assert "takes another way than this history" in replayed.out


async def test_nobody_acts_without_a_name_and_a_reason(world: World, desk: Desk) -> None:
    person = world.person()
    application_id = await person.apply()
    nameless, silent, absent = await asyncio.gather(
        desk.run("retry", application_id, "--reason", "because"),
        desk.run("reset", application_id, "--to", "identity", "--yes", "--operator", "ada"),
        desk.run("show", "app_" + "0" * 32),
    )
    assert (nameless.code, silent.code, absent.code) == (1, 1, 1)
    assert nameless.err.strip().startswith("OPERATOR_NEEDED: say who you are")
    assert silent.err.strip().startswith("REASON_NEEDED: say why")
    assert absent.err.strip() == "APPLICATION_UNKNOWN: app_" + "0" * 32
    assert await audited(world, application_id) == []


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


async def _terminate(temporal: Client, workflow_id: str) -> None:
    await temporal.get_workflow_handle(workflow_id).terminate("a slip of the hand")


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
