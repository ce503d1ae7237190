"""Our records of reviews."""

from __future__ import annotations

from typing import Protocol

from models.domain.review import ReviewClosure, ReviewRequest


class ReviewRecords(Protocol):
    """Each method is one transaction with its audit and outbox rows, and may be repeated."""

    async def open(self, request: ReviewRequest) -> str:
        """Open the review, or find it open already; returns its id."""
        ...

    async def close(self, closure: ReviewClosure) -> None:
        """Record the named operator's decision, or that nobody decided in time."""
        ...
