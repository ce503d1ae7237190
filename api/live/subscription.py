"""One client's place in the stream: what it may see, and a bounded queue of what it has not yet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import cached_property

import structlog

from api.auth import Principal
from api.live.protocol import TOO_SLOW, Ended, Ending, Wanted, event_id
from api.roles import Action
from models.domain.events import Event, OwnedEvent

log = structlog.get_logger()
Envelope = Callable[[Event], str]


class Frame:
    """An event as it is sent; written once, however many clients get it."""

    def __init__(self, seq: int, envelope: str) -> None:
        self.seq = seq
        self._envelope = envelope

    @cached_property
    def message(self) -> str:
        """As a message of the WebSocket."""
        return f'{{"type":"event","id":"{event_id(self.seq)}","event":{self._envelope}}}'

    @cached_property
    def server_sent(self) -> bytes:
        """As a server-sent event."""
        return f"id: {event_id(self.seq)}\ndata: {self._envelope}\n\n".encode()


class Frames:
    """The frames of one event: as staff see it, and as applicants do; each made when needed."""

    def __init__(self, owned: OwnedEvent, envelope: Envelope) -> None:
        self.event = owned.event
        self.owner = owned.owner
        self._envelope = envelope

    @cached_property
    def whole(self) -> Frame | None:
        """With everything consumers of events get."""
        return self._frame(self.event)

    @cached_property
    def for_applicants(self) -> Frame | None:
        """With what the applicant may know; None if that is nothing."""
        return self._frame(self.event.for_applicants())

    def _frame(self, event: Event | None) -> Frame | None:
        if event is None:
            return None
        try:
            return Frame(event.seq, self._envelope(event))
        except ValueError as error:
            log.error("event_unspeakable", event_id=event.event_id, reason=str(error))
            return None


class Subscription:
    """What one client follows, and what waits to be sent to it."""

    def __init__(self, principal: Principal, wanted: Wanted, queue_events: int) -> None:
        self.principal = principal
        self.wanted = wanted
        self.after = 0  # it has been given everything up to here
        self.ending: Ending | None = None
        self.ended = asyncio.Event()
        self.in_hand = False  # whether a frame is being sent, which takes as long as the client
        self._only_own = principal.only_for_self(Action.READ_EVENTS)
        # Whoever may read reviews may know how people decide; all others see what applicants see.
        self._whole = principal.may(Action.READ_REVIEWS)
        self._queue: deque[Frame] = deque()
        self._limit = queue_events
        self._arrived = asyncio.Event()

    @property
    def unsent(self) -> bool:
        """Whether something waits that this process could send, if only it came to it."""
        return bool(self._queue) and not self.in_hand

    def select(self, frames: Frames) -> Frame | None:
        """What the client is to get of an event; None where it may not or does not want to."""
        event, wanted = frames.event, self.wanted
        if wanted.application_id is not None and event.key != wanted.application_id:
            return None
        if wanted.types is not None and event.type not in wanted.types:
            return None
        if self._only_own and frames.owner != self.principal.subject:
            return None
        return frames.whole if self._whole else frames.for_applicants

    def offer(self, frames: Frames) -> None:
        """Put an event into the queue; who leaves too many waiting is ended, and nobody waits."""
        if self.ending is not None or frames.event.seq <= self.after:
            return
        frame = self.select(frames)
        if frame is None:
            return
        if len(self._queue) >= self._limit:
            self.end(TOO_SLOW)
            return
        self._queue.append(frame)
        self._arrived.set()

    def end(self, ending: Ending) -> None:
        """End it, for the first reason there is; what waits is dropped, to be resumed."""
        if self.ending is None:
            self.ending = ending
            self._queue.clear()
            self._arrived.set()
            self.ended.set()

    def refuse_if_ended(self) -> None:
        """Raise Ended once it has been ended."""
        if self.ending is not None:
            raise Ended(self.ending)

    async def next(self, within_s: float) -> Frame | None:
        """The next frame; None if there is none for so long. Raises Ended."""
        if not self._queue and self.ending is None:
            self._arrived.clear()
            try:
                async with asyncio.timeout(within_s):
                    await self._arrived.wait()
            except TimeoutError:
                return None
        self.refuse_if_ended()
        return self._queue.popleft()
