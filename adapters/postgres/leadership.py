"""One process at a time does a task: the others stand by until its session ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import IntEnum
from typing import Final

import structlog

from adapters.postgres.database import Database, Session
from models.domain.errors import CreditError

log = structlog.get_logger()

# How soon a standby takes over, and how soon an outage is looked at again.
LOOK_EVERY_S: Final = 1.0


class Task(IntEnum):
    """The first number of an advisory lock; never reused for something else."""

    PUBLISH_EVENTS = 7301
    SEAL_AUDIT_TRAIL = 7302
    CHECK_PROVIDERS = 7304
    DELIVER_WEBHOOKS = 7305


async def lead(
    database: Database,
    task: Task,
    stop: asyncio.Event,
    work: Callable[[Session], Awaitable[None]],
) -> None:
    """Do `work` whenever no other process does, until told to stop.

    The lock belongs to the session that `work` reads and writes with: a leader whose session was
    lost cannot write on beside its successor. An outage is logged once, and outlived.
    """
    trouble: str | None = None
    while not stop.is_set():
        try:
            async with database.session() as session:
                if await session.lock(task):
                    if trouble is not None:
                        log.info("resumed", name=task.name.lower())
                        trouble = None
                    await work(session)
        except CreditError as error:
            if error.code != trouble:
                trouble = error.code
                log.warning("waits", name=task.name.lower(), code=error.code)
        await pause(stop, LOOK_EVERY_S)


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait so long, or until told to stop."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
