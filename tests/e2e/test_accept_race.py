"""Twenty accepts at once for each of a few applications: one is taken, and money moves once."""

from __future__ import annotations

import secrets

import httpx
import pytest
import pytest_asyncio

from bench.race import PER_APPLICATION, Result, race
from tests.e2e.outside import World

pytestmark = pytest.mark.stack

APPLICATIONS = 6


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def raced(world: World) -> Result:
    """A race of a few; every third one's lender hangs up on the acceptance it has heard."""
    limits = httpx.Limits(max_connections=60)
    async with httpx.AsyncClient(
        base_url=world.stack.api_url, trust_env=False, timeout=180, limits=limits
    ) as http:
        return await race(
            world.stack, http, APPLICATIONS, tenant=f"race-{secrets.token_hex(6)}",
            racing=3, swallowing=3,
        )  # fmt: skip


async def test_no_application_has_two_accepted_offers(raced: Result) -> None:
    assert raced.two_accepted == []


async def test_what_was_promised_is_on_record_and_paid_out(raced: Result) -> None:
    assert raced.lost == []


async def test_lenders_that_hung_up_have_one_effect_for_each_key(raced: Result) -> None:
    assert raced.swallowed == 2
    assert raced.double_effects == []


async def test_everybody_was_told_what_became_of_their_accept(raced: Result) -> None:
    assert raced.total == APPLICATIONS * PER_APPLICATION
    # A double click, and the same acceptance under other keys, are one; all others came too late.
    assert raced.answers["200"] >= APPLICATIONS
    known = {
        "200", "409 ALREADY_ACCEPTED", "409 REQUEST_IN_FLIGHT", "409 OFFER_EXPIRED",
        "409 OFFER_NOT_OPEN", "409 APPLICATION_NOT_WAITING", "409 APPLICATION_CLOSED",
        "422 OFFER_UNKNOWN", "404 NOT_FOUND", "503 TOO_BUSY",
    }  # fmt: skip
    assert set(raced.answers) <= known
    assert raced.answers["404 NOT_FOUND"] == APPLICATIONS
    assert 0 < raced.answers["422 OFFER_UNKNOWN"] <= APPLICATIONS
