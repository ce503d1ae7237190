"""Reviews: questions that wait for a named person."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ReviewKind(StrEnum):
    """What a person is asked."""

    IDENTITY = "identity"
    ELIGIBILITY = "eligibility"
    CREDIT = "credit"


@dataclass(frozen=True, slots=True)
class ReviewRequest:
    """A review to open: `subject_id` is an application or a user; `workflow_id` waits for it."""

    tenant_id: str
    kind: ReviewKind
    subject_id: str
    applicant_id: str
    workflow_id: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReviewDecision:
    """What a named operator decided, and why (kept in the audit trail)."""

    review_id: str
    approved: bool
    decided_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReviewClosure:
    """A decision bound to the review it closes; `decision` is None when nobody decided in time."""

    tenant_id: str
    review_id: str
    decision: ReviewDecision | None
