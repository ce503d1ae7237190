"""What a workflow needs to go on where a first attempt has failed: records, and a way to send."""

from __future__ import annotations

from typing import Protocol

from models.domain.events import Event
from models.domain.webhook import Attempt, Drained, DueEvent, Line, Target


class WebhookRetries(Protocol):
    """The records of lines; each line is one workflow's."""

    async def next(self, line: Line) -> DueEvent | Drained:
        """The line's next delivery, or why there is none to attempt.

        HANDED_BACK once nothing is left: in the same transaction the line stops being this
        workflow's. MORE when something was added at that moment: ask again.
        """
        ...

    async def settle(self, line: Line, due: DueEvent, attempt: Attempt) -> float | None:
        """Keep how an attempt went; seconds until the same delivery's next attempt, if any."""
        ...


class WebhookSender(Protocol):
    """Tells receivers."""

    async def send(self, target: Target, event: Event) -> Attempt:
        """Tell a receiver of an event, once; how it went is a value, never an error."""
        ...
