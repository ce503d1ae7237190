"""First attempts, straight from the outbox: in order along each webhook and key, at least once.

One lane leads at a time for a database. It takes events up in the order of their numbers, makes a
delivery for each webhook that is to be told, attempts it, and keeps the outcome; what fails goes,
with all that follows it on its line, to a workflow (`starter.py`). After a crash the deliveries in
the database say what is left to do: one whose outcome was not kept is sent again, under its id.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from adapters.postgres.database import Database, Session
from adapters.postgres.leadership import Task, lead
from adapters.postgres.outbox import CHANNEL as EVENTS
from adapters.postgres.webhook_lane import Endpoint, WebhookLaneRecords
from adapters.postgres.webhook_lines import WebhookLines
from adapters.postgres.webhooks import CHANNEL as WEBHOOKS
from adapters.webhooks.attempts import FirstAttempts, Sender
from adapters.webhooks.feeds import Feed
from adapters.webhooks.starter import LineStarter, WebhookStarter
from models.domain.failpoints import failpoint
from models.domain.webhook import RetryPlan

BATCH: Final = 500
# Deliveries of one webhook in memory; the others wait in the database.
WINDOW: Final = 1_000
# Without a webhook of anybody's, this is all the lane costs: a look now and then.
IDLE_LOOK_S: Final = 5.0
# A notification that was lost with a connection is made up for by this.
LOOK_EVERY_S: Final = 2.0
# Outcomes and events that come so soon after one another share a transaction.
PACE_S: Final = 0.02


class WebhookLane:
    """Makes first attempts while it leads; a database that is away is outlived."""

    def __init__(
        self,
        database: Database,
        sender: Sender,
        starter: LineStarter,
        retries: RetryPlan,
        *,
        connections: int,
    ) -> None:
        self._database = database
        self._sender = sender
        self._starter = WebhookStarter(WebhookLines(database), starter)
        self._retries = retries
        self._connections = connections

    async def run(self, stop: asyncio.Event) -> None:
        """Tell receivers of events until told to stop; what is under way then is sent again."""

        async def work(session: Session) -> None:
            changed = await session.listen(WEBHOOKS)
            records = WebhookLaneRecords(session)
            starting = asyncio.create_task(self._starter.run(stop))
            try:
                while not stop.is_set() and not await records.anyone():
                    changed.clear()
                    await _any_of(IDLE_LOOK_S, stop, changed)
                heard = await session.listen(EVENTS)
                attempts = FirstAttempts(self._sender, self._retries, self._connections)
                await _Term(records, attempts, self._starter).serve(heard, changed, stop)
            finally:
                starting.cancel()
                with suppress(asyncio.CancelledError):
                    await starting

        await lead(self._database, Task.DELIVER_WEBHOOKS, stop, work)


class _Term:
    """One term of leading: everything in memory ends with it."""

    def __init__(
        self, records: WebhookLaneRecords, attempts: FirstAttempts, starter: WebhookStarter
    ) -> None:
        self._records = records
        self._attempts = attempts
        self._starter = starter
        self._feeds: dict[Endpoint, Feed] = {}

    async def serve(
        self, heard: asyncio.Event, changed: asyncio.Event, stop: asyncio.Event
    ) -> None:
        """Until told to stop, or until nobody is to be told of anything."""
        changed.set()
        heard.set()
        try:
            while not stop.is_set():
                if changed.is_set() and not await self._refresh(changed):
                    break
                await self._keep()
                more = await self._take_up(heard)
                await self._load()
                for feed in self._feeds.values():
                    self._attempts.begin(feed)
                if not more:
                    done = self._attempts.done
                    if await _any_of(LOOK_EVERY_S, stop, heard, changed, done):
                        self._look_back(heard)
                    await asyncio.sleep(PACE_S)
            await self._attempts.finish()
            await self._keep()
        finally:
            await self._attempts.abandon()

    async def _refresh(self, changed: asyncio.Event) -> bool:
        """Webhooks began, changed or ended; returns whether there is any left."""
        changed.clear()
        self._starter.look()
        targets = await self._records.targets()
        for endpoint in self._feeds.keys() - targets.keys():
            del self._feeds[endpoint]  # what it had in memory stays pending in the database
        for endpoint, target in targets.items():
            self._feeds.setdefault(endpoint, Feed(target)).target = target
        return await self._records.anyone()

    async def _keep(self) -> None:
        """Keep outcomes; lines that have failed are their workflows' from then on."""
        made = self._attempts.take_outcomes()
        if not made:
            return
        await self._records.keep([outcome for _, outcome in made])
        failpoint("webhook.kept")
        for feed, outcome in made:
            feed.kept(outcome.waiting, accepted=outcome.attempt.accepted)
        if any(not outcome.attempt.accepted for _, outcome in made):
            self._starter.look()

    async def _take_up(self, heard: asyncio.Event) -> bool:
        """Take events up that were heard of; returns whether more are known to wait."""
        if not heard.is_set():
            return False
        heard.clear()
        taken = await self._records.take_up(BATCH)
        if taken.waiting or taken.held:
            failpoint("webhook.taken_up")
        for endpoint in taken.held:
            # When it resumes, it begins by reading what has waited for it.
            self._feeds.pop(endpoint, None)
        for waiting in taken.waiting:
            if (feed := self._feeds.get(waiting.endpoint)) is not None:
                feed.offer(waiting, WINDOW)
        if taken.more or taken.undecided:
            heard.set()
        return taken.more

    async def _load(self) -> None:
        """Read on where more waits in the database than is in memory."""
        for endpoint, feed in self._feeds.items():
            if feed.has_room(WINDOW):
                after = 0 if feed.idle else feed.loaded_upto
                some = await self._records.left_behind(endpoint, after, WINDOW)
                feed.load(some, complete=len(some) < WINDOW)

    def _look_back(self, heard: asyncio.Event) -> None:
        """Nothing has happened for a while: look for what was missed, whatever the reason."""
        heard.set()
        for feed in self._feeds.values():
            feed.behind = feed.behind or feed.idle


async def _any_of(within_s: float, *events: asyncio.Event) -> bool:
    """Wait for the first of these events; returns whether there was none for so long."""
    waits = [asyncio.create_task(each.wait()) for each in events]
    try:
        done, _ = await asyncio.wait(waits, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return not done
