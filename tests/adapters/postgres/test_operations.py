"""What operators may read and must leave behind: nothing sealed, nothing of other tenants."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.postgres.operations import PostgresOperations, Search
from models.domain.application import ApplicationEnding, Stage, State
from models.domain.errors import Conflict, NotFound, Refused
from models.domain.operations import Command

pytestmark = pytest.mark.stack

ADA = Command("ada", "ticket 4711")


@pytest.fixture
def operations(lending: Any) -> PostgresOperations:
    return PostgresOperations(lending.app, lending.relay)


async def test_an_application_is_found_by_its_id_alone(
    lending: Any, operations: PostgresOperations
) -> None:
    ref = await lending.application(user_id="found-by-id")
    assert await operations.find(ref.application_id, None) == ref
    assert await operations.find(ref.application_id, ref.tenant_id) == ref


async def test_an_application_is_found_by_its_user(
    lending: Any, operations: PostgresOperations
) -> None:
    ref = await lending.application(user_id="found-by-user")
    assert await operations.find("found-by-user", None) == ref


async def test_of_several_the_newest_are_named(
    lending: Any, operations: PostgresOperations
) -> None:
    first = await lending.application(user_id="twice")
    second = await lending.application(first.tenant_id, user_id="twice")
    with pytest.raises(Conflict, match="SEVERAL_APPLICATIONS") as refused:
        await operations.find("twice", first.tenant_id)
    assert refused.value.detail.index(second.application_id) < refused.value.detail.index(
        first.application_id
    )


async def test_what_another_tenant_has_is_unknown(
    lending: Any, operations: PostgresOperations
) -> None:
    ref = await lending.application()
    for key, tenant in ((ref.application_id, lending.tenant()), ("app_" + "0" * 32, None)):
        with pytest.raises(NotFound, match="APPLICATION_UNKNOWN"):
            await operations.find(key, tenant)


async def test_without_the_relays_role_the_tenant_must_be_said(lending: Any) -> None:
    ref = await lending.application()
    alone = PostgresOperations(lending.app, None)
    assert await alone.find(ref.application_id, ref.tenant_id) == ref
    with pytest.raises(Refused, match="TENANT_NEEDED"):
        await alone.find(ref.application_id, None)
    with pytest.raises(Refused, match="TENANT_NEEDED"):
        await alone.page(Search(), 10, newest_first=True)


async def test_pages_go_through_everything_once_in_the_order_of_age(
    lending: Any, operations: PostgresOperations
) -> None:
    tenant = lending.tenant()
    refs = [await lending.application(tenant, f"person-{number}") for number in range(5)]
    for newest_first in (False, True):
        seen, place = [], None
        while True:
            found, place = await operations.page(
                Search(tenant), 2, newest_first=newest_first, after=place
            )
            seen += found
            if place is None:
                break
        assert seen == (refs[::-1] if newest_first else refs)


async def test_searches_are_answered_with_what_was_asked_for(
    lending: Any, operations: PostgresOperations
) -> None:
    tenant = lending.tenant()
    open_one = await lending.application(tenant, "open")
    closed = await lending.application(tenant, "closed")
    await lending.endings.close(closed, ApplicationEnding(State.DECLINED, ("X",)))
    soon = datetime.now(UTC) + timedelta(minutes=1)
    for search, expected in (
        (Search(tenant), [closed, open_one]),
        (Search(tenant, state=State.DECLINED), [closed]),
        (Search(tenant, stage=Stage.IDENTITY), [open_one]),
        (Search(tenant, only_open=True), [open_one]),
        (Search(tenant, since=soon), []),
        (Search(tenant, State.DECLINED, Stage.IDENTITY), []),
    ):
        found, _ = await operations.page(search, 10, newest_first=True)
        assert found == expected, search
    everywhere, _ = await operations.page(Search(), 10_000, newest_first=True)
    assert {open_one, closed} <= set(everywhere)


async def test_a_standing_tells_of_the_start_and_of_the_verification(
    lending: Any, operations: PostgresOperations
) -> None:
    ref = await lending.application()
    submitted = await operations.standing(ref)
    assert (submitted.state, submitted.stage) == (State.PROCESSING, Stage.IDENTITY)
    assert submitted.intended_at is not None
    assert not submitted.unanswered
    await lending.kyc.join(ref)
    joined = await operations.standing(ref)
    assert joined.intended_at is None
    assert joined.unanswered


async def test_nothing_that_is_read_is_personal(
    lending: Any, operations: PostgresOperations
) -> None:
    ref = await lending.application(given_name="Quirinella")
    await lending.offered(ref)
    shown = json.dumps(await operations.records(ref), default=str)
    assert "bank-0" in shown
    for personal in ("Quirinella", "100-10-0001", "ada@example.org", "P1234567", "0x" + "11" * 20):
        assert personal not in shown


async def test_what_an_operator_does_is_in_the_trail_and_publishes_nothing(
    lending: Any, operations: PostgresOperations
) -> None:
    ref = await lending.application()
    published = await lending.published(ref.tenant_id)
    await operations.audit(ref, ADA, "operations.retry", {"stuck": ["not_started"]})
    [row] = await lending.rows(
        "SELECT actor, subject_id, detail::text FROM audit_log WHERE tenant_id = $1"
        " AND action = 'operations.retry'", ref.tenant_id,
    )  # fmt: skip
    assert (row["actor"], row["subject_id"]) == ("ada", ref.application_id)
    assert json.loads(row["detail"]) == {"reason": "ticket 4711", "stuck": ["not_started"]}
    assert await lending.published(ref.tenant_id) == published
