"""A question for a named person, and the wait for the answer; used by every workflow that asks."""

from __future__ import annotations

from datetime import UTC, datetime

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.reviews import ReviewActivities
    from models.domain.review import ReviewClosure, ReviewDecision, ReviewRequest
    from workflows.options import OWN_DATABASE, REVIEW_DEADLINE


class ReviewDesk:
    """At most one review is open at a time; undecided in time means no decision, never a yes."""

    def __init__(self) -> None:
        self._review_id: str | None = None
        self._decision: ReviewDecision | None = None
        self._deadline = datetime.min.replace(tzinfo=UTC)

    def refuse_unless_open(self, decision: ReviewDecision) -> None:
        """For update validators: raise REVIEW_NOT_OPEN unless this review waits for an answer."""
        # The clock is asked too: the closure may be on record already when this task is repeated.
        decided = self._decision is not None or workflow.now() >= self._deadline
        if decided or self._review_id != decision.review_id:
            raise ApplicationError(
                "this review is not open", type="REVIEW_NOT_OPEN", non_retryable=True
            )

    async def decide(self, decision: ReviewDecision) -> None:
        """For update handlers: take the decision; returns once it is on record."""
        self._decision = decision
        await workflow.wait_condition(lambda: self._review_id is None)

    async def ask(self, request: ReviewRequest) -> ReviewDecision | None:
        """Open a review and wait for a named person, at most until the deadline."""
        self._decision = None
        review_id: str = await workflow.execute_local_activity_method(
            ReviewActivities.open_review, request, summary="Open a review", **OWN_DATABASE
        )
        self._review_id, self._deadline = review_id, workflow.now() + REVIEW_DEADLINE
        try:
            await workflow.wait_condition(
                lambda: self._decision is not None,
                timeout=REVIEW_DEADLINE,
                timeout_summary="Review deadline",
            )
        except TimeoutError:
            workflow.logger.info("review undecided at its deadline")
        closure = ReviewClosure(request.tenant_id, review_id, self._decision)
        await workflow.execute_local_activity_method(
            ReviewActivities.close_review, closure, summary="Close the review", **OWN_DATABASE
        )
        self._review_id = None
        return closure.decision
