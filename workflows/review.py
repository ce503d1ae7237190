"""A question for named persons, and the wait for the answer; used by every workflow that asks."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.reviews import ReviewActivities
    from models.domain.four_eyes import Approvals
    from models.domain.review import (
        Assignment,
        InformationAsked,
        InformationProvided,
        OpenedReview,
        ReviewClosure,
        ReviewDecision,
        ReviewEnd,
        ReviewRequest,
        ReviewStep,
    )
    from models.domain.routing import (
        ASK_APPLICANT,
        DECIDE_REVIEW,
        INFORMATION_PROVIDED,
        REASSIGN_REVIEW,
    )
    from workflows.failures import code_of
    from workflows.options import (
        INFORMATION_DEADLINE,
        OWN_DATABASE,
        REVIEW_DEADLINE,
        SHORTEST_TIMER,
    )

_LONG_PAST = datetime.min.replace(tzinfo=UTC)


class ReviewDesk:
    """At most one review is open at a time; undecided in time means no decision, never a yes.

    With `resubmission`, a new document from the applicant ends the review: it is examined anew.
    """

    def __init__(self, *, resubmission: bool = False) -> None:
        self._resubmission = resubmission
        self._tenant_id = ""
        self._review_id: str | None = None
        self._why = ""
        self._needed = 1
        self._approvals: tuple[str, ...] = ()
        self._assignee: str | None = None
        self._decision: ReviewDecision | None = None
        self._deadline = _LONG_PAST
        self._asked: InformationAsked | None = None
        self._provided: InformationProvided | None = None
        self._turn = asyncio.Lock()  # one step at a time goes on record
        self.last_decision: ReviewDecision | None = None

    # For the handlers of the workflow that owns the desk.

    def refuse_decision(self, decision: ReviewDecision) -> None:
        """For validators: raise REVIEW_NOT_OPEN, REVIEW_ASSIGNED or FOUR_EYES_NEEDED."""
        self._refuse_unless_open(decision.review_id)
        if self._assignee not in (None, decision.decided_by):
            raise _refusal("REVIEW_ASSIGNED", "this review is assigned to somebody else")
        if decision.approved and self._eyes().objection(decision.decided_by):
            raise _refusal("FOUR_EYES_NEEDED", "another person has to approve, too")

    async def decide(self, decision: ReviewDecision) -> ReviewEnd | None:
        """Take the decision once it is on record; None while another approval is needed."""
        async with self._turn:
            self.refuse_decision(decision)  # others had their turn meanwhile
            if decision.approved and not self._eyes().completes():
                await self._record(ReviewStep(self._tenant_id, approval=decision))
                self._approvals += (decision.decided_by,)
                self._assignee = None  # whoever it was assigned to has decided
                self._say_where_we_stand()
                return None
            self._decision = decision
        await workflow.wait_condition(lambda: self._review_id is None)
        if self.last_decision is not decision:  # whoever waited for it has been withdrawn
            raise _refusal("REVIEW_NOT_OPEN", "this review is not open")
        return ReviewEnd.APPROVED if decision.approved else ReviewEnd.REJECTED

    def _eyes(self) -> Approvals:
        return Approvals(self._needed, self._approvals)

    def refuse_assignment(self, assignment: Assignment) -> None:
        """For validators: raise REVIEW_NOT_OPEN, or FOUR_EYES_NEEDED for who has approved."""
        self._refuse_unless_open(assignment.review_id)
        if self._eyes().objection(assignment.assignee):
            raise _refusal("FOUR_EYES_NEEDED", "this person has approved already")

    async def reassign(self, assignment: Assignment) -> None:
        """From now on the assignee, and nobody else, decides."""
        async with self._turn:
            self.refuse_assignment(assignment)
            await self._record(ReviewStep(self._tenant_id, assignment=assignment))
            self._assignee = assignment.assignee
            self._say_where_we_stand()

    def refuse_question(self, asked: InformationAsked) -> None:
        """For validators: raise REVIEW_NOT_OPEN, or INFORMATION_AWAITED while one is open."""
        self._refuse_unless_open(asked.review_id)
        if self._asked is not None:
            raise _refusal("INFORMATION_AWAITED", "the applicant has been asked already")

    async def ask_applicant(self, asked: InformationAsked) -> datetime:
        """Put the question on record; returns until when the applicant may answer."""
        async with self._turn:
            self.refuse_question(asked)
            due_at = workflow.now() + INFORMATION_DEADLINE
            await self._record(ReviewStep(self._tenant_id, asked=asked, due_at=due_at.isoformat()))
            self._asked, self._deadline = asked, due_at
            self._say_where_we_stand()
        return due_at

    def take_information(self, provided: InformationProvided) -> None:
        """For signal handlers; repeated and foreign answers change nothing."""
        if self._asked is not None and provided.request_id == self._asked.request_id:
            self._provided = provided

    # For the workflow's own course.

    async def ask(self, request: ReviewRequest) -> ReviewEnd:
        """Open a review and wait for named persons, each wait with its own deadline."""
        self._forget_the_last()
        self._tenant_id, self._needed = request.tenant_id, request.approvals_needed
        self._why = ", ".join(request.reasons)
        opened: OpenedReview = await workflow.execute_local_activity_method(
            ReviewActivities.open_review, request, summary="Open a review", **OWN_DATABASE
        )
        if opened.ended is not None:
            self.last_decision = opened.decision
            return opened.ended
        self._review_id, self._approvals = opened.review_id, opened.approvals
        self._assignee, self._deadline = opened.assignee, workflow.now() + REVIEW_DEADLINE
        self._say_where_we_stand()
        try:
            ended = await self._wait()
            self._deadline = _LONG_PAST  # it is being closed: nothing is taken any more
            closure = ReviewClosure(request.tenant_id, opened.review_id, ended, self._decision)
            await workflow.execute_local_activity_method(
                ReviewActivities.close_review, closure, summary="Close the review", **OWN_DATABASE
            )
            self.last_decision = self._decision
        finally:
            self._review_id = None  # cancelled or not: nobody waits for it any more
        return ended

    async def _wait(self) -> ReviewEnd:
        while True:
            asked = self._asked
            if not await self._news(asked):
                # A step being recorded at this moment may change what is waited for.
                async with self._turn:
                    if self._nothing_came(asked) and not await self._answered_unheard():
                        return ReviewEnd.UNANSWERED if asked else ReviewEnd.UNDECIDED
            if self._decision is not None:
                return ReviewEnd.APPROVED if self._decision.approved else ReviewEnd.REJECTED
            if self._provided is not None:
                if self._provided.new_document and self._resubmission:
                    return ReviewEnd.RESUBMITTED
                self._asked, self._provided = None, None
                self._deadline = workflow.now() + REVIEW_DEADLINE
                self._say_where_we_stand()

    async def _news(self, asked: InformationAsked | None) -> bool:
        """Whether something happened before the deadline of what is waited for."""
        try:
            await workflow.wait_condition(
                lambda: self._provided is not None or not self._nothing_came(asked),
                timeout=max(self._deadline - workflow.now(), SHORTEST_TIMER),
                timeout_summary="Information deadline" if asked else "Review deadline",
            )
        except TimeoutError:
            return False
        return True

    def _nothing_came(self, asked: InformationAsked | None) -> bool:
        return self._decision is None and self._asked is asked

    async def _answered_unheard(self) -> bool:
        """Whether the applicant has answered and the message of it was lost."""
        if self._asked is None:
            return False
        if self._provided is None:
            new_document: bool | None = await workflow.execute_local_activity_method(
                ReviewActivities.look_for_information,
                args=[self._tenant_id, self._asked.request_id],
                summary="Look for the applicant's answer",
                **OWN_DATABASE,
            )
            if new_document is not None:
                self._provided = InformationProvided(self._asked.request_id, new_document)
        return self._provided is not None

    async def _record(self, step: ReviewStep) -> None:
        """Put a step on record; a refusal reaches whoever asked for it."""
        try:
            await workflow.execute_local_activity_method(
                ReviewActivities.record_review_step,
                step,
                summary="Record a step of the review",
                **OWN_DATABASE,
            )
        except FailureError as error:
            raise _refusal(code_of(error) or "NOT_RECORDED", "it was not recorded") from error

    def _forget_the_last(self) -> None:
        self.last_decision = None
        self._decision, self._asked, self._provided = None, None, None
        self._approvals, self._assignee = (), None

    def _refuse_unless_open(self, review_id: str) -> None:
        # The clock is asked too: the closure may be on record already when this task is repeated.
        decided = self._decision is not None or workflow.now() >= self._deadline
        if decided or self._review_id != review_id:
            raise _refusal("REVIEW_NOT_OPEN", "this review is not open")

    def _say_where_we_stand(self) -> None:
        until = f"{self._deadline:%Y-%m-%d %H:%M} UTC"
        if self._asked is not None:
            items = ", ".join(self._asked.items)
            workflow.set_current_details(
                f"Waiting for the applicant to send {items} until {until}; review of {self._why}."
            )
            return
        who = self._assignee or "an operator"
        second = f" {', '.join(self._approvals)} approved; " if self._approvals else ""
        need = "another person is needed." if self._approvals else ""
        workflow.set_current_details(
            f"Waiting for {who} to review {self._why} until {until}.{second}{need}"
        )


class Reviewed:
    """The messages of a workflow that asks people; mixed into those that do."""

    reviews: ReviewDesk

    @workflow.update(name=DECIDE_REVIEW)
    async def decide_review(self, decision: ReviewDecision) -> ReviewEnd | None:
        """A named operator approves or rejects; answered once the decision is on record."""
        return await self.reviews.decide(decision)

    @decide_review.validator
    def _validate_decision(self, decision: ReviewDecision) -> None:
        self.reviews.refuse_decision(decision)

    @workflow.update(name=REASSIGN_REVIEW)
    async def reassign_review(self, assignment: Assignment) -> None:
        """The review is given to another person."""
        await self.reviews.reassign(assignment)

    @reassign_review.validator
    def _validate_assignment(self, assignment: Assignment) -> None:
        self.reviews.refuse_assignment(assignment)

    @workflow.update(name=ASK_APPLICANT)
    async def ask_applicant(self, asked: InformationAsked) -> datetime:
        """An operator asks the applicant before deciding; answered with the deadline."""
        return await self.reviews.ask_applicant(asked)

    @ask_applicant.validator
    def _validate_question(self, asked: InformationAsked) -> None:
        self.reviews.refuse_question(asked)

    @workflow.signal(name=INFORMATION_PROVIDED)
    def information_provided(self, provided: InformationProvided) -> None:
        """The applicant has answered; the answer is in the database already."""
        self.reviews.take_information(provided)


def _refusal(code: str, detail: str) -> ApplicationError:
    return ApplicationError(detail, type=code, non_retryable=True)
