"""The running product as outsiders see it; every test is a new person of a new tenant."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowExecutionStatus

from sandbox.stack import Stack
from tests.e2e.outside import Journals, Loan, Node, Truth, World, eventually


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(stack: Stack) -> AsyncIterator[World]:
    """The product, the chain, the database and the counterparties, each asked directly."""
    async with httpx.AsyncClient(base_url=stack.api_url, trust_env=False, timeout=120.0) as http:
        truth = await Truth.connect(stack)
        yield World(stack, http, Node(http, stack.chain.rpc_url), truth, Journals(stack))
        await truth.close()


@pytest.fixture
async def temporal(stack: Stack) -> Client:
    """A client without keys: it sees of Temporal what Temporal's own operators see."""
    return await Client.connect(stack.temporal.address, namespace=stack.temporal.namespace)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def loan(world: World) -> Loan:
    """A loan to somebody whose data occurs nowhere else; its workflow has ended, too."""
    canary = secrets.token_hex(4)
    stated = {
        "applicant.given_name": f"Zéphyrine{canary}",
        "applicant.family_name": f"Quackenbosh{canary}",
        "applicant.email": f"zq.{canary}@canary.example",
        "applicant.address.line1": f"{canary} Mockingbird Lane",
        "applicant.document.number": f"D{canary.upper()}",
        "applicant.born_on": "1957-03-29",
    }
    person = world.person(stated)
    loan = Loan(person, await world.fund(person), (*stated.values(), "100-10-0001"))
    temporal = world.stack.temporal
    client = await Client.connect(temporal.address, namespace=temporal.namespace)
    workflow = client.get_workflow_handle(loan.workflow_ids()[0])

    async def ended() -> bool:
        return (await workflow.describe()).status is WorkflowExecutionStatus.COMPLETED

    await eventually("the application's workflow has ended", ended)
    return loan
