"""The notice an applicant is owed after an adverse action, within thirty days of applying."""

from __future__ import annotations

from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.notices import NoticeActivities
    from models.domain.notice import NoticeHandedOver, NoticeRef, NoticeResult, NoticeStatus
    from models.domain.routing import ADVERSE_ACTION_WORKFLOW, NOTICE_HANDED_OVER
    from workflows.failures import code_of
    from workflows.options import MAIL_HOUSE, OWN_DATABASE, SHORTEST_TIMER

MAIL_HOUSE_COUNTERPARTY = "notifier"


@workflow.defn(name=ADVERSE_ACTION_WORKFLOW)
class AdverseActionWorkflow:
    """Sends one notice; what cannot be sent waits for a person until its legal deadline."""

    @workflow.init
    def __init__(self, notice: NoticeRef) -> None:
        self.notice = notice
        self.due_at = datetime.fromisoformat(notice.due_at)
        self.handed_over: NoticeHandedOver | None = None

    @workflow.signal(name=NOTICE_HANDED_OVER)
    def notice_handed_over(self, handed_over: NoticeHandedOver) -> None:
        """A named person has delivered it in another way; the first one counts."""
        if self.handed_over is None:
            self.handed_over = handed_over

    @workflow.run
    async def run(self, notice: NoticeRef) -> NoticeStatus:
        workflow.set_current_details(f"Sending the notice; it is due by {notice.due_at}.")
        refusal = await self._send()
        if refusal is None:
            return NoticeStatus.DELIVERED
        if self.handed_over is None and self._remaining_s > 0:
            await self._record(NoticeStatus.UNDELIVERABLE, MAIL_HOUSE_COUNTERPARTY, refusal)
            workflow.set_current_details(
                f"The mail house refuses the notice ({refusal}): deliver it in another way and "
                f"say so, at the latest by {notice.due_at}."
            )
        if await self._handed_over_in_time():
            return NoticeStatus.DELIVERED
        await self._record(NoticeStatus.OVERDUE, "deadline", refusal)
        workflow.set_current_details("The legal period has passed without a delivered notice.")
        return NoticeStatus.OVERDUE

    async def _send(self) -> str | None:
        """None once it is on its way; else why it is not: a person may be faster."""
        if self._remaining_s <= 0:
            return "DEADLINE_PASSED"
        sending = workflow.start_activity_method(
            NoticeActivities.send_notice,
            self.notice,
            schedule_to_close_timeout=max(self.due_at - workflow.now(), SHORTEST_TIMER),
            summary="Send the notice of adverse action",
            **MAIL_HOUSE,
        )
        await workflow.wait_condition(lambda: sending.done() or self.handed_over is not None)
        if not sending.done():
            sending.cancel()
        try:
            message_id: str = await sending
        except ActivityError as error:
            return code_of(error) or "NOT_SENT_IN_TIME"
        await self._record(NoticeStatus.DELIVERED, MAIL_HOUSE_COUNTERPARTY, message_id)
        workflow.set_current_details("The notice is on its way to the applicant.")
        return None

    async def _handed_over_in_time(self) -> bool:
        if self.handed_over is None and self._remaining_s <= 0:
            return False
        try:
            await workflow.wait_condition(
                lambda: self.handed_over is not None,
                timeout=max(self.due_at - workflow.now(), SHORTEST_TIMER),
                timeout_summary="Legal deadline of the notice",
            )
        except TimeoutError:
            return False
        assert self.handed_over is not None
        await self._record(NoticeStatus.DELIVERED, self.handed_over.by, self.handed_over.how)
        workflow.set_current_details(f"{self.handed_over.by} has delivered the notice.")
        return True

    async def _record(self, status: NoticeStatus, by: str, detail: str) -> None:
        await workflow.execute_local_activity_method(
            NoticeActivities.record_notice,
            NoticeResult(self.notice, status, by, detail),
            summary=f"The notice is {status}",
            **OWN_DATABASE,
        )

    @property
    def _remaining_s(self) -> float:
        return (self.due_at - workflow.now()).total_seconds()
