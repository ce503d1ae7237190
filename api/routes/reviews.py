"""Reviews: open ones, and a named operator's decision."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from api.auth import Action
from api.deps import Caller, IdempotencyKey, StrictRoute, Wired, answer_once, write_key
from api.errors import Problem
from api.schemas import examples
from api.schemas.reviews import DecidedAnswer, DecisionBody, ReviewAnswer, ReviewListAnswer
from models.domain.errors import NotFound
from models.domain.ids import is_id
from models.domain.review import ReviewDecision, ReviewKind

router = APIRouter(prefix="/api/v1/reviews", tags=["reviews"], route_class=StrictRoute)

# Identity and eligibility are questions of compliance; the credit decision is the underwriter's.
_ACTION: Final = {
    ReviewKind.IDENTITY: Action.DECIDE_COMPLIANCE_REVIEW,
    ReviewKind.ELIGIBILITY: Action.DECIDE_COMPLIANCE_REVIEW,
    ReviewKind.CREDIT: Action.DECIDE_CREDIT_REVIEW,
}
PAGE: Final = 100


@router.get(
    "",
    response_model=ReviewListAnswer,
    summary="List open reviews",
    response_description="The open reviews.",
)
async def open_reviews(principal: Caller, wired: Wired) -> ReviewListAnswer:
    """The open reviews of your tenant, oldest first, at most 100."""
    principal.require(Action.READ_REVIEWS)
    views = await wired.reviews.open_ones(principal.tenant_id, PAGE)
    return ReviewListAnswer(reviews=[ReviewAnswer.of(view) for view in views])


@router.post(
    "/{review_id}/decision",
    response_model=DecidedAnswer,
    summary="Decide a review",
    response_description="The decision is on record.",
)
async def decide(
    review_id: Annotated[
        str,
        Path(
            description="The review's id: `rev_` and 32 hexadecimal digits.",
            examples=[examples.REVIEW_ID],
        ),
    ],
    body: DecisionBody,
    request: Request,
    principal: Caller,
    key: IdempotencyKey,
    wired: Wired,
) -> Response:
    """Approve or reject, under your own name and with a reason."""
    principal.require(Action.READ_REVIEWS)
    if not is_id(review_id, "rev"):
        raise NotFound("REVIEW_UNKNOWN")
    review = await wired.reviews.find(principal.tenant_id, review_id)
    principal.require(_ACTION[ReviewKind(review.kind)])
    if review.applicant_id == principal.subject:
        raise Problem(403, "NOT_ALLOWED", "Nobody decides about themselves.")
    write = await write_key(request, principal, f"POST /api/v1/reviews/{review_id}/decision", key)

    async def effect() -> dict[str, Any]:
        await wired.messages.decide_review(
            review.workflow_id,
            ReviewDecision(review_id, body.approved, principal.subject, body.reason),
            write.effect_id,
        )
        return DecidedAnswer(review_id=review_id, approved=body.approved).model_dump()

    return await answer_once(wired, write, effect)
