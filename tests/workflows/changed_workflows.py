"""Workflows changed as no release may change them: replay has to notice each."""

from __future__ import annotations

from dataclasses import replace

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.notices import NoticeActivities
    from models.domain.application import (
        ApplicationEnding,
        ApplicationOutcome,
        ApplicationRef,
        State,
    )
    from models.domain.kyc import KYCStatus, PersonRef
    from models.domain.notice import NoticeRef, NoticeStatus
    from models.domain.review import ReviewEnd, ReviewRequest
    from models.domain.routing import (
        ADVERSE_ACTION_WORKFLOW,
        APPLICATION_WORKFLOW,
        KYC_WORKFLOW,
        SETTLEMENT_WORKFLOW,
        WEBHOOK_DUE,
        WEBHOOK_WORKFLOW,
    )
    from models.domain.settlement import FinalitySignal, SettlementOrder, SettlementOutcome
    from models.domain.webhook import Line
    from workflows.adverse_action import AdverseActionWorkflow
    from workflows.credit_application import CreditApplicationWorkflow
    from workflows.kyc import KYCWorkflow
    from workflows.offering import OfferDesk
    from workflows.options import OWN_DATABASE
    from workflows.review import ReviewDesk
    from workflows.settlement import SettlementWorkflow
    from workflows.webhook_delivery import WebhookDeliveryWorkflow


@workflow.defn(name=APPLICATION_WORKFLOW)
class ScoresBeforeEligibility(CreditApplicationWorkflow):
    """Two stages swapped: the bureau would be paid before the rules have spoken."""

    @workflow.init
    def __init__(self, application: ApplicationRef) -> None:
        super().__init__(application)

    @workflow.run
    async def run(self, application: ApplicationRef) -> ApplicationOutcome:
        return await super().run(application)

    async def _check_eligibility(self) -> ApplicationEnding | None:
        return await super()._score_and_decide()

    async def _score_and_decide(self) -> ApplicationEnding | None:
        return await super()._check_eligibility()


class PatientDesk(OfferDesk):
    """Lenders that did not stand by an offer are not asked for another one."""

    async def collect_anew(self) -> bool:
        return False


@workflow.defn(name=APPLICATION_WORKFLOW)
class NeverQuotesAnew(CreditApplicationWorkflow):
    """Who was let down by a lender is let down by us."""

    @workflow.init
    def __init__(self, application: ApplicationRef) -> None:
        super().__init__(application)
        self.offers = PatientDesk(application)

    @workflow.run
    async def run(self, application: ApplicationRef) -> ApplicationOutcome:
        return await super().run(application)


class HastyDesk(OfferDesk):
    """Who did not answer the first time is not asked again."""

    async def collect(self) -> bool:
        return bool((await self._search(1)).offers)


@workflow.defn(name=APPLICATION_WORKFLOW)
class DeclinesForAnOutage(CreditApplicationWorkflow):
    """Lenders that were only away cost the applicant the loan."""

    @workflow.init
    def __init__(self, application: ApplicationRef) -> None:
        super().__init__(application)
        self.offers = HastyDesk(application)

    @workflow.run
    async def run(self, application: ApplicationRef) -> ApplicationOutcome:
        return await super().run(application)


class OneApprovalDesk(ReviewDesk):
    """One person is enough for anything."""

    async def ask(self, request: ReviewRequest) -> ReviewEnd:
        return await super().ask(replace(request, approvals_needed=1))


@workflow.defn(name=APPLICATION_WORKFLOW)
class ApprovesAlone(CreditApplicationWorkflow):
    """Four eyes became two."""

    @workflow.init
    def __init__(self, application: ApplicationRef) -> None:
        super().__init__(application)
        self.reviews = OneApprovalDesk()

    @workflow.run
    async def run(self, application: ApplicationRef) -> ApplicationOutcome:
        return await super().run(application)


@workflow.defn(name=APPLICATION_WORKFLOW)
class WithdrawsUnseen(CreditApplicationWorkflow):
    """A withdrawn application ends without a look at how it did."""

    @workflow.init
    def __init__(self, application: ApplicationRef) -> None:
        super().__init__(application)

    @workflow.run
    async def run(self, application: ApplicationRef) -> ApplicationOutcome:
        return await super().run(application)

    async def _recorded_ending(self) -> ApplicationEnding:
        return ApplicationEnding(State.WITHDRAWN, ())


@workflow.defn(name=APPLICATION_WORKFLOW)
class TellsNobodyWhy(CreditApplicationWorkflow):
    """A refusal without its letter."""

    @workflow.init
    def __init__(self, application: ApplicationRef) -> None:
        super().__init__(application)

    @workflow.run
    async def run(self, application: ApplicationRef) -> ApplicationOutcome:
        return await super().run(application)

    async def _recorded(self, ending: ApplicationEnding) -> ApplicationEnding:
        await workflow.execute_local_activity_method(
            NoticeActivities.close_application, args=[self.application, ending], **OWN_DATABASE
        )
        return ending


@workflow.defn(name=ADVERSE_ACTION_WORKFLOW)
class GivesUpAtOnce(AdverseActionWorkflow):
    """Nobody waits for a person to deliver what the mail house refuses."""

    @workflow.init
    def __init__(self, notice: NoticeRef) -> None:
        super().__init__(notice)

    @workflow.run
    async def run(self, notice: NoticeRef) -> NoticeStatus:
        return await super().run(notice)

    async def _handed_over_in_time(self) -> bool:
        return False


@workflow.defn(name=KYC_WORKFLOW)
class AsksNobodyAnew(KYCWorkflow):
    """A new document is taken for an answer."""

    @workflow.init
    def __init__(self, person: PersonRef) -> None:
        super().__init__(person)
        self.reviews = ReviewDesk()

    @workflow.run
    async def run(self, person: PersonRef) -> KYCStatus:
        return await super().run(person)


@workflow.defn(name=KYC_WORKFLOW)
class NeverExpires(KYCWorkflow):
    """A verification without an end."""

    @workflow.init
    def __init__(self, person: PersonRef) -> None:
        super().__init__(person)

    @workflow.run
    async def run(self, person: PersonRef) -> KYCStatus:
        return await super().run(person)

    async def _wait_out_validity(self) -> KYCStatus:
        return KYCStatus.VERIFIED


@workflow.defn(name=SETTLEMENT_WORKFLOW)
class BooksWithoutFinality(SettlementWorkflow):
    """A loan is booked as soon as its transaction was sent."""

    @workflow.init
    def __init__(self, order: SettlementOrder) -> None:
        super().__init__(order)

    @workflow.run
    async def run(self, order: SettlementOrder) -> SettlementOutcome:
        return await super().run(order)

    async def _wait_for_finality(self, tx_hash: str) -> FinalitySignal:
        return FinalitySignal(tx_hash, 0, "", 0, succeeded=True)


@workflow.defn(name=WEBHOOK_WORKFLOW)
class HearsNobody(WebhookDeliveryWorkflow):
    """A receiver that is back would be told hours later."""

    @workflow.init
    def __init__(self, line: Line) -> None:
        super().__init__(line)

    @workflow.signal(name=WEBHOOK_DUE)
    def webhook_due(self) -> None:
        pass

    @workflow.run
    async def run(self, line: Line) -> None:
        await super().run(line)
