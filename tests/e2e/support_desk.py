"""Support staff's command line in a process of its own, and what nothing it does may double."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus

from sandbox.borrower import Borrower
from settings import ROOT
from tests.e2e.outside import World, eventually

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
    handle = temporal.get_workflow_handle(workflow_id, run_id=run_id or None)

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


async def terminate(temporal: Client, workflow_id: str) -> None:
    await temporal.get_workflow_handle(workflow_id).terminate("a slip of the hand")
