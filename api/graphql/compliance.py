"""People, their verification and screening, and the reviews that people decide."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from api.auth import Action
from api.deps import graph_views as at
from api.graphql import lending
from api.graphql.answers import Screening
from api.graphql.context import Info
from models.domain.graph import PersonRecord
from models.domain.review import ReviewKind
from models.domain.views import ReviewView

if TYPE_CHECKING:
    from api.graphql.lending import Application

_Application = Annotated["Application", strawberry.lazy("api.graphql.lending")]


@strawberry.federation.type(
    keys=["userId"], description="A person who applies, known by the integrator's opaque id."
)
class Person:
    user_id: strawberry.ID = strawberry.field(description="Unique within the tenant.")

    @strawberry.field(description="Identity as verified; null before it was asked for.")
    async def kyc(self, info: Info) -> KYC | None:
        found = await info.context.person(self.user_id)
        return KYC.of(found) if found else None

    @strawberry.field(description="Their applications, the newest first, at most 20.")
    async def applications(self, info: Info) -> list[_Application]:
        found = await info.context.applications_of(self.user_id)
        return [lending.Application.of(each) for each in found]

    @strawberry.field(description="Reviews of their identity, the oldest first. For staff.")
    async def reviews(self, info: Info) -> list[Review] | None:
        info.context.require(Action.READ_REVIEWS)
        found = await info.context.of_application(at.REVIEWS, self.user_id, "subject_id")
        return [Review.of(each) for each in found]


@strawberry.type(description="What is known of a person's identity, and until when.")
class KYC:
    status: str = strawberry.field(
        description="`pending`, `in_review`, `verified`, `failed` or `expired`."
    )
    verified_at: datetime | None = strawberry.field(description="When it was verified.")
    expires_at: datetime | None = strawberry.field(description="Until when that holds.")
    record: strawberry.Private[PersonRecord]

    @classmethod
    def of(cls, record: PersonRecord) -> KYC:
        """What the person may know; the rest is asked for by field."""
        return cls(
            status=record.status.value,
            verified_at=record.verified_at,
            expires_at=record.expires_at,
            record=record,
        )

    @strawberry.field(description="Code of why it failed. For compliance and auditors.")
    def reason(self, info: Info) -> str | None:
        info.context.require(Action.READ_COMPLIANCE)
        return self.record.reason

    @strawberry.field(description="Vendor or person. For compliance and auditors.")
    def concluded_by(self, info: Info) -> str | None:
        info.context.require(Action.READ_COMPLIANCE)
        return self.record.concluded_by

    @strawberry.field(description="The last screening. For compliance and auditors.")
    def screening(self, info: Info) -> Screening | None:
        info.context.require(Action.READ_COMPLIANCE)
        return Screening.of(self.record.screening) if self.record.screening else None


@strawberry.federation.type(
    keys=["reviewId"], description="A question for a named person. For staff."
)
class Review:
    review_id: strawberry.ID = strawberry.field(description="`rev_` and 32 hex digits.")
    kind: str = strawberry.field(description="`identity`, `eligibility` or `credit`.")
    subject_id: str = strawberry.field(description="The `userId`, or the application's id.")
    reasons: list[str] = strawberry.field(description="Codes of why, for staff alone.")
    status: str = strawberry.field(description="`open`, or how it ended.")
    approvals_needed: int = strawberry.field(description="How many people have to approve.")
    approvals: list[str] = strawberry.field(description="Who has approved so far.")
    assignee: str | None = strawberry.field(description="Who alone may decide.")
    decided_by: str | None = strawberry.field(description="Who decided; null while open.")
    created_at: datetime = strawberry.field(description="When it was opened.")
    decided_at: datetime | None = strawberry.field(description="When it ended.")
    applicant_id: strawberry.Private[str]

    @classmethod
    def of(cls, view: ReviewView) -> Review:
        """The record as the REST paths show it."""
        return cls(
            review_id=strawberry.ID(view.review_id),
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
            applicant_id=view.applicant_id,
        )

    @strawberry.field(description="The person it is about.")
    def person(self) -> Person:
        return Person(user_id=strawberry.ID(self.applicant_id))

    @strawberry.field(description="The application it is about; null for an identity.")
    async def application(self, info: Info) -> _Application | None:
        if self.kind == ReviewKind.IDENTITY:
            return None
        return await lending.application_of(info, self.subject_id)
