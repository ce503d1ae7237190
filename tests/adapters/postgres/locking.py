"""In which order rows are locked: two who lock in opposite orders wait for each other."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from tests.adapters.postgres.receivers import settled


async def waits_empty_handed(
    lending: Any, tenant_id: str, act: Coroutine[Any, Any, Any], first: str, then: str
) -> None:
    """Assert that whoever waits for a tenant's rows of one table has locked none of the other."""
    async with lending.superuser() as connection:
        async with connection.transaction():
            await connection.execute(
                f"SELECT FROM {first} WHERE tenant_id = $1 FOR UPDATE", tenant_id
            )
            own = await connection.fetchval("SELECT pg_backend_pid()")
            under_way = asyncio.create_task(act)

            async def waits() -> bool:
                assert not under_way.done(), "nobody waited"
                blocked = (
                    "SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))"
                )
                return await lending.value(blocked, own) > 0

            await settled(waits)
            # Raises LockNotAvailableError where somebody has one of them.
            await connection.execute(
                f"SELECT FROM {then} WHERE tenant_id = $1 FOR UPDATE NOWAIT", tenant_id
            )
        await under_way
