"""Starts what a crash left unstarted and delivers what was left undelivered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Final

import structlog

from activities.ports.workflow_messages import WorkflowMessages
from adapters.postgres.callbacks import PostgresCallbacks, StoredCallback
from adapters.postgres.information import AnsweredRequest, PostgresInformation
from adapters.postgres.sweeping import PostgresStartIntents
from models.domain.application import ApplicationRef
from models.domain.errors import CreditError
from models.domain.failpoints import failpoint

log = structlog.get_logger()

# People wait for their application to move; a sweep of nothing costs two short queries.
SWEEP_EVERY_S: Final = 2.0
BATCH: Final = 200


class Sweeper:
    """Everything it does may be repeated; each round takes the oldest first."""

    def __init__(
        self,
        intents: PostgresStartIntents,
        callbacks: PostgresCallbacks,
        information: PostgresInformation,
        messages: WorkflowMessages,
    ) -> None:
        self._intents = intents
        self._callbacks = callbacks
        self._information = information
        self._messages = messages

    async def run(self, stop: asyncio.Event) -> None:
        """Sweep until told to stop; an outage is logged and outlived."""
        while not stop.is_set():
            try:
                await self.sweep()
            except CreditError as error:
                log.warning("sweeper_waits", code=error.code)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), SWEEP_EVERY_S)

    async def sweep(self) -> tuple[int, int]:
        """One round; returns how many were started and how many messages delivered."""
        started = delivered = 0
        for application in await self._intents.unstarted(BATCH):
            started += await self._attempt(self._start(application))
        for vendor, stored in await self._callbacks.undelivered(BATCH):
            delivered += await self._attempt(self._deliver(vendor, stored))
        for answered in await self._information.undelivered(BATCH):
            delivered += await self._attempt(self._tell(answered))
        if started or delivered:
            log.info("swept", count=started + delivered)
        return started, delivered

    async def _start(self, application: ApplicationRef) -> None:
        await self._messages.start_application(application)
        failpoint("sweep.started")

    async def _deliver(self, vendor: str, stored: StoredCallback) -> None:
        await self._messages.tell_verification(stored.person, stored.callback)
        failpoint("sweep.told")
        await self._callbacks.delivered(vendor, stored)

    async def _tell(self, answered: AnsweredRequest) -> None:
        await self._messages.tell_information(answered.workflow_id, answered.provided)
        failpoint("sweep.informed")
        await self._information.delivered(answered)

    async def _attempt(self, work: Awaitable[None]) -> bool:
        """Whether it worked; one item's trouble is not the others'."""
        try:
            await work
        except CreditError as error:
            log.warning("not_swept", code=error.code)
            return False
        return True
