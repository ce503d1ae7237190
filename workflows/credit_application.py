"""One application for credit, from identity to settlement: the table of contents of a loan."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.compliance import ComplianceActivities
    from activities.kyc import KYCActivities
    from activities.notices import NoticeActivities
    from models.domain.application import (
        ApplicationEnding,
        ApplicationOutcome,
        ApplicationRef,
        Stage,
        State,
        Withdrawal,
    )
    from models.domain.decision import Outcome, Verdict
    from models.domain.ids import application_workflow_id
    from models.domain.kyc import KYCStanding, KYCStatus
    from models.domain.notice import NoticeRef
    from models.domain.review import ReviewEnd, ReviewKind, ReviewRequest
    from models.domain.routing import (
        APPLICATION_WORKFLOW,
        IDENTITY_CONCLUDED,
        WITHDRAW,
    )
    from models.domain.settlement import SettlementState, ending_of_failure
    from workflows.children import score, send_notice, settle
    from workflows.failures import code_of, not_recorded
    from workflows.offering import OfferDesk, Offered
    from workflows.options import OWN_DATABASE, STAGE, STATE
    from workflows.review import ReviewDesk, Reviewed


# The row in our database is the authority: a workflow that finds it closed ends as it says.
APPLICATION_CLOSED = "APPLICATION_CLOSED"


@workflow.defn(name=APPLICATION_WORKFLOW)
class CreditApplicationWorkflow(Reviewed, Offered):
    """Carries one application to exactly one ending."""

    @workflow.init
    def __init__(self, application: ApplicationRef) -> None:
        self.application = application
        self.standing: KYCStanding | None = None
        self.offers = OfferDesk(application)
        self.settling = False
        self.withdrawn = False
        self.closing = False
        self.reviews = ReviewDesk()
        self.outcome: ApplicationOutcome | None = None

    @workflow.run
    async def run(self, application: ApplicationRef) -> ApplicationOutcome:
        course = asyncio.create_task(self._course())
        while not course.done():
            try:
                await workflow.wait_condition(course.done)
            except asyncio.CancelledError:
                await self._cancelled_by_operator()
        return course.result()

    async def _course(self) -> ApplicationOutcome:
        return await self._close(await self._until_ended_or_withdrawn())

    async def _stages(self) -> ApplicationEnding:
        await self._verify_identity()
        return (
            await self._check_eligibility()
            or await self._score_and_decide()
            or await self._collect_offers()
            or await self._accept_and_settle()
        )

    async def _until_ended_or_withdrawn(self) -> ApplicationEnding:
        stages = asyncio.create_task(self._stages())
        await workflow.wait_condition(lambda: stages.done() or self.withdrawn)
        if self.withdrawn:
            # A settlement is not torn down: it finds nothing to sign, and says so itself.
            await workflow.wait_condition(lambda: stages.done() or not self.settling)
            stages.cancel()
            with suppress(asyncio.CancelledError, FailureError):
                await stages
            return await self._recorded_ending()
        try:
            return stages.result()
        except FailureError as error:
            if code_of(error) != APPLICATION_CLOSED:
                raise
            return await self._recorded_ending()

    # Messages: handlers touch only state; validators refuse before history is written.

    @workflow.signal(name=IDENTITY_CONCLUDED)
    def identity_concluded(self, standing: KYCStanding) -> None:
        """The person's KYC workflow has concluded; repeated answers change nothing."""
        if self.standing is None:
            self.standing = standing

    @workflow.update(name=WITHDRAW)
    async def withdraw(self, withdrawal: Withdrawal) -> None:
        """The applicant withdraws; answered once it is on record, refused once money may move."""
        try:
            await workflow.execute_local_activity_method(
                NoticeActivities.withdraw_application,
                args=[self.application, withdrawal],
                summary="Withdraw the application",
                **OWN_DATABASE,
            )
        except FailureError as error:
            raise not_recorded(error, "the withdrawal") from error
        self.withdrawn = True

    @withdraw.validator
    def _validate_withdrawal(self, withdrawal: Withdrawal) -> None:
        if self.closing:
            raise ApplicationError("the application is closed", type=APPLICATION_CLOSED)

    @workflow.query(name="outcome")
    def current_outcome(self) -> ApplicationOutcome | None:
        """How the application ended, or None while it is under way."""
        return self.outcome

    # Stages: each returns the ending it leads to, or None to go on.

    async def _verify_identity(self) -> None:
        workflow.set_current_details("Waiting for the applicant's identity to be verified.")
        standing: KYCStanding = await workflow.execute_local_activity_method(
            KYCActivities.join_verification,
            self.application,
            summary="Join the person's identity verification",
            **OWN_DATABASE,
        )
        if standing.status is not KYCStatus.PENDING:
            self.standing = standing
        await workflow.wait_condition(lambda: self.standing is not None)

    async def _check_eligibility(self) -> ApplicationEnding | None:
        verdict: Verdict = await workflow.execute_local_activity_method(
            ComplianceActivities.check_eligibility,
            self.application,
            summary="Screen names and evaluate eligibility rules",
            **OWN_DATABASE,
        )
        return await self._follow(verdict, Stage.ELIGIBILITY, ReviewKind.ELIGIBILITY)

    async def _score_and_decide(self) -> ApplicationEnding | None:
        workflow.set_current_details("Gathering evidence and scoring the risk.")
        await score(self.application)
        verdict: Verdict = await workflow.execute_local_activity_method(
            ComplianceActivities.decide_credit,
            self.application,
            summary="Evaluate the credit policy over score and evidence",
            **OWN_DATABASE,
        )
        return await self._follow(verdict, Stage.CREDIT, ReviewKind.CREDIT)

    async def _collect_offers(self) -> ApplicationEnding | None:
        workflow.set_current_details("Asking lenders for offers.")
        if await self.offers.collect():
            return None
        return ApplicationEnding(State.DECLINED, ("NO_OFFER_AVAILABLE",))

    async def _accept_and_settle(self) -> ApplicationEnding:
        """Until money has moved or nobody offers any: a lender may not stand by its offer."""
        while True:
            ending = await self._await_acceptance() or await self._settle()
            if ending is not None:
                return ending

    async def _await_acceptance(self) -> ApplicationEnding | None:
        def show(words: str) -> None:
            self._stand(Stage.OFFERS, State.OFFERED, words)

        if await self.offers.until_accepted(show):
            return None
        return ApplicationEnding(State.EXPIRED, ("OFFER_EXPIRED",))

    async def _settle(self) -> ApplicationEnding | None:
        assert self.offers.accepted is not None
        self.settling = True
        self._stand(Stage.SETTLEMENT, State.SETTLING, "Settling on chain; waiting for finality.")
        settled = await settle(self.application, self.offers.accepted, self.offers.round)
        if settled.state is SettlementState.FINAL:
            return ApplicationEnding(State.FUNDED, (), settled.loan_id, settled.tx_hash)
        ending = ending_of_failure(settled.reason or "SETTLEMENT_FAILED")
        if not settled.reopened:
            return ending
        self.settling = False
        words = "The lender did not stand by its offer; no funds have moved. Asking lenders again."
        self._stand(Stage.OFFERS, State.PROCESSING, words)
        return None if await self.offers.collect_anew() else ending

    async def _close(self, ending: ApplicationEnding) -> ApplicationOutcome:
        self.closing = True
        self.offers.close()
        await workflow.wait_condition(workflow.all_handlers_finished)
        # Booking the loan and withdrawing close the application in their own transactions.
        if ending.state not in (State.FUNDED, State.WITHDRAWN):
            ending = await self._recorded(ending)
        because = f" because of {', '.join(ending.reasons)}" if ending.reasons else ""
        self._stand(Stage.CLOSED, ending.state, f"Ended as {ending.state}{because}.")
        self.outcome = ApplicationOutcome(
            self.application.application_id,
            ending.state,
            ending.reasons,
            ending.loan_id,
            ending.tx_hash,
        )
        return self.outcome

    async def _recorded(self, ending: ApplicationEnding) -> ApplicationEnding:
        """Put the ending on record; a withdrawal that was recorded first is the one that counts."""
        try:
            notice: NoticeRef | None = await workflow.execute_local_activity_method(
                NoticeActivities.close_application,
                args=[self.application, ending],
                summary=f"Close as {ending.state}",
                **OWN_DATABASE,
            )
        except FailureError as error:
            if code_of(error) != APPLICATION_CLOSED:
                raise
            return await self._recorded_ending()
        if notice is not None:
            await send_notice(notice)
        return ending

    async def _recorded_ending(self) -> ApplicationEnding:
        ending: ApplicationEnding = await workflow.execute_local_activity_method(
            NoticeActivities.recorded_ending,
            self.application,
            summary="Read how the application has ended",
            **OWN_DATABASE,
        )
        return ending

    async def _cancelled_by_operator(self) -> None:
        """A cancellation in the Web UI withdraws the application, unless money may move."""
        if self.closing:
            return
        with suppress(FailureError):
            await workflow.execute_local_activity_method(
                NoticeActivities.withdraw_application,
                args=[self.application, Withdrawal("temporal-operator", "CANCELLED_BY_OPERATOR")],
                summary="Cancel the application",
                **OWN_DATABASE,
            )
            self.withdrawn = True

    # What a verdict leads to.

    async def _follow(
        self, verdict: Verdict, stage: Stage, kind: ReviewKind
    ) -> ApplicationEnding | None:
        match verdict.outcome:
            case Outcome.ALLOW:
                return None
            case Outcome.DECLINE:
                return ApplicationEnding(State.DECLINED, verdict.reasons)
            case Outcome.BLOCK:
                return ApplicationEnding(State.BLOCKED, verdict.reasons)
            case _:
                return await self._review(verdict, stage, kind)

    async def _review(
        self, verdict: Verdict, stage: Stage, kind: ReviewKind
    ) -> ApplicationEnding | None:
        """Ask a named operator; undecided means expired, never approved."""
        why = ", ".join(verdict.reasons)
        self._stand(stage, State.IN_REVIEW, f"Asking an operator for a review: {why}.")
        tenant_id, application_id = self.application.tenant_id, self.application.application_id
        enhanced = verdict.outcome is Outcome.ENHANCED_DUE_DILIGENCE
        ended = await self.reviews.ask(
            ReviewRequest(
                tenant_id=tenant_id,
                kind=kind,
                subject_id=application_id,
                applicant_id=self.application.user_id,
                workflow_id=application_workflow_id(tenant_id, application_id),
                reasons=verdict.reasons,
                approvals_needed=2 if enhanced else 1,
            )
        )
        match ended:
            case ReviewEnd.APPROVED:
                return None
            case ReviewEnd.REJECTED:
                return ApplicationEnding(State.REJECTED, verdict.reasons)
            case ReviewEnd.UNANSWERED:
                return ApplicationEnding(State.EXPIRED, ("INFORMATION_NOT_PROVIDED",))
            case _:
                return ApplicationEnding(State.EXPIRED, ("REVIEW_UNDECIDED",))

    def _stand(self, stage: Stage, state: State, words: str) -> None:
        """Tell support staff where the application stands: in plain words and searchable."""
        workflow.set_current_details(words)
        workflow.upsert_search_attributes([STAGE.value_set(stage), STATE.value_set(state)])
