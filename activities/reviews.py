"""Reviews: questions for a named person, with every step of the answer on record."""

from __future__ import annotations

from temporalio import activity

from activities.ports.review_records import ReviewRecords
from models.domain.review import OpenedReview, ReviewClosure, ReviewRequest, ReviewStep


class ReviewActivities:
    """Opens, carries on and closes reviews for whichever workflow waits."""

    def __init__(self, records: ReviewRecords) -> None:
        self._records = records

    @activity.defn(name="open_review")
    async def open_review(self, request: ReviewRequest) -> OpenedReview:
        """Open the review, or return the decision that stands."""
        return await self._records.open(request)

    @activity.defn(name="record_review_step")
    async def record_review_step(self, step: ReviewStep) -> None:
        """Keep one of two approvals, a reassignment, or a question to the applicant."""
        await self._records.step(step)

    @activity.defn(name="look_for_information")
    async def look_for_information(self, tenant_id: str, request_id: str) -> bool | None:
        """Whether the applicant has answered after all, and with a new document."""
        return await self._records.answered(tenant_id, request_id)

    @activity.defn(name="close_review")
    async def close_review(self, closure: ReviewClosure) -> None:
        """Record who decided what and why, or that nobody did in time."""
        await self._records.close(closure)
