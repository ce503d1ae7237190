"""Connections are handed on unreset: what one user leaves behind, the next must not find."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from adapters.postgres.database import Database

pytestmark = pytest.mark.stack

TASK = 7399


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def single(lending: Any) -> AsyncIterator[Database]:
    """One connection, so that the next user gets the last one's."""
    dsn = lending.cluster.dsn(lending.name, "relay")
    database = await Database.connect(dsn, lending.keyring, max_size=1)
    yield database
    await database.close()


async def locks(lending: Any) -> int:
    held: int = await lending.value(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = $1", TASK
    )
    return held


async def test_a_tenant_does_not_outlive_its_transaction(single: Database) -> None:
    async with single.transaction("acme") as tx:
        assert await tx.value("SELECT current_setting('app.tenant_id')") == "acme"
    async with single.session() as session:
        connection = session._connection
        assert await connection.fetchval("SELECT current_setting('app.tenant_id', true)") == ""


async def test_a_failed_transaction_leaves_nothing_to_the_next(single: Database) -> None:
    async def fail() -> None:
        async with single.transaction("acme") as tx:
            await tx.execute("CREATE TEMPORARY TABLE half (done text) ON COMMIT DROP")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with single.transaction("globex") as tx:
        assert await tx.value("SELECT to_regclass('half')") is None
        assert await tx.value("SELECT current_setting('app.tenant_id')") == "globex"


async def test_a_session_gives_back_its_lock_and_stops_listening(
    single: Database, lending: Any
) -> None:
    async with single.session() as session:
        assert await session.lock(TASK)
        await session.listen("outbox")
        assert await locks(lending) == 1
    assert await locks(lending) == 0
    async with single.transaction("platform") as tx:
        assert await tx.rows("SELECT pg_listening_channels()") == []


async def test_a_cancelled_session_gives_back_its_lock(single: Database, lending: Any) -> None:
    locked = asyncio.Event()

    async def hold() -> None:
        async with single.session() as session:
            await session.lock(TASK)
            locked.set()
            await asyncio.Event().wait()

    holding = asyncio.create_task(hold())
    await locked.wait()
    holding.cancel()
    await asyncio.wait({holding})
    async with asyncio.timeout(60):
        while await locks(lending):
            await asyncio.sleep(0.02)
    assert await single.ready()


async def test_a_session_that_cannot_be_cleared_is_not_handed_on(
    single: Database, lending: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise asyncio.CancelledError

    async def hold() -> None:
        async with single.session() as session:
            await session.lock(TASK)
            # The proxy hands every call on to the connection behind it.
            monkeypatch.setattr(type(session._connection._con), "reset", refuse)

    with pytest.raises(asyncio.CancelledError):
        await hold()
    monkeypatch.undo()
    async with asyncio.timeout(60):
        while await locks(lending):
            await asyncio.sleep(0.02)
    assert await single.ready()
