"""All live clients of this process: who may take a seat, where each begins, and when it is over."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from api.auth import Principal
from api.live.lanes import PAGE, EventSource, Lane, Lanes
from api.live.protocol import (
    AWAY,
    EXPIRED,
    FULL,
    GOING_AWAY,
    TOO_MANY_CONNECTIONS,
    TOO_OLD,
    UNKNOWN,
    Ended,
    Wanted,
)
from api.live.shutdown import server_ends
from api.live.subscription import Envelope, Frame, Frames, Subscription
from api.roles import Action
from models.domain.errors import Unavailable

# How soon a token's end or revocation, or the server's own end, closes a connection.
CHECK_EVERY_S: Final = 0.5
# After so many frames in a row a client's sender lets others run.
FRAMES_IN_A_ROW: Final = 32


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """Settings of live updates, field by field."""

    max_connections: int = 2_000
    max_per_subject: int = 20
    queue_events: int = 2_048
    heartbeat_s: float = 20.0
    subscribe_within_s: float = 10.0
    replay_hours: float = 24.0


@dataclass(frozen=True, slots=True)
class Beat:
    """Nothing happened, up to this number: a client may resume from it."""

    seq: int


class LiveHub:
    """What a connection does, in this order: take a seat, join, follow."""

    def __init__(
        self,
        source: EventSource,
        envelope: Envelope,
        stands: Callable[[Principal], bool],
        limits: LiveLimits = LiveLimits(),
    ) -> None:
        self.limits = limits
        self._source = source
        self._envelope = envelope
        self._stands = stands
        self._lanes = Lanes(source, envelope)
        self._seats: Counter[tuple[str, str]] = Counter()
        self._joined: dict[Subscription, Lane] = {}
        self._closing = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Hands out events; at the end everybody is told to come back elsewhere."""
        tasks = [asyncio.create_task(self._lanes.hand_out()), asyncio.create_task(self._check())]
        try:
            yield self
        finally:
            self.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def close(self) -> None:
        """End every connection, and take no more."""
        self._closing = True
        for subscription in self._joined:
            subscription.end(GOING_AWAY)

    @contextmanager
    def seat(self, principal: Principal) -> Iterator[None]:
        """One of the process's and of the caller's connections; Ended if there is none left."""
        name = (principal.tenant_id, principal.subject)
        if self._closing:
            raise Ended(GOING_AWAY)
        if self._seats.total() >= self.limits.max_connections:
            raise Ended(FULL)
        if self._seats[name] >= self.limits.max_per_subject:
            raise Ended(TOO_MANY_CONNECTIONS)
        self._seats[name] += 1
        try:
            yield
        finally:
            self._seats[name] -= 1
            if not self._seats[name]:
                del self._seats[name]

    @asynccontextmanager
    async def joined(self, principal: Principal, wanted: Wanted) -> AsyncIterator[Subscription]:
        """A subscription that starts where the client left off, or now.

        Raises Ended: TOO_OLD, UNKNOWN for an application that is absent, another tenant's or
        another applicant's, AWAY without a database.
        """
        subscription = Subscription(principal, wanted, self.limits.queue_events)
        try:
            lane = await self._lanes.enter(principal.tenant_id)
        except Unavailable as error:
            raise Ended(AWAY) from error
        self._joined[subscription] = lane
        try:
            await self._begin(lane, subscription)
            yield subscription
        finally:
            del self._joined[subscription]
            lane.subscriptions.discard(subscription)
            self._lanes.leave(lane)

    async def follow(self, subscription: Subscription) -> AsyncGenerator[Frame | Beat, None]:
        """First the place it starts from, then every event once and in order, until it is ended.

        Raises Ended.
        """
        lane = self._joined[subscription]
        yield Beat(subscription.after)
        try:
            async for missed in self._missed(lane, subscription):
                yield missed
        except Unavailable as error:
            raise Ended(AWAY) from error
        in_a_row = 0
        while True:
            frame = await subscription.next(self.limits.heartbeat_s)
            if frame is None:
                yield Beat(max(lane.position, subscription.after))
                continue
            subscription.in_hand = True
            yield frame
            subscription.in_hand = False
            in_a_row += 1
            if in_a_row % FRAMES_IN_A_ROW == 0:
                await asyncio.sleep(0)

    async def _begin(self, lane: Lane, subscription: Subscription) -> None:
        try:
            await self._check_application(subscription)
            subscription.after = await self._start(lane, subscription.wanted)
        except Unavailable as error:
            raise Ended(AWAY) from error

    async def _check_application(self, subscription: Subscription) -> None:
        principal, application_id = subscription.principal, subscription.wanted.application_id
        if application_id is None:
            return
        owner = await self._source.owner(principal.tenant_id, application_id)
        own = owner == principal.subject
        if owner is None or (principal.only_for_self(Action.READ_EVENTS) and not own):
            raise Ended(UNKNOWN)

    async def _start(self, lane: Lane, wanted: Wanted) -> int:
        """The number the client goes on from; TOO_OLD if what it missed is older than the window.

        Another process may have been ahead of this one: then it has that number already.
        """
        if wanted.after is None:
            return lane.position
        if wanted.after > lane.position:
            if wanted.after > (await self._source.settled()).drawn:
                raise Ended(TOO_OLD)  # a number nobody drew: from before a backup was restored
            return wanted.after
        missed = await self._source.page(lane.tenant_id, wanted.after, lane.position, 1)
        oldest = datetime.now(UTC) - timedelta(hours=self.limits.replay_hours)
        if missed and missed[0].event.recorded_at < oldest:
            raise Ended(TOO_OLD)
        return wanted.after

    async def _missed(self, lane: Lane, subscription: Subscription) -> AsyncIterator[Frame]:
        """What was handed out before; the client is in the lane when this ends."""
        while subscription.after < lane.position:
            subscription.refuse_if_ended()
            upto = lane.position
            page = await self._source.page(lane.tenant_id, subscription.after, upto, PAGE)
            for owned in page:
                frame = subscription.select(Frames(owned, self._envelope))
                if frame is not None:
                    yield frame
            subscription.after = page[-1].event.seq if len(page) == PAGE else upto
        lane.subscriptions.add(subscription)

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            if server_ends():
                self.close()
            for subscription in self._joined:
                if not self._stands(subscription.principal):
                    subscription.end(EXPIRED)
