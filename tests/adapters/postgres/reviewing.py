"""Reviews, questions and refusals as these tests need them, by the product's own statements."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from models.domain.application import ApplicationEnding, ApplicationRef, State, Withdrawal
from models.domain.ids import application_workflow_id, kyc_workflow_id, new_id
from models.domain.notice import NoticeRef
from models.domain.review import (
    InformationAsked,
    InformationItem,
    ReviewDecision,
    ReviewKind,
    ReviewRequest,
    ReviewStep,
)

ITEMS = (InformationItem.PROOF_OF_INCOME, InformationItem.IDENTITY_DOCUMENT)
WITHDRAWAL = Withdrawal("ada")


def credit_review(ref: ApplicationRef, approvals_needed: int = 1) -> ReviewRequest:
    return ReviewRequest(
        ref.tenant_id,
        ReviewKind.CREDIT,
        ref.application_id,
        ref.user_id,
        application_workflow_id(ref.tenant_id, ref.application_id),
        ("SCORE_BORDERLINE",),
        approvals_needed,
    )


def identity_review(ref: ApplicationRef) -> ReviewRequest:
    return replace(
        credit_review(ref),
        kind=ReviewKind.IDENTITY,
        subject_id=ref.user_id,
        workflow_id=kyc_workflow_id(ref.tenant_id, ref.user_id),
    )


async def opened(lending: Any, request: ReviewRequest) -> str:
    """The id of a review that is open now."""
    review_id: str = (await lending.reviews.open(request)).review_id
    return review_id


def deciding(review_id: str, name: str = "olga", *, approved: bool = True) -> ReviewDecision:
    return ReviewDecision(review_id, approved, name, "income is documented")


def asking(
    ref: ApplicationRef, review_id: str, request_id: str | None = None, days: float = 14
) -> ReviewStep:
    """A question to the applicant, and until when it may be answered."""
    asked = InformationAsked(
        review_id, request_id or new_id("inf"), "olga", ITEMS, "Please send your payslips."
    )
    due_at = datetime.now(UTC) + timedelta(days=days)
    return ReviewStep(ref.tenant_id, asked=asked, due_at=due_at.isoformat())


async def asked(
    lending: Any, ref: ApplicationRef, days: float = 14, *, person: bool = False
) -> str:
    """The id of a question that is open now: about an application, or about its person."""
    request = identity_review(ref) if person else credit_review(ref)
    step = asking(ref, await opened(lending, request), days=days)
    await lending.reviews.step(step)
    assert step.asked is not None
    return step.asked.request_id


async def owed(lending: Any, ref: ApplicationRef, *reasons: str) -> NoticeRef:
    """The notice of an application that was declined."""
    ending = ApplicationEnding(State.DECLINED, reasons or ("SCORE_TOO_LOW",))
    notice = await lending.endings.close(ref, ending)
    assert notice is not None
    return notice
