"""Reviews: questions that wait for a named person, who may ask the applicant first."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ReviewKind(StrEnum):
    """What a person is asked."""

    IDENTITY = "identity"
    ELIGIBILITY = "eligibility"
    CREDIT = "credit"


class ReviewEnd(StrEnum):
    """How a review was closed."""

    APPROVED = "approved"
    REJECTED = "rejected"
    UNDECIDED = "undecided"  # nobody decided before the deadline
    UNANSWERED = "unanswered"  # the applicant did not send what was asked for
    RESUBMITTED = "resubmitted"  # a new document came: the vendor is asked again


class InformationItem(StrEnum):
    """What an applicant may be asked to send."""

    IDENTITY_DOCUMENT = "IDENTITY_DOCUMENT"
    PROOF_OF_ADDRESS = "PROOF_OF_ADDRESS"
    PROOF_OF_INCOME = "PROOF_OF_INCOME"
    BANK_STATEMENT = "BANK_STATEMENT"
    SOURCE_OF_FUNDS = "SOURCE_OF_FUNDS"
    EXPLANATION = "EXPLANATION"


@dataclass(frozen=True, slots=True)
class ReviewRequest:
    """A review to open: `subject_id` is an application or a user; `workflow_id` waits for it.

    `approvals_needed` named persons have to approve, each a different one.
    """

    tenant_id: str
    kind: ReviewKind
    subject_id: str
    applicant_id: str
    workflow_id: str
    reasons: tuple[str, ...]
    approvals_needed: int = 1


@dataclass(frozen=True, slots=True)
class ReviewDecision:
    """What a named operator decided, and why (kept in the audit trail)."""

    review_id: str
    approved: bool
    decided_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class OpenedReview:
    """A review that waits; or, with `ended`, one that was decided before and still stands."""

    review_id: str
    approvals: tuple[str, ...] = ()
    assignee: str | None = None
    ended: ReviewEnd | None = None
    decision: ReviewDecision | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """From now on this person, and nobody else, decides."""

    review_id: str
    assignee: str
    assigned_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class InformationAsked:
    """What an operator asks of the applicant; `request_id` is drawn by the API."""

    review_id: str
    request_id: str
    asked_by: str
    items: tuple[InformationItem, ...]
    message: str


@dataclass(frozen=True, slots=True)
class InformationProvided:
    """The applicant has answered; what was said is in our database, sealed."""

    request_id: str
    new_document: bool


@dataclass(frozen=True, slots=True)
class ReviewStep:
    """Something that happened to an open review, to be put on record: exactly one is set.

    `due_at` (ISO 8601, UTC) is until when the applicant may answer.
    """

    tenant_id: str
    approval: ReviewDecision | None = None
    assignment: Assignment | None = None
    asked: InformationAsked | None = None
    due_at: str | None = None


@dataclass(frozen=True, slots=True)
class ReviewClosure:
    """How the review ended, and by whose decision if it was decided."""

    tenant_id: str
    review_id: str
    ended: ReviewEnd
    decision: ReviewDecision | None = None
