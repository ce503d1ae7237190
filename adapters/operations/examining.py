"""Where applications stand: their rows and their workflows looked at together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from adapters.operations.histories import OpenTimer, open_timers
from adapters.operations.workflows import TemporalDesk
from adapters.postgres.operations import Place, PostgresOperations, Search
from models.domain.application import ApplicationRef
from models.domain.errors import NotFound
from models.domain.ids import (
    kyc_workflow_id,
    notice_workflow_id,
    risk_workflow_id,
    settlement_workflow_id,
)
from models.domain.operations import (
    USUAL,
    ApplicationStanding,
    Bounds,
    Trouble,
    WorkflowStanding,
    WorkflowStatus,
    troubles,
    workflows_of,
)

# Looks at Temporal that are under way at a time: enough to be quick, too few to be a load.
AT_A_TIME: Final = 16
_PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Examined:
    """An application at one moment, with whatever keeps it from going on."""

    application: ApplicationStanding
    workflows: Mapping[str, WorkflowStanding]
    troubles: tuple[Trouble, ...]


@dataclass(frozen=True, slots=True)
class WorkflowPicture:
    """A workflow as `show` tells of it."""

    standing: WorkflowStanding
    says: str | None
    timers: tuple[OpenTimer, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything `show` tells of an application."""

    examined: Examined
    records: Mapping[str, Sequence[Mapping[str, Any]]]
    workflows: tuple[WorkflowPicture, ...]


class Examiner:
    """Looks, and changes nothing."""

    def __init__(
        self, records: PostgresOperations, desk: TemporalDesk, bounds: Bounds = USUAL
    ) -> None:
        self._records = records
        self._desk = desk
        self._bounds = bounds

    async def examine(self, ref: ApplicationRef) -> Examined:
        """The application now; NotFound."""
        return await self._examine(await self._records.standing(ref))

    async def search(
        self, search: Search, limit: int, *, stuck: bool = False
    ) -> AsyncIterator[Examined]:
        """Applications that were searched for: the newest, or the longest open of the stuck."""
        found, place = 0, None
        while found < limit:
            refs, place = await self._page(search, place, limit, stuck=stuck)
            standings = await self._records.standings(refs)
            for each in await self._all(standings):
                if found < limit and (each.troubles or not stuck):
                    found += 1
                    yield each
            if place is None:
                return

    async def picture(self, ref: ApplicationRef) -> Picture:
        """All there is to tell of an application."""
        examined = await self.examine(ref)
        ids = (
            examined.application.workflow_id,
            kyc_workflow_id(ref.tenant_id, ref.user_id),
            risk_workflow_id(ref.tenant_id, ref.application_id),
            settlement_workflow_id(ref.tenant_id, ref.application_id),
            notice_workflow_id(ref.tenant_id, ref.application_id),
        )
        pictures = await asyncio.gather(*(self._picture(each) for each in ids))
        known = [each for each in pictures if each.standing.status is not WorkflowStatus.ABSENT]
        return Picture(examined, await self._records.records(ref), tuple(known))

    async def _page(
        self, search: Search, place: Place | None, limit: int, *, stuck: bool
    ) -> tuple[list[ApplicationRef], Place | None]:
        size = _PAGE if stuck else min(limit, _PAGE)
        return await self._records.page(search, size, newest_first=not stuck, after=place)

    async def _all(self, standings: Iterable[ApplicationStanding]) -> list[Examined]:
        slots = asyncio.Semaphore(AT_A_TIME)

        async def one(standing: ApplicationStanding) -> Examined:
            async with slots:
                return await self._examine(standing)

        return await asyncio.gather(*(one(each) for each in standings))

    async def _examine(self, application: ApplicationStanding) -> Examined:
        if application.ended:
            return Examined(application, {}, ())
        workflows = await self._desk.standings(workflows_of(application))
        found = troubles(application, workflows, datetime.now(UTC), self._bounds)
        return Examined(application, workflows, found)

    async def _picture(self, workflow_id: str) -> WorkflowPicture:
        standing = await self._desk.standing(workflow_id)
        if standing.status is not WorkflowStatus.RUNNING:
            return WorkflowPicture(standing, None, ())
        try:
            history = await self._desk.history(workflow_id, standing.run_id)
        except NotFound:  # it ended and was forgotten while we looked
            return WorkflowPicture(standing, None, ())
        return WorkflowPicture(
            standing, await self._desk.details(workflow_id), open_timers(history.events)
        )
