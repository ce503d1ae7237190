"""Requests and answers about reviews."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from api.schemas import examples
from api.schemas.applications import Message, Text
from models.domain.views import ReviewView


class Decision(StrEnum):
    """What an operator decides about a review."""

    APPROVE = "approve"
    REJECT = "reject"


class DecisionBody(Message):
    """A named operator's decision and its reason, kept in the audit trail."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [examples.DECISION]}
    )

    decision: Annotated[
        Decision, Field(description="`approve`: the application goes on; `reject`: it ends.")
    ]
    reason: Annotated[
        Text, Field(description="Why, in your own words, for the audit trail: 1 to 200 characters.")
    ]


class ReviewAnswer(BaseModel):
    """A review."""

    review_id: str = Field(description="`rev_` and 32 hexadecimal digits.")
    kind: str = Field(
        description="What is asked: `identity` and `eligibility` are decided by a compliance "
        "officer, `credit` by an underwriter."
    )
    subject_id: str = Field(
        description="What it is about: the `user_id` for `identity`, else the application's id."
    )
    reasons: list[str] = Field(description="Codes of why a person is asked, for staff alone.")
    status: str = Field(
        description="`open`, `approved`, `rejected`, `undecided` when nobody decided in time, "
        "`unanswered` when the applicant did not send what was asked for, `resubmitted` when a new "
        "document came, or `void` when the application ended otherwise."
    )
    approvals_needed: int = Field(description="How many different people have to approve.")
    approvals: list[str] = Field(description="Token subjects of those who have approved so far.")
    assignee: str | None = Field(description="Who alone may decide; null: whoever is entitled.")
    decided_by: str | None = Field(description="Token subject of who decided; null while open.")
    created_at: datetime = Field(description="When it was opened (RFC 3339).")
    decided_at: datetime | None = Field(description="When it ended (RFC 3339); null while open.")

    @classmethod
    def of(cls, view: ReviewView) -> ReviewAnswer:
        """The read model as the API shows it."""
        return cls(
            review_id=view.review_id,
            kind=view.kind,
            subject_id=view.subject_id,
            reasons=list(view.reasons),
            status=view.status,
            approvals_needed=view.approvals_needed,
            approvals=list(view.approvals),
            assignee=view.assignee,
            decided_by=view.decided_by,
            created_at=view.created_at,
            decided_at=view.decided_at,
        )


class ReviewDetailAnswer(ReviewAnswer):
    """A review with what the applicant has sent for it."""

    information: dict[str, dict[str, str]] = Field(
        description="The applicant's answers: by question (`inf_…`), then by item. That you read "
        "them is recorded."
    )


class ReviewListAnswer(BaseModel):
    """Open reviews, oldest first."""

    reviews: list[ReviewAnswer] = Field(description="Oldest first, at most 100.")


class DecidedAnswer(BaseModel):
    """The decision is on record."""

    review_id: str = Field(description="The review that was decided.")
    decision: Decision = Field(description="What you decided.")
    status: str = Field(
        description="`approved`, `rejected`, or `open` while another person has to approve, too."
    )
