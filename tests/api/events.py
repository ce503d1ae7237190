"""Events that tests commit when they like, in the place of a database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from models.domain.errors import Unavailable
from models.domain.events import Event, OwnedEvent, Settled


class RememberedEvents:
    """An event source: what is committed is heard, and can be read again."""

    def __init__(self) -> None:
        self.owners: dict[tuple[str, str], str] = {}
        self.drawn = 0
        self.undecided: int | None = None  # the lowest number that is drawn but not committed
        self.away = False
        self.reads = 0
        self._events: list[OwnedEvent] = []
        self._heard: list[Callable[[str], None]] = []

    def application(self, tenant_id: str, application_id: str, owner: str) -> None:
        """There is such an application."""
        self.owners[(tenant_id, application_id)] = owner

    def commit(
        self,
        tenant_id: str = "acme",
        key: str = "app_1",
        type: str = "offer.accepted",
        *,
        at: datetime | None = None,
        seq: int | None = None,
        **data: Any,
    ) -> int:
        """Commit an event and notify; returns its number."""
        if seq is None:
            self.drawn += 1
            seq = self.drawn
        event = Event(
            seq, f"evt_{seq:032x}", tenant_id, key, type, {"subject_id": key, **data},
            at or datetime.now(UTC),
        )  # fmt: skip
        self._events.append(OwnedEvent(event, self.owners.get((tenant_id, key))))
        self._events.sort(key=lambda each: each.event.seq)
        for heard in self._heard:
            heard(tenant_id)
        return seq

    @asynccontextmanager
    async def listening(
        self, heard: Callable[[str], None]
    ) -> AsyncIterator[Callable[[], Awaitable[Settled]]]:
        self._refuse_when_away()
        self._heard.append(heard)
        try:
            yield self.settled
        finally:
            self._heard.remove(heard)

    async def settled(self) -> Settled:
        self._refuse_when_away()
        settled = self.drawn if self.undecided is None else self.undecided - 1
        return Settled(settled, self.drawn)

    async def page(self, tenant_id: str, after: int, upto: int, limit: int) -> list[OwnedEvent]:
        self._refuse_when_away()
        self.reads += 1
        return [
            each
            for each in self._events
            if each.event.tenant_id == tenant_id and after < each.event.seq <= upto
        ][:limit]

    async def owner(self, tenant_id: str, application_id: str) -> str | None:
        self._refuse_when_away()
        return self.owners.get((tenant_id, application_id))

    def _refuse_when_away(self) -> None:
        if self.away:
            raise Unavailable("DATABASE_UNAVAILABLE", "away")
