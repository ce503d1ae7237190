"""Reviews on record: every step once, in whose name, and nothing after the end."""

from __future__ import annotations

from typing import Any

import pytest

from models.domain.errors import Conflict, NotFound
from models.domain.review import Assignment, OpenedReview, ReviewClosure, ReviewEnd, ReviewStep
from tests.adapters.postgres.reviewing import (
    asking,
    credit_review,
    deciding,
    identity_review,
    opened,
)

pytestmark = pytest.mark.stack


def assigning(tenant_id: str, review_id: str, assignee: str) -> ReviewStep:
    return ReviewStep(tenant_id, assignment=Assignment(review_id, assignee, "petra", "speaks it"))


async def test_a_review_opened_again_stands_where_it_stood(lending: Any) -> None:
    ref = await lending.application()
    request = credit_review(ref, approvals_needed=2)
    first = await lending.reviews.open(request)
    assert first == OpenedReview(first.review_id)
    await lending.reviews.step(ReviewStep(ref.tenant_id, approval=deciding(first.review_id)))
    await lending.reviews.step(assigning(ref.tenant_id, first.review_id, "otto"))
    assert await lending.reviews.open(request) == OpenedReview(first.review_id, ("olga",), "otto")
    view = await lending.reviews.find(ref.tenant_id, first.review_id)
    assert (view.approvals, view.approvals_needed, view.assignee) == (("olga",), 2, "otto")


async def test_every_step_is_in_somebodys_name(lending: Any) -> None:
    ref = await lending.application()
    review_id = await opened(lending, credit_review(ref, approvals_needed=2))
    for step in (
        assigning(ref.tenant_id, review_id, "olga"),
        ReviewStep(ref.tenant_id, approval=deciding(review_id)),
        asking(ref, review_id, "inf_" + ref.application_id[4:]),
    ):
        for _ in range(2):  # repeated, it is one step
            await lending.reviews.step(step)
    rows = await lending.rows(
        "SELECT action, actor FROM audit_log WHERE tenant_id = $1 ORDER BY seq OFFSET 2",
        ref.tenant_id,
    )
    assert [tuple(row) for row in rows] == [
        ("review.reassigned", "petra"),
        ("review.approved_once", "olga"),
        ("information.requested", "olga"),
    ]


@pytest.mark.parametrize("approved", [True, False])
async def test_a_decision_about_an_application_stands(lending: Any, approved: bool) -> None:
    ref = await lending.application()
    review_id = await opened(lending, credit_review(ref))
    decision = deciding(review_id, approved=approved)
    ended = ReviewEnd.APPROVED if approved else ReviewEnd.REJECTED
    await lending.reviews.close(ReviewClosure(ref.tenant_id, review_id, ended, decision))
    again = await lending.reviews.open(credit_review(ref))
    assert again == OpenedReview(review_id, ended=ended, decision=decision)


@pytest.mark.parametrize("ended", [ReviewEnd.UNDECIDED, ReviewEnd.UNANSWERED])
async def test_what_nobody_decided_is_asked_again(lending: Any, ended: ReviewEnd) -> None:
    ref = await lending.application()
    review_id = await opened(lending, credit_review(ref))
    await lending.reviews.close(ReviewClosure(ref.tenant_id, review_id, ended))
    assert await opened(lending, credit_review(ref)) != review_id


async def test_every_identity_check_is_a_review_of_its_own(lending: Any) -> None:
    ref = await lending.application()
    await lending.begun(ref)
    review_id = await opened(lending, identity_review(ref))
    closure = ReviewClosure(ref.tenant_id, review_id, ReviewEnd.APPROVED, deciding(review_id))
    await lending.reviews.close(closure)
    assert await opened(lending, identity_review(ref)) != review_id


@pytest.mark.parametrize(
    ("ended", "status"),
    [
        (ReviewEnd.UNANSWERED, "lapsed"),
        (ReviewEnd.REJECTED, "closed"),
        (ReviewEnd.RESUBMITTED, "closed"),
    ],
)
async def test_no_question_outlives_its_review(lending: Any, ended: ReviewEnd, status: str) -> None:
    ref = await lending.application()
    review_id = await opened(lending, identity_review(ref))
    await lending.reviews.step(asking(ref, review_id))
    decision = deciding(review_id, approved=False) if ended is ReviewEnd.REJECTED else None
    await lending.reviews.close(ReviewClosure(ref.tenant_id, review_id, ended, decision))
    [question] = await lending.rows(
        "SELECT status FROM information_requests WHERE tenant_id = $1", ref.tenant_id
    )
    assert question["status"] == status


async def test_nothing_is_added_to_a_review_that_has_ended(lending: Any) -> None:
    ref = await lending.application()
    review_id = await opened(lending, credit_review(ref))
    await lending.reviews.close(ReviewClosure(ref.tenant_id, review_id, ReviewEnd.UNDECIDED))
    before = await lending.contents(ref.tenant_id)
    for step in (
        assigning(ref.tenant_id, review_id, "otto"),
        ReviewStep(ref.tenant_id, approval=deciding(review_id)),
        asking(ref, review_id),
    ):
        with pytest.raises(Conflict, match="REVIEW_NOT_OPEN"):
            await lending.reviews.step(step)
    assert await lending.contents(ref.tenant_id) == before


async def test_a_neighbours_review_is_not_there(lending: Any) -> None:
    ref = await lending.application()
    review_id = await opened(lending, credit_review(ref))
    neighbour = lending.tenant()
    with pytest.raises(NotFound):
        await lending.reviews.step(assigning(neighbour, review_id, "otto"))
    with pytest.raises(NotFound):
        await lending.reviews.close(ReviewClosure(neighbour, review_id, ReviewEnd.UNDECIDED))
    assert await lending.reviews.answered(neighbour, "inf_1") is None


async def test_reviews_are_found_by_their_tenant_and_closed_once(lending: Any) -> None:
    ref = await lending.application()
    reviews = lending.reviews
    review_id = await opened(lending, credit_review(ref))
    assert [each.review_id for each in await reviews.open_ones(ref.tenant_id, 10)] == [review_id]
    assert await reviews.open_ones(lending.tenant(), 10) == ()
    with pytest.raises(NotFound):
        await reviews.find(lending.tenant(), review_id)
    rejected = deciding(review_id, approved=False)
    await reviews.close(ReviewClosure(ref.tenant_id, review_id, ReviewEnd.REJECTED, rejected))
    approved = deciding(review_id, "otto")
    await reviews.close(ReviewClosure(ref.tenant_id, review_id, ReviewEnd.APPROVED, approved))
    view = await reviews.find(ref.tenant_id, review_id)
    assert (view.status, view.decided_by, view.decision_reason) == (
        "rejected", "olga", rejected.reason,
    )  # fmt: skip
    assert await reviews.open_ones(ref.tenant_id, 10) == ()
