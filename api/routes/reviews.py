"""Reviews: open ones, what applicants sent, and what named operators do about them."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from api.auth import Action, Principal
from api.deps import Caller, IdempotencyKey, Services, StrictRoute, Wired, answer_once, write_key
from api.errors import Problem
from api.schemas import examples
from api.schemas.information import AskBody, AskedAnswer, AssignBody, AssignedAnswer
from api.schemas.reviews import (
    DecidedAnswer,
    Decision,
    DecisionBody,
    ReviewAnswer,
    ReviewDetailAnswer,
    ReviewListAnswer,
)
from models.domain.errors import Conflict, NotFound, Unavailable
from models.domain.ids import is_id
from models.domain.review import (
    Assignment,
    InformationAsked,
    ReviewDecision,
    ReviewEnd,
    ReviewKind,
)
from models.domain.views import ReviewView

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


ReviewId = Annotated[
    str,
    Path(
        description="The review's id: `rev_` and 32 hexadecimal digits.",
        examples=[examples.REVIEW_ID],
    ),
]


@router.get(
    "/{review_id}",
    response_model=ReviewDetailAnswer,
    summary="Show a review",
    response_description="The review with the applicant's answers.",
)
async def show(review_id: ReviewId, principal: Caller, wired: Wired) -> ReviewDetailAnswer:
    """A review you may decide, with what the applicant has sent; reading it is recorded."""
    review = await _decidable(wired, principal, review_id, Action.READ_INFORMATION)
    information = await wired.information.read(principal.tenant_id, review_id, principal.subject)
    return ReviewDetailAnswer(**ReviewAnswer.of(review).model_dump(), information=information)


@router.post(
    "/{review_id}/decision",
    response_model=DecidedAnswer,
    summary="Decide a review",
    response_description="The decision is on record.",
)
async def decide(
    review_id: ReviewId,
    body: DecisionBody,
    request: Request,
    principal: Caller,
    key: IdempotencyKey,
    wired: Wired,
) -> Response:
    """Approve or reject, under your own name and with a reason.

    Enhanced due diligence needs the approvals of two different people.
    """
    review = await _decidable(wired, principal, review_id, Action.READ_REVIEWS)
    write = await write_key(request, principal, f"POST /api/v1/reviews/{review_id}/decision", key)

    async def effect() -> dict[str, Any]:
        approved = body.decision is Decision.APPROVE
        decision = ReviewDecision(review_id, approved, principal.subject, body.reason)
        try:
            ended: str | None = await wired.messages.decide_review(
                review.workflow_id, decision, write.effect_id
            )
        except Conflict as refusal:
            ended = _ended_so(await _after(wired, principal, review, refusal), decision, refusal)
        return DecidedAnswer(
            review_id=review_id, decision=body.decision, status=ended or "open"
        ).model_dump()

    return await answer_once(wired, write, effect)


@router.post(
    "/{review_id}/information",
    response_model=AskedAnswer,
    summary="Ask the applicant",
    response_description="The applicant is asked.",
)
async def ask(
    review_id: ReviewId,
    body: AskBody,
    request: Request,
    principal: Caller,
    key: IdempotencyKey,
    wired: Wired,
) -> Response:
    """Ask the applicant for something before you decide; the review waits for the answer."""
    review = await _decidable(wired, principal, review_id, Action.ASK_APPLICANT)
    route = f"POST /api/v1/reviews/{review_id}/information"
    write = await write_key(request, principal, route, key)
    # The same for a repetition, whatever became of the first attempt.
    request_id = f"inf_{write.effect_id[:32]}"

    async def effect() -> dict[str, Any]:
        asked = InformationAsked(review_id, request_id, principal.subject, body.items, body.message)
        try:
            due_at = await wired.messages.ask_applicant(review.workflow_id, asked, write.effect_id)
        except Conflict as refusal:
            await _after(wired, principal, review, refusal)
            raise
        answer = AskedAnswer(review_id=review_id, request_id=request_id, due_at=due_at)
        return answer.model_dump(mode="json")

    return await answer_once(wired, write, effect)


@router.post(
    "/{review_id}/assignment",
    response_model=AssignedAnswer,
    summary="Assign a review",
    response_description="The review is assigned.",
)
async def assign(
    review_id: ReviewId,
    body: AssignBody,
    request: Request,
    principal: Caller,
    key: IdempotencyKey,
    wired: Wired,
) -> Response:
    """Give a review to one person, who alone may decide it from then on."""
    principal.require(Action.ASSIGN_REVIEW)
    review = await _found(wired, principal, review_id)
    if body.assignee == review.applicant_id:
        raise Problem(403, "NOT_ALLOWED", "Nobody decides about themselves.")
    route = f"POST /api/v1/reviews/{review_id}/assignment"
    write = await write_key(request, principal, route, key)

    async def effect() -> dict[str, Any]:
        assignment = Assignment(review_id, body.assignee, principal.subject, body.reason)
        try:
            await wired.messages.reassign_review(review.workflow_id, assignment, write.effect_id)
        except Conflict as refusal:
            await _after(wired, principal, review, refusal)
            raise
        return AssignedAnswer(review_id=review_id, assignee=body.assignee).model_dump()

    return await answer_once(wired, write, effect)


async def _decidable(
    wired: Services, principal: Principal, review_id: str, action: Action
) -> ReviewView:
    """The review, if its kind is this caller's to decide and it is not about the caller."""
    principal.require(action)
    review = await _found(wired, principal, review_id)
    principal.require(_ACTION[ReviewKind(review.kind)])
    if review.applicant_id == principal.subject:
        raise Problem(403, "NOT_ALLOWED", "Nobody decides about themselves.")
    return review


async def _after(
    wired: Services, principal: Principal, review: ReviewView, refusal: Conflict
) -> ReviewView:
    """The review on record, after its workflow has refused a message.

    After a crash the workflow may know less than the record does, for a moment: it does not know
    of a review that is open there. Then Unavailable: the caller comes back.
    """
    now = await wired.reviews.find(principal.tenant_id, review.review_id)
    if refusal.code == "REVIEW_NOT_OPEN" and now.status == "open":
        raise Unavailable("REVIEW_NOT_READY") from refusal
    return now


def _ended_so(review: ReviewView, decision: ReviewDecision, refusal: Conflict) -> str:
    """A decision that is on record already is no conflict with itself; any other refusal stands."""
    wanted = ReviewEnd.APPROVED if decision.approved else ReviewEnd.REJECTED
    if (review.status, review.decided_by) != (wanted, decision.decided_by):
        raise refusal
    return review.status


async def _found(wired: Services, principal: Principal, review_id: str) -> ReviewView:
    if not is_id(review_id, "rev"):
        raise NotFound("REVIEW_UNKNOWN")
    return await wired.reviews.find(principal.tenant_id, review_id)
