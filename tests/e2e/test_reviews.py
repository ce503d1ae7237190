"""Who is not simply approved: reviews by named people, refusals with reasons, blocked quietly."""

from __future__ import annotations

import secrets
from typing import Any

import httpx
import pytest

from sandbox.borrower import Borrower
from tests.e2e.outside import World, eventually

pytestmark = pytest.mark.stack

# What an applicant may never read, in whatever case: that a list exists.
WORDS_OF_SCREENING = ("sanction", "screen", "ofac", "sdn", "watchlist", "quillfeather")

THIN_FILE = {"applicant.national_id": "500-00-7777"}
# Monthly principal between 40 % and 60 % of monthly income: DTI_TOO_HIGH is a review.
HIGH_REPAYMENT = {
    "amount_minor": 1_000_000, "term_months": 12, "finances.annual_income_minor": 2_000_000,
}  # fmt: skip


def _tenant(person: Borrower) -> str:
    return str(person.data["tenant"])


async def _open_review(world: World, person: Borrower, kind: str) -> dict[str, Any]:
    """The one open review of a person's tenant, as its staff see it."""
    headers = world.staff(_tenant(person), "support")

    async def listed() -> list[dict[str, Any]]:
        answer = await world.http.get("/api/v1/reviews", headers=headers)
        assert answer.status_code == 200, answer.text
        reviews: list[dict[str, Any]] = answer.json()["reviews"]
        return reviews

    [review] = await eventually(f"a review of {kind} is open", listed)
    assert (review["kind"], review["status"]) == (kind, "open")
    return review


async def _decide(
    world: World,
    review: dict[str, Any],
    headers: dict[str, str],
    *,
    decision: str,
    key: str | None = None,
) -> httpx.Response:
    return await world.http.post(
        f"/api/v1/reviews/{review['review_id']}/decision",
        json={"decision": decision, "reason": "Seen the documents."},
        headers={**headers, "Idempotency-Key": key or secrets.token_urlsafe(16)},
    )


async def _audited(world: World, person: Borrower, action: str) -> list[dict[str, Any]]:
    return await world.truth.rows(
        "SELECT actor, subject_id, detail FROM audit_log WHERE tenant_id = $1 AND action = $2",
        _tenant(person),
        action,
    )


async def test_a_thin_file_is_rejected_by_a_named_underwriter(world: World) -> None:
    person = world.person(THIN_FILE)
    view = await world.apply_until(person, "in_review")
    assert (view["stage"], view["score"], view["offers"]) == ("credit", None, [])
    assert "THIN_FILE" in {reason["code"] for reason in view["reasons"]}
    review = await _open_review(world, person, "credit")

    tenant = _tenant(person)
    colleague = world.staff(tenant, "underwriter", "una-underwriter")
    refused = {
        "an applicant": (person.headers(), 403),
        "support": (world.staff(tenant, "support"), 403),
        "compliance, of a credit question": (world.staff(tenant, "compliance_officer"), 403),
        "the applicant as underwriter": (
            world.staff(tenant, "underwriter", person.data["user_id"]),
            403,
        ),
        "another tenant's underwriter": (world.staff("other-tenant", "underwriter"), 404),
        "nobody": ({}, 401),
    }
    for who, (headers, status) in refused.items():
        answer = await _decide(world, review, headers, decision="approve")
        assert answer.status_code == status, who
    assert (await person.view(view["application_id"]))["state"] == "in_review"

    key = secrets.token_urlsafe(16)
    decided = await _decide(world, review, colleague, decision="reject", key=key)
    assert decided.status_code == 200, decided.text
    ended = await world.until(person, view["application_id"], "rejected")
    assert "THIN_FILE" in {reason["code"] for reason in ended["reasons"]}
    [audited] = await _audited(world, person, "review.rejected")
    assert (audited["actor"], audited["subject_id"]) == ("una-underwriter", view["application_id"])

    repeated = await _decide(world, review, colleague, decision="reject", key=key)
    assert (repeated.status_code, repeated.content) == (200, decided.content)
    too_late = await _decide(world, review, colleague, decision="approve")
    assert too_late.status_code == 409
    [row] = await world.truth.rows("SELECT * FROM reviews WHERE tenant_id = $1", tenant)
    assert (row["status"], row["decided_by"]) == ("rejected", "una-underwriter")


async def test_an_approved_review_leads_on_to_offers(world: World) -> None:
    person = world.person(HIGH_REPAYMENT)
    view = await world.apply_until(person, "in_review")
    assert "DTI_TOO_HIGH" in {reason["code"] for reason in view["reasons"]}
    review = await _open_review(world, person, "credit")
    underwriter = world.staff(_tenant(person), "underwriter", "ugo-underwriter")
    assert (await _decide(world, review, underwriter, decision="approve")).status_code == 200
    offered = await world.until(person, view["application_id"], "offered")
    assert offered["offers"]
    assert offered["reasons"] == []
    [audited] = await _audited(world, person, "review.approved")
    assert audited["actor"] == "ugo-underwriter"


async def test_an_approved_thin_file_is_offered_a_price_without_a_score(world: World) -> None:
    person = world.person(THIN_FILE)
    view = await world.apply_until(person, "in_review")
    review = await _open_review(world, person, "credit")
    underwriter = world.staff(_tenant(person), "underwriter")
    assert (await _decide(world, review, underwriter, decision="approve")).status_code == 200
    offered = await world.until(person, view["application_id"], "offered")
    assert offered["score"] is None
    scored = (await world.apply_until(world.person(), "offered"))["offers"][0]
    assert offered["offers"][0]["apr_bps"] > scored["apr_bps"]


async def test_what_no_lender_wants_ends_declined(world: World) -> None:
    # Beyond the bank's longest term: eligible and scored, but nobody lends for so long.
    person = world.person({"term_months": 72})
    view = await world.apply_until(person, "in_review")
    review = await _open_review(world, person, "credit")
    underwriter = world.staff(_tenant(person), "underwriter")
    assert (await _decide(world, review, underwriter, decision="approve")).status_code == 200
    ended = await world.until(person, view["application_id"], "declined")
    assert [reason["code"] for reason in ended["reasons"]] == ["NO_OFFER_AVAILABLE"]
    missing = {each["provider_id"] for each in ended["missing_offers"]}
    assert "first-harbour-bank" in missing


async def test_a_large_amount_is_a_question_of_compliance(world: World) -> None:
    person = world.person({"amount_minor": 1_050_000, "finances.annual_income_minor": 12_000_000})
    view = await world.apply_until(person, "in_review")
    assert view["stage"] == "eligibility"
    assert [reason["code"] for reason in view["reasons"]] == ["AMOUNT_NEEDS_EDD"]
    # Nothing was bought from a bureau before somebody allowed it.
    application_id = view["application_id"]
    assert world.journals.effects("bureau", "report.billed", application_id) == []
    review = await _open_review(world, person, "eligibility")
    tenant = _tenant(person)
    underwriter = world.staff(tenant, "underwriter")
    assert (await _decide(world, review, underwriter, decision="approve")).status_code == 403
    officer = world.staff(tenant, "compliance_officer", "cleo-officer")
    assert (await _decide(world, review, officer, decision="approve")).status_code == 200
    # One pair of eyes is not enough, and the same pair is not a second one.
    assert (await _decide(world, review, officer, decision="approve")).status_code == 409
    second = world.staff(tenant, "compliance_officer", "carl-officer")
    assert (await _decide(world, review, second, decision="approve")).status_code == 200
    await world.until(person, application_id, "offered")


async def test_unclear_documents_are_seen_by_a_compliance_officer(world: World) -> None:
    person = world.person({"applicant.document.number": "UNCLEAR-1"})
    application_id = await person.apply()
    review = await _open_review(world, person, "identity")
    assert review["subject_id"] == person.data["user_id"]
    view = await person.view(application_id)
    assert (view["state"], view["stage"]) == ("processing", "identity")
    officer = world.staff(_tenant(person), "compliance_officer", "cleo-officer")
    assert (await _decide(world, review, officer, decision="approve")).status_code == 200
    await world.until(person, application_id, "offered")
    [approved] = await _audited(world, person, "review.approved")
    [verified] = await _audited(world, person, "kyc.verified")
    assert approved["actor"] == verified["actor"] == "cleo-officer"


async def test_a_false_document_declines(world: World) -> None:
    """GLOBAL_IDENTITY_FAILED declines before a bureau is asked."""
    person = world.person({"applicant.document.number": "REJECT-1"})
    ended = await world.apply_until(person, "declined")
    assert ended["identity"] == "failed"
    assert [reason["code"] for reason in ended["reasons"]] == ["IDENTITY_NOT_VERIFIED"]
    assert world.journals.effects("bureau", "report.billed", ended["application_id"]) == []


async def test_a_listed_name_is_blocked_and_the_applicant_is_not_told_why(world: World) -> None:
    person = world.person(
        {"applicant.given_name": "Ottoline", "applicant.family_name": "Quillfeather"}
    )
    ended = await world.apply_until(person, "blocked")
    assert [reason["code"] for reason in ended["reasons"]] == ["CANNOT_PROCEED"]
    answer = await world.http.get(
        f"/api/v1/applications/{ended['application_id']}", headers=person.headers()
    )
    told = answer.text.lower()
    assert [word for word in WORDS_OF_SCREENING if word in told] == []
    assert world.journals.effects("bureau", "report.billed", ended["application_id"]) == []
    # The record itself says what happened.
    [decision] = await world.truth.rows(
        "SELECT outcome, reasons FROM decisions WHERE tenant_id = $1", _tenant(person)
    )
    assert (decision["outcome"], decision["reasons"]) == ("block", ["SANCTIONS_NOT_CLEAR"])


async def test_a_poor_credit_history_declines_with_reasons(world: World) -> None:
    person = world.person({"applicant.national_id": "100-10-0003"})
    ended = await world.apply_until(person, "declined")
    assert {"SCORE_TOO_LOW", "PD_TOO_HIGH"} & {reason["code"] for reason in ended["reasons"]}
    assert ended["score"] < 600
    assert 1 <= len(ended["score_reasons"]) <= 4
    assert all(reason["text"] for reason in (*ended["reasons"], *ended["score_reasons"]))
    assert ended["offers"] == []


async def test_a_verified_person_is_not_asked_again(world: World) -> None:
    person = world.person()
    await world.apply_until(person, "offered")
    again = await world.apply_until(person, "offered")
    opened = world.journals.effects("identity_vendor", "check.opened", _tenant(person))
    assert len(opened) == 1
    # Evidence is bought for each application, identity once for the person.
    assert len(world.journals.effects("bureau", "report.billed", again["application_id"])) == 1


async def test_another_name_under_the_same_user_is_verified_anew(world: World) -> None:
    person = world.person()
    await world.apply_until(person, "offered")
    renamed = world.restated(
        person, {"applicant.given_name": "Somebody", "applicant.document.number": "REJECT-2"}
    )
    ended = await world.apply_until(renamed, "declined")
    assert [reason["code"] for reason in ended["reasons"]] == ["IDENTITY_NOT_VERIFIED"]
    opened = world.journals.effects("identity_vendor", "check.opened", _tenant(person))
    assert len(opened) == 2
