"""Requests and answers about reviews."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, StrictBool

from api.schemas.applications import Message, Text
from models.domain.views import ReviewView


class DecisionBody(Message):
    """A named operator's decision and its reason, kept in the audit trail."""

    approved: StrictBool
    reason: Text


class ReviewAnswer(BaseModel):
    """A review."""

    review_id: str
    kind: str
    subject_id: str
    reasons: list[str]
    status: str
    decided_by: str | None
    created_at: datetime
    decided_at: datetime | None

    @classmethod
    def of(cls, view: ReviewView) -> ReviewAnswer:
        """The read model as the API shows it."""
        return cls(
            review_id=view.review_id,
            kind=view.kind,
            subject_id=view.subject_id,
            reasons=list(view.reasons),
            status=view.status,
            decided_by=view.decided_by,
            created_at=view.created_at,
            decided_at=view.decided_at,
        )


class ReviewListAnswer(BaseModel):
    """Open reviews, oldest first."""

    reviews: list[ReviewAnswer]


class DecidedAnswer(BaseModel):
    """The decision is on record."""

    review_id: str
    approved: bool
