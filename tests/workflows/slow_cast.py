"""Those who answer only when told to, so that something else can happen meanwhile."""

from __future__ import annotations

import asyncio

from temporalio import activity

from activities.ports.workflow_messages import WorkflowMessages
from models.domain.application import ApplicationEnding, ApplicationRef, Withdrawal
from models.domain.errors import Conflict
from models.domain.notice import NoticeRef
from models.domain.review import OpenedReview, ReviewRequest
from models.domain.risk import Assessment
from models.domain.settlement import SettlementOrder, SubmittedTransaction
from tests.workflows.cast import Books, Calls, SteadyScorer
from tests.workflows.lenders_and_chains import PromptChain


class SlowScorer(SteadyScorer):
    """Scores only when told to."""

    def __init__(self, calls: Calls) -> None:
        super().__init__(calls)
        self.asked, self.may_score = asyncio.Event(), asyncio.Event()

    @activity.defn(name="assess_risk")
    async def assess(self, application: ApplicationRef) -> Assessment:
        self.asked.set()
        await self.may_score.wait()
        return await super().assess(application)


class SlowToOpen(Books):
    """A review is on record, and seen by operators, before the workflow learns of it."""

    def __init__(self, calls: Calls) -> None:
        super().__init__(calls)
        self.opening, self.may_open = asyncio.Event(), asyncio.Event()

    @activity.defn(name="open_review")
    async def open_review(self, request: ReviewRequest) -> OpenedReview:
        opened = await super().open_review(request)
        self.opening.set()
        await self.may_open.wait()
        return opened


class SlowToWithdraw(Books):
    """A withdrawal goes on record only when told to."""

    def __init__(self, calls: Calls) -> None:
        super().__init__(calls)
        self.withdrawing, self.may_withdraw = asyncio.Event(), asyncio.Event()

    @activity.defn(name="withdraw_application")
    async def withdraw_application(
        self, application: ApplicationRef, withdrawal: Withdrawal
    ) -> None:
        self.withdrawing.set()
        await self.may_withdraw.wait()
        await super().withdraw_application(application, withdrawal)


class SlowToEnd(Books):
    """An ending goes on record only when told to."""

    def __init__(self, calls: Calls) -> None:
        super().__init__(calls)
        self.ending, self.may_end = asyncio.Event(), asyncio.Event()

    @activity.defn(name="close_application")
    async def close_application(
        self, application: ApplicationRef, ending: ApplicationEnding
    ) -> NoticeRef | None:
        self.ending.set()
        await self.may_end.wait()
        return await super().close_application(application, ending)


class SlowToSign(PromptChain):
    """Is about to sign when the application turns out to be closed."""

    def __init__(self, calls: Calls, messages: WorkflowMessages) -> None:
        super().__init__(calls, messages)
        self.asked, self.may_sign = asyncio.Event(), asyncio.Event()

    @activity.defn(name="submit_settlement")
    async def submit_settlement(self, order: SettlementOrder) -> SubmittedTransaction:
        self.asked.set()
        await self.may_sign.wait()
        self.calls.append("submit_settlement")
        raise Conflict("SETTLEMENT_CLOSED", order.application.application_id)
