"""One real loan, and what the chain and the servers themselves say of it."""

from __future__ import annotations

import uuid

import httpx
import pytest

from sandbox.borrower import Borrower, persona
from sandbox.stack import Stack

pytestmark = pytest.mark.stack


def borrower_of(stack: Stack, http: httpx.AsyncClient, name: str = "approved") -> Borrower:
    """A persona as a new person of a new tenant."""
    tenant = f"tenant-{uuid.uuid4().hex[:12]}"
    data = {**persona(name), "tenant": tenant, "user_id": f"user-{uuid.uuid4().hex[:12]}"}
    assert stack.deployment is not None
    token = stack.token(data["user_id"], tenant, "applicant")
    return Borrower.of(http, data, stack.seed, stack.deployment, token)


async def test_an_approved_applicant_is_funded(stack: Stack, http: httpx.AsyncClient) -> None:
    borrower = borrower_of(stack, http)
    application_id = await borrower.apply()
    offered = await borrower.until(application_id, "offered", timeout_s=60)
    assert offered["state"] == "offered", offered
    await borrower.accept(application_id, offered["offers"][0])
    funded = await borrower.until(application_id, "funded", timeout_s=60)
    assert funded["state"] == "funded", funded
    assert funded["transaction"]["settlement_state"] == "final"
    assert funded["loan"]["amount_minor"] == 500_000
