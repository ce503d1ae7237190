"""One loan at a time: how long each part of its way takes, and how much history it writes."""

from __future__ import annotations

import statistics
import time
from typing import Final

import httpx
from temporalio.client import Client

from bench.figure import Figure
from models.domain.ids import (
    application_workflow_id,
    kyc_workflow_id,
    risk_workflow_id,
    settlement_workflow_id,
)
from sandbox.borrower import Borrower, persona
from sandbox.services.state_dir import hold
from sandbox.stack import Stack, StackOptions, forget_earlier_run
from settings import ROOT

LOANS: Final = 7
STATE_DIR: Final = ROOT / ".run" / "bench"
LIMIT_S: Final = 60.0


async def measure() -> list[Figure]:
    """Medians over a few loans, one after the other, each by a new person."""
    with hold(STATE_DIR):
        forget_earlier_run(STATE_DIR)
        stack = Stack(STATE_DIR, StackOptions(headless=True))
        try:
            started = time.monotonic()
            await stack.start()
            up_s = time.monotonic() - started
            loans = [await _loan(stack, number) for number in range(LOANS)]
        finally:
            await stack.stop()
    offered, final, events, own = (
        statistics.median(loan[part] for loan in loans) for part in range(4)
    )
    return [
        Figure("loan.stack_up", round(up_s, 2), "s"),
        Figure("loan.apply_to_offer", round(offered, 3), "s"),
        Figure("loan.accept_to_final", round(final, 3), "s"),
        Figure("loan.events", events, "events in four workflows"),
        Figure("loan.events_own", own, "events in the application's workflow"),
    ]


async def _loan(stack: Stack, number: int) -> tuple[float, float, float, float]:
    assert stack.deployment is not None
    data = {**persona("approved"), "user_id": f"person-{number}"}
    token = stack.token(data["user_id"], data["tenant"], "applicant")
    async with httpx.AsyncClient(base_url=stack.api_url, trust_env=False, timeout=30.0) as http:
        borrower = Borrower.of(http, data, stack.seed, stack.deployment, token)
        applied = time.monotonic()
        application_id = await borrower.apply()
        offered = await borrower.until(application_id, "offered", timeout_s=LIMIT_S)
        accepted = time.monotonic()
        await borrower.accept(application_id, offered["offers"][0])
        ended = await borrower.until(application_id, "funded", timeout_s=LIMIT_S)
        if ended["state"] != "funded":
            raise RuntimeError(f"the loan ended as {ended['state']}: {ended['reasons']}")
        final = time.monotonic()
    own, together = await _events(stack, data["tenant"], data["user_id"], application_id)
    return accepted - applied, final - accepted, together, own


async def _events(stack: Stack, tenant: str, user_id: str, application_id: str) -> tuple[int, int]:
    """History events as the server counts them: the application's own, and of all four."""
    client = await Client.connect(stack.temporal.address, namespace=stack.temporal.namespace)
    counts = []
    for workflow_id in (
        application_workflow_id(tenant, application_id),
        kyc_workflow_id(tenant, user_id),
        risk_workflow_id(tenant, application_id),
        settlement_workflow_id(tenant, application_id),
    ):
        description = await client.get_workflow_handle(workflow_id).describe()
        counts.append(description.history_length)
    return counts[0], sum(counts)
