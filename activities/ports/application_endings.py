"""Our records of endings without a loan, and of the notices that follow from them."""

from __future__ import annotations

from typing import Protocol

from models.domain.application import ApplicationEnding, ApplicationRef, Withdrawal
from models.domain.notice import NoticeCase, NoticeRef, NoticeResult


class ApplicationEndings(Protocol):
    """Each writing method is one transaction with its audit and outbox rows; all may repeat."""

    async def close(
        self, application: ApplicationRef, ending: ApplicationEnding
    ) -> NoticeRef | None:
        """Record the one ending with what it closes; returns the notice that is owed, if any."""
        ...

    async def withdraw(self, application: ApplicationRef, withdrawal: Withdrawal) -> None:
        """End the application as withdrawn, if nothing was signed.

        Conflict SETTLEMENT_SIGNED once money may move, APPLICATION_CLOSED if it ended otherwise.
        """
        ...

    async def ending(self, application: ApplicationRef) -> ApplicationEnding:
        """The ending on record of a closed application."""
        ...

    async def notice_case(self, notice: NoticeRef) -> NoticeCase | None:
        """What the notice is written from; None if it was dealt with already."""
        ...

    async def record_notice(self, result: NoticeResult) -> None:
        """What became of the notice; a delivered one stays delivered."""
        ...
