"""Endings and notices: how an application ended is on record, and its applicant is told."""

from __future__ import annotations

from temporalio import activity

from activities.ports.application_endings import ApplicationEndings
from activities.ports.notice_channel import NoticeChannel
from models.domain.application import ApplicationEnding, ApplicationRef, Withdrawal
from models.domain.notice import NoticeRef, NoticeResult, render


class NoticeActivities:
    """Closes applications that are not funded, and sends the notices that are owed."""

    def __init__(self, records: ApplicationEndings, channel: NoticeChannel) -> None:
        self._records = records
        self._channel = channel

    @activity.defn(name="close_application")
    async def close_application(
        self, application: ApplicationRef, ending: ApplicationEnding
    ) -> NoticeRef | None:
        """Record the one ending and publish it; returns the notice that is owed, if any."""
        return await self._records.close(application, ending)

    @activity.defn(name="withdraw_application")
    async def withdraw_application(
        self, application: ApplicationRef, withdrawal: Withdrawal
    ) -> None:
        """End the application as withdrawn, unless a settlement was signed."""
        await self._records.withdraw(application, withdrawal)

    @activity.defn(name="recorded_ending")
    async def recorded_ending(self, application: ApplicationRef) -> ApplicationEnding:
        """The ending on record of an application that was closed by somebody else."""
        return await self._records.ending(application)

    @activity.defn(name="send_notice")
    async def send_notice(self, notice: NoticeRef) -> str:
        """Hand the letter to the mail house; returns its message id.

        Written from our records at this moment, under the notice's own key: sent once, however
        often this is repeated.
        """
        case = await self._records.notice_case(notice)
        if case is None:
            return "dealt with already"
        return await self._channel.send(notice.tenant_id, render(notice.notice_id, case))

    @activity.defn(name="record_notice")
    async def record_notice(self, result: NoticeResult) -> None:
        """Keep what became of the notice."""
        await self._records.record_notice(result)
