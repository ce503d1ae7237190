"""Hands lines on which an attempt has failed to their workflows: the row says what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

import structlog

from adapters.postgres.webhook_lines import DueLine, WebhookLines
from models.domain.errors import CreditError
from models.domain.failpoints import failpoint
from models.domain.webhook import Line

log = structlog.get_logger()

BATCH: Final = 200
AT_ONCE: Final = 8
# Whoever is told of a line looks after it within seconds; after this it is told again.
OVERDUE_S: Final = 300.0
LONGEST_LOOK_S: Final = 5.0
SHORTEST_LOOK_S: Final = 0.05


class LineStarter(Protocol):
    """Reaches the workflow of a line."""

    async def look_after(self, line: Line) -> None:
        """Start its workflow, or wake the one that runs; raises Unavailable. May be repeated."""


class WebhookStarter:
    """Looks for lines that are due; told at once of new ones, by `look`."""

    def __init__(self, lines: WebhookLines, starter: LineStarter) -> None:
        self._lines = lines
        self._starter = starter
        self._looking = asyncio.Event()

    def look(self) -> None:
        """There may be something to do."""
        self._looking.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Hand over what is due, until told to stop; an outage is logged once, and outlived."""
        trouble: str | None = None
        while not stop.is_set():
            self._looking.clear()
            wait_s: float | None = LONGEST_LOOK_S
            try:
                due, wait_s = await self._lines.due(OVERDUE_S, BATCH)
                for start in range(0, len(due), AT_ONCE):
                    await self._hand_over(due[start : start + AT_ONCE])
                if due:
                    continue
                trouble = None
            except CreditError as error:
                if error.code != trouble:
                    trouble = error.code
                    log.warning("webhook_lines_wait", code=error.code)
            await self._looked_for(min(wait_s or LONGEST_LOOK_S, LONGEST_LOOK_S))

    async def _hand_over(self, due: Sequence[DueLine]) -> None:
        await asyncio.gather(*(self._starter.look_after(each.line) for each in due))
        failpoint("webhook.handed_over")
        await self._lines.told(due)

    async def _looked_for(self, within_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(within_s, SHORTEST_LOOK_S)):
                await self._looking.wait()
