"""Committed events as live updates read them: one tenant at a time, under its own row security.

Numbers of events are drawn before their transactions commit, so a later number may be seen first.
Reading stops at what `settled_events` (migration 0002) says is settled: up to there nothing will
turn up any more, and whoever goes on from a number misses nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from adapters.postgres.database import PLATFORM, Database, Transaction
from adapters.postgres.outbox import CHANNEL
from models.domain.events import Event, OwnedEvent, Settled

_PAGE: Final = (
    "SELECT o.seq, o.event_id, o.tenant_id, o.key, o.type, o.data, o.recorded_at, a.user_id"
    " FROM outbox o LEFT JOIN applications a"
    " ON a.tenant_id = o.tenant_id AND a.application_id = o.key"
    " WHERE o.tenant_id = $1 AND o.seq > $2 AND o.seq <= $3 ORDER BY o.seq LIMIT $4"
)


class LiveEvents:
    """Where live updates come from."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def listening(
        self, heard: Callable[[str], None]
    ) -> AsyncIterator[Callable[[], Awaitable[Settled]]]:
        """Call `heard` with the tenant of each event that is committed; lends `settled`.

        What it lends asks over the connection that listens, and so raises Unavailable once that is
        lost: until then nothing committed goes unheard.
        """
        async with self._database.session() as session:
            await session.hear(CHANNEL, heard)

            async def settled() -> Settled:
                async with session.transaction() as tx:
                    return await _settled(tx)

            yield settled

    async def settled(self) -> Settled:
        """How far the numbers have gone; raises Unavailable when the database is away."""
        async with self._database.transaction(PLATFORM) as tx:
            return await _settled(tx)

    async def page(self, tenant_id: str, after: int, upto: int, limit: int) -> list[OwnedEvent]:
        """A tenant's events with numbers in (after, upto], in order, at most `limit`."""
        async with self._database.transaction(tenant_id) as tx:
            rows = await tx.rows(_PAGE, tenant_id, after, upto, limit)
        return [_owned(row) for row in rows]

    async def owner(self, tenant_id: str, application_id: str) -> str | None:
        """Whose application of this tenant it is; None if the tenant has no such application."""
        async with self._database.transaction(tenant_id) as tx:
            owner: str | None = await tx.value(
                "SELECT user_id FROM applications WHERE tenant_id = $1 AND application_id = $2",
                tenant_id, application_id,
            )  # fmt: skip
        return owner


async def _settled(tx: Transaction) -> Settled:
    row = await tx.row("SELECT settled, drawn FROM settled_events()")
    return Settled(row["settled"], row["drawn"])


def _owned(row: Any) -> OwnedEvent:
    *fields, owner = row.values()
    return OwnedEvent(Event(*fields), owner)
