"""Outcomes are ordered by severity; reasons are published and say nothing of screening."""

from __future__ import annotations

import itertools

import pytest
from pydantic import TypeAdapter

from models.domain.decision import (
    REASON_TEXTS,
    Facts,
    Outcome,
    Phase,
    ReasonCode,
    RuleFired,
    SettlementKind,
    Verdict,
    applicant_reasons,
)
from models.domain.kyc import KYCStatus
from models.domain.screening import ScreeningStatus

ORDER = ["allow", "review", "enhanced_due_diligence", "decline", "block"]

# Published: a change of this list other than at its end breaks integrators and old decisions.
PUBLISHED = [
    "CANNOT_PROCEED",
    "SANCTIONS_NOT_CLEAR",
    "SCREENING_UNAVAILABLE",
    "JURISDICTION_NOT_SERVED",
    "UNDER_LEGAL_AGE",
    "IDENTITY_NOT_VERIFIED",
    "AMOUNT_NEEDS_EDD",
    "AMOUNT_ABOVE_LIMIT",
    "ASSET_NOT_AUTHORISED",
    "SETTLEMENT_CURRENCY_RESTRICTED",
    "SCORE_TOO_LOW",
    "SCORE_BORDERLINE",
    "PD_TOO_HIGH",
    "DTI_TOO_HIGH",
    "THIN_FILE",
    "EVIDENCE_MISSING",
    "RATE_UNAVAILABLE",
    "MODEL_UNAVAILABLE",
    "RULE_BOOK_UNAVAILABLE",
    "FURTHER_CHECKS_NEEDED",
    "NO_OFFER_AVAILABLE",
    "OFFER_EXPIRED",
    "TERMS_CHANGED",
    "REVIEW_UNDECIDED",
    "SETTLEMENT_FAILED",
    "INFORMATION_NOT_PROVIDED",
    "WITHDRAWN_BY_APPLICANT",
    "CANCELLED_BY_OPERATOR",
]


def fired(rule_id: str, outcome: Outcome, code: ReasonCode | None) -> RuleFired:
    return RuleFired(rule_id, 1, "ANY", outcome, code.value if code else None)


def test_the_worst_of_nothing_is_an_error_not_an_approval() -> None:
    with pytest.raises(ValueError, match="empty"):
        Outcome.worst([])


@pytest.mark.parametrize(("mild", "severe"), list(itertools.combinations(ORDER, 2)))
def test_outcomes_compare_by_severity_and_not_by_the_alphabet(mild: str, severe: str) -> None:
    low, high = Outcome(mild), Outcome(severe)
    assert low < high
    assert low <= high
    assert high > low
    assert high >= low
    assert not high < low
    assert not low >= high
    assert max(low, high) is high
    assert Outcome.worst([low, high, low]) is high


def test_reason_codes_keep_their_published_order() -> None:
    assert [code.value for code in ReasonCode] == PUBLISHED


def test_every_reason_has_a_text_for_the_applicant() -> None:
    assert set(REASON_TEXTS) == set(ReasonCode)
    assert all(text.endswith(".") and len(text) > 20 for text in REASON_TEXTS.values())


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("SANCTIONS_NOT_CLEAR", "CANNOT_PROCEED"),
        ("SCREENING_UNAVAILABLE", "FURTHER_CHECKS_NEEDED"),
        ("SCORE_TOO_LOW", "SCORE_TOO_LOW"),
        ("NO_OFFER_AVAILABLE", "NO_OFFER_AVAILABLE"),
        ("A_LENDERS_OWN_CODE", "SETTLEMENT_FAILED"),
    ],
)
def test_applicants_see_neutral_codes(code: str, shown: str) -> None:
    assert [reason.code for reason in applicant_reasons([code])] == [shown]


def test_nothing_shown_to_applicants_speaks_of_screening() -> None:
    for reason in applicant_reasons(PUBLISHED):
        for word in ("sanction", "screen", "list", "hit", "match"):
            assert word not in reason.code.casefold()
            assert word not in reason.text.casefold().split()
            assert "sanction" not in reason.text.casefold()


def test_a_neutral_code_is_shown_once() -> None:
    assert len(applicant_reasons(["SANCTIONS_NOT_CLEAR", "CANNOT_PROCEED"])) == 1


def test_a_verdict_lists_severe_reasons_first_and_each_once() -> None:
    verdict = Verdict.of(
        Phase.CREDIT,
        (
            fired("A", Outcome.REVIEW, ReasonCode.THIN_FILE),
            fired("B", Outcome.REVIEW, ReasonCode.SCORE_BORDERLINE),
            fired("C", Outcome.REVIEW, ReasonCode.DTI_TOO_HIGH),
            fired("D", Outcome.DECLINE, ReasonCode.DTI_TOO_HIGH),
            fired("E", Outcome.ALLOW, None),
        ),
        ["mica", "mica", "abc"],
        "rules-1",
    )
    assert verdict.outcome is Outcome.DECLINE
    assert verdict.reasons == ("DTI_TOO_HIGH", "SCORE_BORDERLINE", "THIN_FILE")
    assert verdict.packs == ("abc", "mica")


def test_verdicts_and_facts_survive_json() -> None:
    verdict = Verdict.of(
        Phase.ELIGIBILITY,
        (fired("A", Outcome.BLOCK, ReasonCode.SANCTIONS_NOT_CLEAR),),
        ("mica",),
        "rules-1",
    )
    facts = Facts(
        amount_minor=1,
        currency="USD",
        country="US",
        settlement=SettlementKind.CRYPTO,
        term_months=12,
        kyc_status=KYCStatus.VERIFIED,
        sanction_status=ScreeningStatus.CLEAR,
        pd=0.25,
    )
    verdicts, all_facts = TypeAdapter(Verdict), TypeAdapter(Facts)
    assert verdicts.validate_json(verdicts.dump_json(verdict)) == verdict
    assert all_facts.validate_json(all_facts.dump_json(facts)) == facts
