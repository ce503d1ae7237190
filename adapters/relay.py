"""Publishes what the outbox holds: in order along every key, at least once, whoever crashes.

One relay leads at a time for a database, which is the shard; the others stand by. An event is
marked only after the broker acknowledged it, so a crash between the two sends it again under the
same id: consumers tell repetitions by that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

import structlog

from adapters.postgres.database import Database, Session
from adapters.postgres.leadership import Task, lead, pause
from adapters.postgres.outbox import CHANNEL, OutboxLane
from models.domain.events import Event, Publication
from models.domain.failpoints import failpoint

log = structlog.get_logger()

BATCH: Final = 500
# Writers notify; a notification that was lost with a connection is made up for by this.
LOOK_EVERY_S: Final = 1.0
# What is committed while a batch is under way goes with the next: under load, a transaction for
# every event would cost more than the events.
PACE_S: Final = 0.2
# An event that the broker refuses this often will not be taken later either.
MAX_ATTEMPTS: Final = 5


class EventBroker(Protocol):
    """Whatever carries events to consumers."""

    async def publish(self, events: Sequence[Event]) -> Publication:
        """Send in order along each key; say what was acknowledged, refused, or has to wait."""

    async def close(self) -> None:
        """Give the connections up."""


class OutboxRelay:
    """Publishes while it leads; while the broker is away, the outbox waits and all else goes on."""

    def __init__(self, database: Database, broker: EventBroker) -> None:
        self._database = database
        self._broker = broker
        self._outage: str | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until told to stop."""

        async def work(session: Session) -> None:
            heard = await session.listen(CHANNEL)
            lane = OutboxLane(session)
            while not stop.is_set():
                heard.clear()
                while await self.round(lane) and not stop.is_set():
                    pass
                if self._outage is not None:
                    # Another relay may have a way to the broker that this one has not.
                    return
                await pause(stop, PACE_S)
                await _either(heard, stop)

        try:
            await lead(self._database, Task.PUBLISH_EVENTS, stop, work)
        finally:
            await self._broker.close()

    async def round(self, lane: OutboxLane) -> bool:
        """Publish one batch; returns whether more is known to wait."""
        events = await lane.unpublished(BATCH)
        if not events:
            return False
        failpoint("outbox.unsent")
        published = await self._broker.publish(events)
        if published.acknowledged:
            failpoint("outbox.sent")
            await lane.acknowledged(published.acknowledged)
            failpoint("outbox.acknowledged")
        if published.refused:
            parked = await lane.refused(published.refused, MAX_ATTEMPTS)
            if parked:
                log.error("events_parked", count=parked, reason=published.refused[0].reason)
        self._note(published.outage)
        more = len(events) == BATCH or bool(published.refused)
        return more and published.outage is None

    def _note(self, outage: str | None) -> None:
        """Say once that the broker is away, and once that it is back."""
        if outage is not None and self._outage is None:
            log.warning("broker_away", reason=outage)
        elif outage is None and self._outage is not None:
            log.info("broker_back")
        self._outage = outage


async def _either(heard: asyncio.Event, stop: asyncio.Event) -> None:
    """Wait for a notification, the next look, or the end."""
    waits = [asyncio.create_task(heard.wait()), asyncio.create_task(stop.wait())]
    try:
        await asyncio.wait(waits, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
            with suppress(asyncio.CancelledError):
                await wait
