"""Our records of reviews."""

from __future__ import annotations

from typing import Protocol

from models.domain.review import OpenedReview, ReviewClosure, ReviewRequest, ReviewStep


class ReviewRecords(Protocol):
    """Each method is one transaction with its audit and outbox rows, and may be repeated."""

    async def open(self, request: ReviewRequest) -> OpenedReview:
        """Open the review, or find it open already.

        A decision once made about an application stands: then the review is returned with it.
        """
        ...

    async def step(self, step: ReviewStep) -> None:
        """Record an approval that is not the last, a reassignment, or a question."""
        ...

    async def answered(self, tenant_id: str, request_id: str) -> bool | None:
        """None while the applicant has not answered; else whether a new document came."""
        ...

    async def close(self, closure: ReviewClosure) -> None:
        """Record the named operators' decision, or why there is none."""
        ...
