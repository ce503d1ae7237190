"""Notices: an application's ending is recorded and published, with its reasons."""

from __future__ import annotations

from temporalio import activity

from activities.ports.settlement_records import ApplicationClosing
from models.domain.application import ApplicationEnding, ApplicationRef


class NoticeActivities:
    """Closes applications that are not funded."""

    def __init__(self, records: ApplicationClosing) -> None:
        self._records = records

    @activity.defn(name="close_application")
    async def close_application(
        self, application: ApplicationRef, ending: ApplicationEnding
    ) -> None:
        """Record the one ending and publish it."""
        await self._records.close(application, ending)
