"""Notices of adverse action: who is owed one, until when, and what it says."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta

import pytest

from models.domain.application import Address, ApplicationEnding, State
from models.domain.decision import ApplicantReason, ReasonCode
from models.domain.notice import (
    NoticeCase,
    due_at,
    is_owed,
    principal_reasons,
    render,
)
from models.domain.risk import Reason

OWED = {
    (State.DECLINED, "SCORE_TOO_LOW"): True,
    (State.DECLINED, "NO_OFFER_AVAILABLE"): True,
    (State.REJECTED, "SETTLEMENT_FAILED"): True,
    (State.REJECTED, "SCORE_BORDERLINE"): True,
    (State.BLOCKED, "SANCTIONS_NOT_CLEAR"): True,
    (State.EXPIRED, "REVIEW_UNDECIDED"): True,
    (State.EXPIRED, "TERMS_CHANGED"): True,
    (State.EXPIRED, "OFFER_EXPIRED"): False,
    (State.EXPIRED, "INFORMATION_NOT_PROVIDED"): False,
    (State.WITHDRAWN, "WITHDRAWN_BY_APPLICANT"): False,
    (State.WITHDRAWN, "CANCELLED_BY_OPERATOR"): False,
    (State.FUNDED, ""): False,
}


@pytest.mark.parametrize(("state", "reason"), OWED)
def test_a_notice_is_owed_for_what_is_ours_to_explain(state: State, reason: str) -> None:
    ending = ApplicationEnding(state, (reason,) if reason else ())
    assert is_owed(ending) is OWED[state, reason]


# The end of the thirtieth day after the day of application, where the applicant lives.
DEADLINES = [
    # Puerto Rico is UTC-4 all year: the day there is still the 31st of December.
    ("US", "2026-01-01T03:00", "2026-01-31T04:00"),
    ("US", "2026-01-01T04:00", "2026-02-01T04:00"),
    # Summer time begins on the 29th of March and ends on the 25th of October.
    ("DE", "2026-03-01T12:00", "2026-03-31T22:00"),
    ("DE", "2026-02-10T12:00", "2026-03-12T23:00"),
    ("DE", "2026-10-10T12:00", "2026-11-09T23:00"),
    ("GB", "2026-09-10T12:00", "2026-10-10T23:00"),
    ("GB", "2026-09-30T12:00", "2026-10-31T00:00"),
    # Leap day.
    ("IE", "2028-02-01T12:00", "2028-03-03T00:00"),
    # Unlisted: UTC+14, where the day ends first.
    ("XX", "2026-06-01T09:59", "2026-07-01T10:00"),
    ("XX", "2026-06-01T10:00", "2026-07-02T10:00"),
]


@pytest.mark.parametrize(("jurisdiction", "applied_at", "due"), DEADLINES)
def test_the_deadline_is_the_end_of_the_thirtieth_day_there(
    jurisdiction: str, applied_at: str, due: str
) -> None:
    applied = datetime.fromisoformat(applied_at).replace(tzinfo=UTC)
    assert due_at(applied, jurisdiction) == datetime.fromisoformat(due).replace(tzinfo=UTC)


def test_thirty_whole_days_wherever_and_whenever() -> None:
    begin = datetime(2026, 1, 1, 0, 30, tzinfo=UTC)
    for hours, jurisdiction in itertools.product(range(0, 24 * 366, 37), ("US", "DE", "IE", "XX")):
        applied = begin + timedelta(hours=hours)
        period = due_at(applied, jurisdiction) - applied
        # An hour of summer time may be missing or too much.
        assert timedelta(days=30, hours=-1) < period <= timedelta(days=31, hours=1)


LATE = Reason("DELINQUENCIES", "You paid late.", "delinquencies", 31.0)
THIN = Reason("FEW_ACCOUNTS", "You have few accounts.", "accounts", 12.0)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (["SCORE_TOO_LOW"], ["SCORE_TOO_LOW", "DELINQUENCIES", "FEW_ACCOUNTS"]),
        (["PD_TOO_HIGH"], ["PD_TOO_HIGH", "DELINQUENCIES", "FEW_ACCOUNTS"]),
        (
            ["DTI_TOO_HIGH", "SCORE_BORDERLINE"],
            ["DTI_TOO_HIGH", "SCORE_BORDERLINE", "DELINQUENCIES", "FEW_ACCOUNTS"],
        ),
        # Where the score decided nothing, what lowered it is no reason.
        (["DTI_TOO_HIGH"], ["DTI_TOO_HIGH"]),
        (["NO_OFFER_AVAILABLE"], ["NO_OFFER_AVAILABLE"]),
        (["SANCTIONS_NOT_CLEAR"], ["CANNOT_PROCEED"]),
    ],
)
def test_reasons_are_specific_and_those_that_decided(codes: list[str], expected: list[str]) -> None:
    assert [each.code for each in principal_reasons(codes, (LATE, THIN))] == expected


def test_screening_is_never_told() -> None:
    """That somebody's name was found on a list stays with us, whatever else is said."""
    for code in ReasonCode:
        said = " ".join(each.code + each.text for each in principal_reasons([code], ())).lower()
        for word in ("sanction", "screen", "pep", "watch", "suspicious"):
            assert word not in said, (code, word)


def case(**changes: object) -> NoticeCase:
    stated: dict[str, object] = {
        "application_id": "app_1",
        "recipient_name": "Ada Quillfeather",
        "address": Address("1 Heron Street", "Springfield", "62701", "US"),
        "applied_on": date(2026, 3, 1),
        "amount_minor": 1_234_505,
        "currency": "USD",
        "reasons": (ApplicantReason("A", "Reason A."), ApplicantReason("B", "Reason B.")),
        "score": 512,
        "bureau_was_used": True,
    }
    return NoticeCase(**(stated | changes))  # type: ignore[arg-type]


def test_a_letter_says_what_was_decided_why_and_what_may_be_done() -> None:
    letter = render("ntc_1", case())
    assert (letter.notice_id, letter.application_id) == ("ntc_1", "app_1")
    assert letter.recipient_name == "Ada Quillfeather"
    assert letter.recipient_address_lines == ("1 Heron Street", "62701 Springfield", "US")
    words = "\n".join(letter.paragraphs)
    for said in (
        "Dear Ada Quillfeather,",
        "On 2026-03-01 you applied for credit of 12,345.05 USD (application app_1).",
        "(1) Reason A. (2) Reason B.",
        "credit bureau",
        "free copy of your report within 60 days",
        "a credit score of 512 on a scale from 300 to 850",
        "review of this decision by a person",
        "must not discriminate",
    ):
        assert said in words, said


def test_a_letter_is_silent_about_what_was_not_used() -> None:
    words = "\n".join(render("ntc_1", case(score=None, bureau_was_used=False)).paragraphs)
    assert "bureau" not in words
    assert "credit score" not in words
