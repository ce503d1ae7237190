"""Reading on from a number misses no event, whoever commits late; tenants read their own alone."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import asyncpg
import pytest

from adapters.postgres.database import Database
from adapters.postgres.live import LiveEvents
from models.domain.errors import Unavailable
from models.domain.events import OwnedEvent

pytestmark = pytest.mark.stack

LIMIT = 1_000


async def write(lending: Any, tenant: str, *keys: str) -> None:
    async with lending.app.transaction(tenant) as tx:
        for key in keys:
            await tx.record("system", "offer.accepted", key, {}, key=key)


async def read_on(events: LiveEvents, tenant: str, after: int) -> tuple[list[OwnedEvent], int]:
    upto = (await events.settled()).settled
    return await events.page(tenant, after, upto, LIMIT), upto


def keys(page: list[OwnedEvent]) -> list[str]:
    return [each.event.key for each in page]


async def test_reading_stops_before_what_is_still_undecided(lending: Any) -> None:
    events, tenant = LiveEvents(lending.app), lending.tenant()
    after = (await events.settled()).settled
    async with lending.app.transaction(tenant) as slow:
        await slow.record("system", "offer.accepted", "app_slow", {}, key="app_slow")
        await write(lending, tenant, "app_quick")
        assert await lending.published(tenant) == ["offer.accepted"]  # the later one is visible
        state = await events.settled()
        assert state.settled < state.drawn
        page, upto = await read_on(events, tenant, after)
        assert keys(page) == []
    page, upto = await read_on(events, tenant, upto)
    assert keys(page) == ["app_slow", "app_quick"]


async def test_what_was_rolled_back_holds_nobody_back(lending: Any) -> None:
    events, tenant = LiveEvents(lending.app), lending.tenant()
    after = (await events.settled()).settled

    async def fail() -> None:
        async with lending.app.transaction(tenant) as doomed:
            await doomed.record("system", "offer.accepted", "app_never", {}, key="app_never")
            await write(lending, tenant, "app_kept")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    page, _ = await read_on(events, tenant, after)
    assert keys(page) == ["app_kept"]
    state = await events.settled()
    assert state.settled == state.drawn


async def test_an_open_transaction_without_events_holds_nobody_back(lending: Any) -> None:
    events, tenant = LiveEvents(lending.app), lending.tenant()
    await lending.application(tenant)
    after = (await events.settled()).settled
    async with lending.app.transaction(tenant) as idle:
        await idle.execute("UPDATE applications SET updated_at = now()")
        await write(lending, tenant, "app_1")
        page, _ = await read_on(events, tenant, after)
        assert keys(page) == ["app_1"]


async def test_many_writers_and_a_reader_that_goes_on_from_where_it_was(lending: Any) -> None:
    """Each event once, in the order of numbers, although commits come in another order."""
    events, tenant, chance = LiveEvents(lending.app), lending.tenant(), random.Random(7)
    after = (await events.settled()).settled
    writers_left = 6

    async def writer(number: int) -> None:
        nonlocal writers_left
        for turn in range(25):
            async with lending.app.transaction(tenant) as tx:
                for key in chance.sample(range(12), 2):
                    name = f"app_{number}_{key}_{turn}"
                    await tx.record("system", "offer.accepted", name, {}, key=name)
                    await asyncio.sleep(chance.random() * 0.004)
        writers_left -= 1

    async def reader() -> list[OwnedEvent]:
        found: list[OwnedEvent] = []
        at = after
        while True:
            ended = writers_left == 0
            page, at = await read_on(events, tenant, at)
            found += page
            if ended:
                return found

    read, *_ = await asyncio.gather(reader(), *(writer(number) for number in range(6)))
    numbers = [each.event.seq for each in read]
    written = await lending.rows("SELECT seq FROM outbox WHERE tenant_id = $1 ORDER BY seq", tenant)
    assert len(numbers) == 300
    assert numbers == [row["seq"] for row in written]


async def test_an_event_tells_whose_application_it_is_of(lending: Any) -> None:
    events, tenant = LiveEvents(lending.app), lending.tenant()
    after = (await events.settled()).settled
    application = await lending.application(tenant, "ada")
    await write(lending, tenant, "ada")
    page, _ = await read_on(events, tenant, after)
    assert [(each.event.key, each.owner) for each in page] == [
        (application.application_id, "ada"), ("ada", None),
    ]  # fmt: skip
    assert await events.owner(tenant, application.application_id) == "ada"


async def test_another_tenants_events_are_not_there(lending: Any) -> None:
    events, tenant, other = LiveEvents(lending.app), lending.tenant(), lending.tenant()
    application = await lending.application(tenant)
    assert await events.page(other, 0, 10**9, LIMIT) == []
    assert await events.owner(other, application.application_id) is None
    # Not for want of asking: the role itself sees no other tenant's rows.
    async with lending.app.transaction(other) as tx:
        assert await tx.value("SELECT count(*) FROM outbox WHERE tenant_id = $1", tenant) == 0
    async with lending.app.transaction(tenant) as tx:
        assert await tx.value("SELECT count(*) FROM outbox WHERE tenant_id = $1", tenant) > 0


async def test_pages_go_on_where_they_end(lending: Any) -> None:
    events, tenant = LiveEvents(lending.app), lending.tenant()
    await write(lending, tenant, *(f"app_{number}" for number in range(5)))
    upto = (await events.settled()).settled
    first = await events.page(tenant, 0, upto, 3)
    rest = await events.page(tenant, first[-1].event.seq, upto, 3)
    assert keys(first + rest) == [f"app_{number}" for number in range(5)]


async def test_a_commit_is_heard_with_its_tenant(lending: Any) -> None:
    events, tenant = LiveEvents(lending.app), lending.tenant()
    told: asyncio.Queue[str] = asyncio.Queue()
    async with events.listening(told.put_nowait) as settled:
        before = await settled()
        await write(lending, tenant, "app_1", "app_2")
        async with asyncio.timeout(60):
            while await told.get() != tenant:
                pass
        assert (await settled()).settled > before.settled


async def test_a_lost_connection_is_noticed_by_who_asks_over_it(lending: Any) -> None:
    # Its one connection is its own: nobody else's is to be lost.
    dsn = lending.cluster.dsn(lending.name, "app")
    alone = await Database.connect(dsn, lending.keyring, max_size=1)

    async def lose_it() -> None:
        async with alone.transaction("platform") as tx:
            pid = await tx.value("SELECT pg_backend_pid()")
        async with LiveEvents(alone).listening(lambda _: None) as settled:
            await lending.execute("SELECT pg_terminate_backend($1)", pid)
            await settled()

    with pytest.raises(Unavailable):
        await lose_it()
    await alone.close()


async def test_no_role_may_delete_an_event(lending: Any) -> None:
    """What may be resumed from stays: an id is refused by its age alone."""
    for role in ("app", "chain", "relay"):
        connection = await asyncpg.connect(lending.cluster.dsn(lending.name, role))
        try:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("DELETE FROM outbox")
        finally:
            await connection.close()
