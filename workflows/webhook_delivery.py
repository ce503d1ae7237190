"""What follows a failed first attempt: retries for three days, in order, then the way back."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError, CancelledError

with workflow.unsafe.imports_passed_through():
    from activities.webhooks import WebhookActivities
    from models.domain.routing import WEBHOOK_DUE, WEBHOOK_WORKFLOW
    from models.domain.webhook import Drained, Line
    from workflows.options import WEBHOOK


@workflow.defn(name=WEBHOOK_WORKFLOW)
class WebhookDeliveryWorkflow:
    """Looks after one webhook and key until nothing is left; who wakes it is always heard."""

    @workflow.init
    def __init__(self, line: Line) -> None:
        self.line = line
        self.woken = False

    @workflow.signal(name=WEBHOOK_DUE)
    def webhook_due(self) -> None:
        """There is something to do now: a new line, one resumed, or a redelivery."""
        self.woken = True

    @workflow.run
    async def run(self, line: Line) -> None:
        while True:
            self.woken = False
            drained = await self._drained()
            if drained is not Drained.MORE and not self.woken:
                return
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(line)

    async def _drained(self) -> Drained:
        """Attempt until nothing is left; or begin again at once, when woken while it waits."""
        delivering = workflow.start_activity_method(
            WebhookActivities.deliver_webhooks,
            self.line,
            summary="Deliver what one key of a webhook holds",
            **WEBHOOK,
        )
        await workflow.wait_condition(lambda: delivering.done() or self.woken)
        if not delivering.done():
            delivering.cancel()
        try:
            return await delivering
        except ActivityError as error:
            if isinstance(error.cause, CancelledError):
                return Drained.MORE
            raise
