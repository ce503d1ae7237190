"""Support staff at work on the running product: nothing they do pays or decides twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from tests.e2e.outside import World, eventually
from tests.e2e.support_desk import AS_ADA, Desk, audited, money_of, outcome_of, terminate

pytestmark = pytest.mark.stack


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


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
        tx_hash = await eventually("the transaction is sent", lambda: _sent(world, application_id))
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


async def test_a_settlement_that_was_terminated_is_seen_through_and_pays_once(
    world: World, desk: Desk, temporal: Client
) -> None:
    person = world.person()
    offered = await world.apply_until(person, "offered")
    application_id, tenant = offered["application_id"], person.data["tenant"]
    own = temporal.get_workflow_handle(f"credit-application/{tenant}/{application_id}")
    await world.node.call("evm_setIntervalMining", 0)
    try:
        await person.accept(application_id, offered["offers"][0])
        tx_hash = await eventually("the transaction is sent", lambda: _sent(world, application_id))
        await terminate(temporal, f"settlement/{tenant}/{application_id}")

        async def failed() -> bool:
            return (await own.describe()).status is WorkflowExecutionStatus.FAILED

        await eventually("the application's workflow fails with it", failed)
        said = await desk.run("retry", application_id, "--json", *AS_ADA)
        [result, _] = said.documents()
        assert (said.code, result["outcome"]) == (0, "recovered"), result
        assert [each["condition"] for each in result["stuck"]] == ["workflow_broken"] * 2
    finally:
        await world.node.call("evm_setIntervalMining", world.stack.options.block_time_s)
    view = await world.until(person, application_id, "funded")
    assert view["transaction"]["tx_hash"] == tx_hash
    money = await money_of(world, person, application_id)
    assert (money.balance, money.disbursements, money.settlements) == (5_000 * 10**6, 1, 1)
    assert await outcome_of(temporal, own.id, "") == "COMPLETED"


async def test_support_staff_look_and_are_refused_without_a_trace(
    world: World, desk: Desk, tmp_path: Path
) -> None:
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
        "offer(s) open, best",
        "timer until",
        "phase=eligibility  outcome=allow",
    ):
        assert words in shown.out, (words, shown.out)
    assert [each["application_id"] for each in listed.documents()] == [application_id]
    histories = "".join(path.read_text("utf-8") for path in tmp_path.iterdir())
    applicant = person.data["applicant"]
    personal = (applicant["national_id"], applicant["address"]["line1"], person.wallet.address)
    for canary in (*stated.values(), *personal):
        assert canary not in shown.out + listed.out + histories

    # What is not stuck is left alone, what was not reached is not gone back to.
    alone, early, nameless, absent = await asyncio.gather(
        desk.run("retry", person.data["user_id"], *AS_ADA),
        desk.run("reset", application_id, "--to", "settlement", "--yes", *AS_ADA),
        desk.run("reset", application_id, "--to", "identity", "--yes"),
        desk.run("show", "app_" + "0" * 32),
    )
    assert (alone.code, early.code, nameless.code, absent.code) == (0, 1, 1, 1)
    assert "not stuck  nothing is stuck: it is offered" in alone.out
    assert early.err.startswith("CHECKPOINT_NOT_REACHED: it has not come to settlement")
    assert nameless.err.startswith("OPERATOR_NEEDED: say who you are")
    assert absent.err == f"APPLICATION_UNKNOWN: app_{'0' * 32}\n"
    assert await audited(world, application_id) == []


async def _sent(world: World, application_id: str) -> Any:
    """The hash of the settlement's transaction, once it was broadcast."""
    return await world.truth.value(
        "SELECT tx_hash FROM settlements WHERE application_id = $1 AND state = 'broadcast'",
        application_id,
    )
