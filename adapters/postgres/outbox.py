"""The outbox as its relay sees it (role `caas_relay`, across tenants)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from adapters.postgres.database import PLATFORM, Database, Session
from models.domain.errors import NotFound
from models.domain.events import Event, Refusal
from models.domain.operations import Command

CHANNEL: Final = "outbox"

# By what is not published, never by a high-water mark: a number is drawn before its transaction
# commits, so a lower one may become visible later. Along one key that cannot happen (the trigger
# `outbox_in_order` sees to it), so a batch in the order of numbers holds, of every key, what comes
# next. A parked event holds back the later ones of its key.
_UNPUBLISHED: Final = (
    "SELECT seq, event_id, tenant_id, key, type, data, recorded_at, attempts FROM outbox o"
    " WHERE published_at IS NULL AND NOT EXISTS (SELECT FROM outbox p"
    " WHERE p.tenant_id = o.tenant_id AND p.key = o.key AND p.seq <= o.seq"
    " AND p.published_at IS NULL AND p.parked_at IS NOT NULL)"
    " ORDER BY seq LIMIT $1"
)


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event that waits for an operator, and how many of its key wait behind it."""

    event_id: str
    tenant_id: str
    key: str
    type: str
    reason: str
    parked_at: datetime
    behind: int


class OutboxLane:
    """Reads and marks in the session that holds the relay's lock."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def unpublished(self, limit: int) -> list[Event]:
        """The events to publish next, in order along every key."""
        async with self._session.transaction() as tx:
            return [_event(row) for row in await tx.rows(_UNPUBLISHED, limit)]

    async def acknowledged(self, events: Sequence[Event]) -> None:
        """The broker has them."""
        async with self._session.transaction() as tx:
            await tx.execute(
                "UPDATE outbox SET published_at = clock_timestamp()"
                " WHERE seq = ANY($1::bigint[]) AND published_at IS NULL",
                [event.seq for event in events],
            )

    async def refused(self, refusals: Sequence[Refusal], max_attempts: int) -> int:
        """Count the attempts; returns how many events are parked now, with their reasons."""
        parked = 0
        async with self._session.transaction() as tx:
            for refusal in refusals:
                parked += bool(
                    await tx.value(
                        "UPDATE outbox SET attempts = attempts + 1,"
                        " parked_at = CASE WHEN attempts + 1 >= $2 THEN clock_timestamp() END,"
                        " parked_because = CASE WHEN attempts + 1 >= $2 THEN $3 END"
                        " WHERE seq = $1 AND published_at IS NULL RETURNING parked_at IS NOT NULL",
                        refusal.event.seq, max_attempts, refusal.reason,
                    )
                )  # fmt: skip
        return parked


class ParkedEvents:
    """What the broker refused for good, and its way back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, limit: int) -> list[ParkedEvent]:
        """Parked events, oldest first, with how many events wait behind each."""
        async with self._database.transaction(PLATFORM) as tx:
            rows = await tx.rows(
                "SELECT p.event_id, p.tenant_id, p.key, p.type, p.parked_because, p.parked_at,"
                " (SELECT count(*) FROM outbox o WHERE o.tenant_id = p.tenant_id"
                " AND o.key = p.key AND o.seq > p.seq AND o.published_at IS NULL) AS behind"
                " FROM outbox p WHERE published_at IS NULL AND parked_at IS NOT NULL"
                " ORDER BY seq LIMIT $1",
                limit,
            )
        return [ParkedEvent(*row.values()) for row in rows]

    async def release(self, event_id: str, command: Command) -> None:
        """Let the relay try again, as this operator's decision; NotFound if it is not parked."""
        async with self._database.transaction(PLATFORM) as tx:
            tenant_id = await tx.value("SELECT tenant_id FROM outbox WHERE event_id = $1", event_id)
        async with self._database.transaction(tenant_id or PLATFORM) as tx:
            key = await tx.value(
                "UPDATE outbox SET attempts = 0, parked_at = NULL, parked_because = NULL"
                " WHERE tenant_id = $1 AND event_id = $2 AND published_at IS NULL"
                " AND parked_at IS NOT NULL RETURNING key",
                tx.tenant_id, event_id,
            )  # fmt: skip
            if key is None:
                raise NotFound("EVENT_NOT_PARKED", event_id)
            detail = {"event_id": event_id, "reason": command.reason}
            await tx.record(command.operator, "event.released", key, detail, key=key)


def _event(row: Any) -> Event:
    return Event(
        seq=row["seq"],
        event_id=row["event_id"],
        tenant_id=row["tenant_id"],
        key=row["key"],
        type=row["type"],
        data=row["data"],
        recorded_at=row["recorded_at"],
        attempts=row["attempts"],
    )
