"""Deliveries that failed at first: one line of one webhook at a time, in order."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.ports.webhook_retries import WebhookRetries, WebhookSender
from models.domain.failpoints import failpoint
from models.domain.webhook import Drained, Line

# A step that goes on for longer ends, and another begins: so that its worker can be stopped.
LONGEST_STEP_S: Final = 60.0
WEBHOOK_NOT_TOLD: Final = "WEBHOOK_NOT_TOLD"


class WebhookActivities:
    """Attempts what a line holds until nothing is left, or the receiver is to be left alone."""

    def __init__(self, records: WebhookRetries, sender: WebhookSender) -> None:
        self._records = records
        self._sender = sender

    @activity.defn(name="deliver_webhooks")
    async def deliver_webhooks(self, line: Line) -> Drained:
        """Attempt the line's deliveries in order; repeated by Temporal when one is due again.

        Raises WEBHOOK_NOT_TOLD with the time of the next attempt: the wait writes no history, and
        outlives every process of ours.
        """
        until = time.monotonic() + LONGEST_STEP_S
        while time.monotonic() < until:
            due = await self._records.next(line)
            if due is Drained.MORE:
                continue
            if isinstance(due, Drained):
                return due
            attempt = await self._sender.send(due.target, due.event)
            failpoint("webhook.retried")
            wait_s = await self._records.settle(line, due, attempt)
            if wait_s is not None:
                raise ApplicationError(
                    f"{attempt.reason} {attempt.status or ''}".strip(),
                    type=WEBHOOK_NOT_TOLD,
                    next_retry_delay=timedelta(seconds=wait_s),
                )
        return Drained.MORE
