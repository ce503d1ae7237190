"""Personas are data: every file is read whole, and meets nobody but its own person."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.domain.application import TERMINAL_STATES
from models.domain.decision import ReasonCode
from sandbox import persona as personas
from sandbox.counterparties.steering import Rule
from sandbox.persona import Persona, UnknownPersonaError, persona_names, read_persona

ENDINGS = {
    "approved": "funded",
    "bureau_down": "rejected",
    "changed_terms": "expired",
    "declined": "declined",
    "enhanced_due_diligence": "funded",
    "expired_offer": "expired",
    "needs_review": "funded",
    "requoted": "funded",
    "sanctioned": "blocked",
    "thin_file": "funded",
    "vendor_down": "funded",
    "verified_before": "funded",
    "withdrawn": "withdrawn",
}
BORROWER = "0x" + "Ab" * 20


@pytest.fixture(params=sorted(ENDINGS))
def persona(request: pytest.FixtureRequest) -> Persona:
    return read_persona(request.param)


def test_the_list_is_whole_and_covers_every_ending() -> None:
    assert persona_names() == sorted(ENDINGS)
    assert set(ENDINGS.values()) == {state.value for state in TERMINAL_STATES}
    assert {name: read_persona(name).ends_in.state for name in ENDINGS} == ENDINGS


def test_reasons_are_published_codes(persona: Persona) -> None:
    assert set(persona.ends_in.reasons) <= {code.value for code in ReasonCode}


def test_a_user_id_names_nobody(persona: Persona) -> None:
    applicant = persona.application["applicant"]
    for name in (applicant["given_name"], applicant["family_name"]):
        assert name.lower() not in persona.user_id


def test_everybody_is_somebody_else() -> None:
    everybody = [read_persona(name) for name in ENDINGS]
    assert len({each.user_id for each in everybody}) == len(everybody)
    documents = [each.application["applicant"]["document"]["number"] for each in everybody]
    assert len(set(documents)) == len(everybody)


def test_rules_are_followed_and_meet_their_person_alone(persona: Persona) -> None:
    another = persona.as_another("elsewhere", "user-2f0a")
    for name, rules in persona.rules(BORROWER, ["bank", "fintech"]).items():
        assert name in ("identity_vendor", "bureau", "bank", "fintech")
        for text in rules:
            rule = Rule.model_validate(text)
            assert rule.match.field is not None
            assert "$" not in json.dumps(text)
        theirs = another.rules("0x" + "cD" * 20, ["bank", "fintech"])[name]
        # The bureau knows people by their national id alone, which they share.
        assert (name == "bureau") or [r["match"] for r in theirs] != [r["match"] for r in rules]


def test_another_person_has_the_same_story_and_another_document(persona: Persona) -> None:
    before = persona.model_dump()
    another = persona.as_another("elsewhere", "user-2f0a")
    assert (another.tenant, another.user_id) == ("elsewhere", "user-2f0a")
    assert (another.steps, another.ends_in) == (persona.steps, persona.ends_in)
    document = another.application["applicant"]["document"]["number"]
    assert document == before["application"]["applicant"]["document"]["number"] + "-USER-2F0A"
    assert persona.model_dump() == before


def test_an_unknown_placeholder_is_no_rule() -> None:
    persona = read_persona("approved")
    rules = {"bank": ({"id": "$nobody", "do": {}},)}
    with pytest.raises(KeyError, match="nobody"):
        persona.model_copy(update={"counterparties": rules}).rules(BORROWER, [])


def test_only_a_listed_persona_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "personas").mkdir()
    text = (personas.PERSONAS / "approved.json").read_text()
    for path in ("secret.json", "personas/one.json", "personas/two.json"):
        (tmp_path / path).write_text(text)
    monkeypatch.setattr(personas, "PERSONAS", tmp_path / "personas")
    assert read_persona("two").name == "two"
    for name in ("../secret", "personas/one", "", "one.json", str(tmp_path / "secret")):
        with pytest.raises(UnknownPersonaError, match="there are: one, two"):
            read_persona(name)
