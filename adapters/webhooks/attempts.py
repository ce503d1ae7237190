"""First attempts under way, and what became of those that are not in the database yet."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

import structlog

from adapters.postgres.webhook_lane import Outcome, Waiting
from adapters.webhooks.feeds import Feed
from models.domain.events import Event
from models.domain.failpoints import failpoint
from models.domain.webhook import INTERNAL, Attempt, RetryPlan, Target

log = structlog.get_logger()

# A receiver who answers at all answers by then.
FINISH_S: Final = 3.0


class Sender(Protocol):
    """Makes one attempt."""

    async def send(self, target: Target, event: Event) -> Attempt:
        """Tell a receiver of an event, once."""


class FirstAttempts:
    """Asks every receiver for as much as it may be asked for at a time, and no receiver waits."""

    def __init__(self, sender: Sender, retries: RetryPlan, connections: int) -> None:
        self._sender = sender
        self._retries = retries
        self._connections = connections
        self._under_way: set[asyncio.Task[None]] = set()
        self._outcomes: list[tuple[Feed, Outcome]] = []
        self._finishing = False
        self.done = asyncio.Event()

    def begin(self, feed: Feed) -> None:
        """Attempt what is next of this feed, as far as it has connections left."""
        if self._finishing:
            return
        for waiting in feed.next(self._connections):
            attempt = asyncio.create_task(self._tell(feed, waiting))
            self._under_way.add(attempt)
            attempt.add_done_callback(self._under_way.discard)

    def take_outcomes(self) -> list[tuple[Feed, Outcome]]:
        """What became of attempts since this was last asked for."""
        self.done.clear()
        made, self._outcomes = self._outcomes, []
        return made

    async def finish(self) -> None:
        """Begin nothing more, and wait a moment for what is under way."""
        self._finishing = True
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=FINISH_S)

    async def abandon(self) -> None:
        """Leave what is under way: it is sent again by whoever leads next."""
        self._finishing = True
        for attempt in self._under_way:
            attempt.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _tell(self, feed: Feed, waiting: Waiting) -> None:
        attempt = await self._sent(feed.target, waiting.event)
        failpoint("webhook.sent")
        retry_in_s = None
        if not attempt.accepted:
            retry_in_s = self._retries.wait_s(1, attempt.retry_after_s)
        self._outcomes.append((feed, Outcome(waiting, attempt, retry_in_s)))
        feed.done(waiting, accepted=attempt.accepted)
        self.done.set()
        # The receiver is asked for the next one without waiting for the database.
        self.begin(feed)

    async def _sent(self, target: Target, event: Event) -> Attempt:
        try:
            return await self._sender.send(target, event)
        except Exception as error:
            # A bug of ours is the line's trouble, and its workflow's: the others go on.
            log.error("webhook_attempt_failed", event_id=event.event_id, exc_info=error)
            return Attempt(0, None, INTERNAL)
