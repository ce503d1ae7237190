"""The identity vendor's plans: what a document's number asks for, unless it was told otherwise."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.identity.verifier_mapping import parse_callback
from models.domain.errors import Invalid
from sandbox.counterparties.identity_plans import Plan, plan_for, variant_of, verdict_event

REFERENCE = "acme:ver_" + "0" * 32
ONCE = ("verdict",)


@pytest.mark.parametrize(
    ("number", "plan"),
    [
        ("P1234567", Plan("clear", 0.5, ONCE, 1)),
        ("reject-1", Plan("rejected", 0.5, ONCE, 1)),
        ("UNCLEAR-1", Plan("unclear", 0.5, ONCE, 1)),
        ("SLOW5", Plan("clear", 5.0, ONCE, 1)),
        ("TWICE-UNCLEAR-SLOW12", Plan("unclear", 12.0, ("verdict", "verdict"), 1)),
        ("NEVER", Plan("clear", 0.5, (), 1)),
    ],
)
def test_a_documents_number_asks_for_an_outcome(number: str, plan: Plan) -> None:
    assert plan_for(number, 0.5) == plan


@pytest.mark.parametrize(
    ("told", "plan"),
    [
        ({"verdict": "clear"}, Plan("clear", 3.0, ("verdict", "verdict"), 1)),
        ({"verdict_after_s": 0.0}, Plan("rejected", 0.0, ("verdict", "verdict"), 1)),
        ({"callbacks": ()}, Plan("rejected", 3.0, (), 1)),
        ({"callbacks": ("forged", "verdict")}, Plan("rejected", 3.0, ("forged", "verdict"), 1)),
        ({"copies": 10}, Plan("rejected", 3.0, ("verdict", "verdict"), 10)),
    ],
)
def test_what_is_told_goes_before_the_documents_number(told: dict[str, Any], plan: Plan) -> None:
    assert plan_for("REJECT-SLOW3-TWICE", 0.5, told.get) == plan


def _event(verdict: str) -> dict[str, Any]:
    return verdict_event("chk_1", REFERENCE, verdict, datetime(2026, 3, 1, 12, tzinfo=UTC))


def test_a_superseded_verdict_is_another_and_earlier_event_of_the_same_check() -> None:
    event = _event("clear")
    before = variant_of(event, "superseded")
    assert (before["verdict"], before["reference"]) == ("rejected", REFERENCE)
    assert before["event_id"] != event["event_id"]
    assert before["occurred_at"] < event["occurred_at"]
    assert variant_of(_event("unclear"), "superseded")["verdict"] == "clear"


def test_a_forgery_looks_like_the_event_but_for_what_it_says() -> None:
    event = _event("rejected")
    forged = variant_of(event, "forged")
    assert forged == {**event, "verdict": "clear", "reason": None}


def test_a_stray_event_is_well_formed_and_for_a_verification_nobody_asked_for() -> None:
    stray = variant_of(_event("clear"), "wrong_verification_id")
    tenant, callback = parse_callback(json.dumps(stray).encode())
    assert tenant == "acme"
    assert callback.verification_id.startswith("ver_")
    assert callback.verification_id != "ver_" + "0" * 32


def test_a_pending_event_is_no_verdict() -> None:
    with pytest.raises(Invalid):
        parse_callback(json.dumps(variant_of(_event("clear"), "pending")).encode())
