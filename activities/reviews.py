"""Reviews: questions for a named person, opened and closed on record."""

from __future__ import annotations

from temporalio import activity

from activities.ports.review_records import ReviewRecords
from models.domain.review import ReviewClosure, ReviewRequest


class ReviewActivities:
    """Opens and closes reviews for whichever workflow waits."""

    def __init__(self, records: ReviewRecords) -> None:
        self._records = records

    @activity.defn(name="open_review")
    async def open_review(self, request: ReviewRequest) -> str:
        """Open the review; returns its id."""
        return await self._records.open(request)

    @activity.defn(name="close_review")
    async def close_review(self, closure: ReviewClosure) -> None:
        """Record who decided what and why, or that nobody did in time."""
        await self._records.close(closure)
