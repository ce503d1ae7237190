"""Reads committed events once per process and hands them out, however many clients follow.

Each tenant that somebody follows is a lane with a position: everything up to it has been handed
out. A commit names its tenant in a notification; the lane is then read on, as far as numbers are
settled, and each event offered to the lane's subscriptions. No client is ever waited for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

import structlog

from api.live.subscription import Envelope, Frames, Subscription
from models.domain.errors import CreditError
from models.domain.events import OwnedEvent, Settled

log = structlog.get_logger()
Item = TypeVar("Item")

# A notification is lost with its connection only, and then every lane is read; this is a net below.
LOOK_EVERY_S: Final = 5.0
# What is committed while a look is under way, or so soon after it, waits for the next: under load,
# a look for every event would cost more than the events.
PACE_S: Final = 0.05
# Numbers are held back by transactions of milliseconds; who takes longer is looked at less often.
UNDECIDED_LOOK_S: Final = 0.005
UNDECIDED_LOOK_AT_MOST_S: Final = 0.2
RETRY_S: Final = 1.0
# Smaller than any queue: what a healthy client takes between two pages.
PAGE: Final = 100
# Lanes that are read at the same time, each over a connection to the database.
LANES_AT_ONCE: Final = 2
# How long a burst may be held back for the process itself to send what it has handed out.
DRAIN_S: Final = 1.0
DRAIN_LOOK_S: Final = 0.001


class EventSource(Protocol):
    """Where committed events are read; raises Unavailable when that is away."""

    def listening(
        self, heard: Callable[[str], None]
    ) -> AbstractAsyncContextManager[Callable[[], Awaitable[Settled]]]:
        """Call `heard` with the tenant of each commit; lends `settled` over that connection."""

    async def settled(self) -> Settled:
        """How far the numbers have gone."""

    async def page(self, tenant_id: str, after: int, upto: int, limit: int) -> list[OwnedEvent]:
        """A tenant's events with numbers in (after, upto], in order."""

    async def owner(self, tenant_id: str, application_id: str) -> str | None:
        """Whose application of the tenant it is; None if there is none."""


@dataclass(eq=False, slots=True)
class Lane:
    """A tenant's stream in this process."""

    tenant_id: str
    position: int  # everything up to here has been handed out
    users: int = 0
    subscriptions: set[Subscription] = field(default_factory=set)

    def busy(self) -> bool:
        """Whether this process has not sent what it handed out; not whether clients take it."""
        return any(each.unsent for each in self.subscriptions)


class Lanes:
    """All tenants that somebody follows here."""

    def __init__(self, source: EventSource, envelope: Envelope) -> None:
        self._source = source
        self._envelope = envelope
        self._lanes: dict[str, Lane] = {}
        self._opening = asyncio.Lock()
        self._heard: dict[str, int | None] = {}  # lanes to read on, and how far at least
        self._wake = asyncio.Event()

    async def enter(self, tenant_id: str) -> Lane:
        """The tenant's lane, which stays until `leave`; raises Unavailable."""
        async with self._opening:
            lane = self._lanes.get(tenant_id)
            if lane is None:
                state = await self._source.settled()
                lane = self._lanes[tenant_id] = Lane(tenant_id, state.settled)
                # What was committed meanwhile was heard when the lane was not there yet.
                self._hear(tenant_id)
            lane.users += 1
        return lane

    def leave(self, lane: Lane) -> None:
        """Whoever entered is gone."""
        lane.users -= 1
        if not lane.users:
            del self._lanes[lane.tenant_id]

    async def hand_out(self) -> None:
        """Hand out events for ever; an outage of the database is said once, and outlived."""
        trouble: str | None = None
        while True:
            try:
                async with self._source.listening(self._hear) as settled:
                    if trouble is not None:
                        log.info("live_resumed")
                        trouble = None
                    for tenant_id in self._lanes:
                        self._hear(tenant_id)
                    await self._read_on(settled)
            except CreditError as error:
                if error.code != trouble:
                    trouble = error.code
                    log.warning("live_waits", code=error.code)
            except Exception as error:
                # Whatever it is, those who follow must not wait for ever: all is read again.
                log.error("live_failed", error=type(error).__name__, exc_info=error)
            await asyncio.sleep(RETRY_S)

    def _hear(self, tenant_id: str) -> None:
        if tenant_id in self._lanes:
            self._heard[tenant_id] = None
            self._wake.set()

    async def _read_on(self, settled: Callable[[], Awaitable[Settled]]) -> None:
        pause_s = UNDECIDED_LOOK_S
        while True:
            if not self._heard:
                await self._woken(LOOK_EVERY_S)
            self._wake.clear()
            # Whatever is heard from here on is looked at again: it may be later than the answer.
            heard, self._heard = self._heard or dict.fromkeys(self._lanes), {}
            state = await settled()
            for some in _in_lots(list(heard.items()), LANES_AT_ONCE):
                looks = (self._look(*each, state) for each in some)
                # Every one is waited for: none may go on beside the one that begins anew.
                outcomes = await asyncio.gather(*looks, return_exceptions=True)
                for failure in filter(None, outcomes):
                    raise failure
            await asyncio.sleep(PACE_S)
            if self._heard and not self._wake.is_set():
                # Numbers up to what is looked for are still being drawn.
                await self._woken(pause_s)
                pause_s = min(2 * pause_s, UNDECIDED_LOOK_AT_MOST_S)
            else:
                pause_s = UNDECIDED_LOOK_S

    async def _look(self, tenant_id: str, wanted: int | None, state: Settled) -> None:
        """Read a lane on; it stays among the heard until it got as far as was wanted."""
        wanted = state.drawn if wanted is None else wanted
        lane = self._lanes.get(tenant_id)
        if lane is not None:
            await self._advance(lane, state.settled)
            if lane.position < wanted:
                self._heard.setdefault(tenant_id, wanted)

    async def _advance(self, lane: Lane, upto: int) -> None:
        while lane.position < upto:
            page = await self._source.page(lane.tenant_id, lane.position, upto, PAGE)
            for owned in page:
                frames = Frames(owned, self._envelope)
                for subscription in lane.subscriptions:
                    subscription.offer(frames)
            lane.position = page[-1].event.seq if len(page) == PAGE else upto
            await _drained(lane)

    async def _woken(self, within_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._wake.wait()


async def _drained(lane: Lane) -> None:
    """Let the clients' senders run: a burst must not make healthy clients look slow."""
    await asyncio.sleep(0)
    until = time.monotonic() + DRAIN_S
    while lane.busy() and time.monotonic() < until:  # noqa: ASYNC110 - a thousand events to wait for
        await asyncio.sleep(DRAIN_LOOK_S)


def _in_lots(items: list[Item], size: int) -> Iterator[list[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
