"""A rule book with a slip in it is not loaded, and says where the slip is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from models.policy.engine import SHIPPED_RATES, SHIPPED_RULES, RuleBook, RuleBookInvalid

RULE: dict[str, Any] = {
    "id": "A",
    "jurisdiction": "GLOBAL",
    "condition": "user.age < 18",
    "action": "REVIEW",
}

# The specification's "Rules Engine Configuration", word for word.
SPECIFICATION = """
rules:
  - id: "US_AMOUNT_LIMIT"
    jurisdiction: "US"
    condition: "transaction.amount > 10000 AND user.jurisdiction == 'US'"
    action: "REQUIRE_ENHANCED_DUE_DILIGENCE"
    
  - id: "EU_MiCA_COMPLIANCE"
    jurisdiction: "EU"
    condition: "transaction.type == 'CRYPTO' AND user.jurisdiction IN EU_COUNTRIES"
    action: "APPLY_MiCA_RULES"
    
  - id: "GLOBAL_SANCTIONS"
    jurisdiction: "GLOBAL"
    condition: "user.sanctionStatus != 'CLEAR'"
    action: "BLOCK_TRANSACTION"
"""  # noqa: W293


def book(directory: Path, *rules: dict[str, Any], pack: dict[str, Any] | None = None) -> RuleBook:
    (directory / "packs").mkdir(exist_ok=True)
    (directory / "rules.yaml").write_text(yaml.safe_dump({"rules": list(rules)}))
    if pack is not None:
        (directory / "packs" / "mica.yaml").write_text(yaml.safe_dump({"rules": [pack]}))
    return RuleBook.load(directory)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"id": None}, "id is a text"),
        ({"id": ""}, "an id has"),
        ({"id": "A-B"}, "an id has"),
        ({"id": "A" * 65}, "an id has"),
        ({"jurisdiction": "UK"}, "the jurisdiction is one of"),
        ({"jurisdiction": ["US"]}, "jurisdiction is a text"),
        ({"action": "APPROVE"}, "the action is one of"),
        ({"action": "FAIL_CLOSED"}, "the action is one of"),
        ({"action": "apply_mica_rules"}, "the action is one of"),
        ({"action": "DECLINE"}, "needs a reason"),
        ({"action": "APPLY_MiCA_RULES"}, "there is no pack mica"),
        ({"action": "APPLY_MiCA_RULES", "reason": "THIN_FILE"}, "gives no reason"),
        ({"reason": "BECAUSE"}, "not a published code"),
        ({"reason": None}, "reason is a text"),
        ({"phase": "later"}, "the phase is one of"),
        ({"version": 0}, "the version"),
        ({"version": True}, "the version"),
        ({"version": "2"}, "the version"),
        ({"active": False}, r"unknown \['active'\]"),
        ({"Condition": "true"}, r"unknown \['Condition'\]"),
        ({"condition": True}, "condition is a text"),
        ({"condition": "user.agee < 18"}, "unknown name"),
        ({"condition": "user.age <"}, "not a condition"),
        ({"condition": "user.age + 1"}, "not yes or no"),
        ({"condition": "user.age"}, "not yes or no"),
        ({"condition": "user.age AND true"}, "fails over complete facts"),
        ({"condition": "transaction.amount * 9223372036854775807 > 1"}, "fails over complete"),
    ],
)
def test_a_bad_rule_is_refused_by_file_and_name(
    tmp_path: Path, change: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(RuleBookInvalid, match=complaint) as caught:
        book(tmp_path, {**RULE, **change})
    assert caught.value.file == "rules.yaml"
    assert caught.value.rule == str({**RULE, **change}["id"])


@pytest.mark.parametrize("key", sorted(RULE))
def test_every_required_key_is_needed(tmp_path: Path, key: str) -> None:
    with pytest.raises(RuleBookInvalid, match="missing"):
        book(tmp_path, {name: value for name, value in RULE.items() if name != key})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "the only key"),
        ("rules: []", "at least one rule"),
        ("rules: {}", "at least one rule"),
        ("rules:", "at least one rule"),
        ("rules: [1]", "rule #1: a rule is a mapping"),
        ("rules: [[]]", "rule #1: a rule is a mapping"),
        ("- 1", "the only key"),
        ("rules: [{}]\nextra: 1", "the only key"),
        ("rules: [{}]\nrules: [{}]", "repeated key"),
        ("rules: [{id: A, id: B}]", "repeated key"),
        ("rules: [{1: A}]", "every key is a text"),
        ("rules: &r [{}]", "anchors"),
        ("a: &a [1]\nrules: *a", "anchors"),
        ("rules: !!python/object/apply:os.getcwd []", "not YAML"),
        ("rules: [", "not YAML"),
        ("rules: " + "[" * 3000, "not YAML"),
        ("---\nrules: [{}]\n---\nrules: [{}]", "not YAML"),
        ("#" * 70_000, "larger"),
        ("rules: \x00", "not YAML"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(RuleBookInvalid, match=complaint) as caught:
        RuleBook.load(tmp_path)
    assert caught.value.file == "bad.yaml"


def test_an_absent_or_empty_rule_book_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleBookInvalid, match="no rule files"):
        RuleBook.load(tmp_path)
    with pytest.raises(RuleBookInvalid, match="no rule files"):
        RuleBook.load(tmp_path / "absent")


def test_bad_rates_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleBookInvalid, match="cannot be read"):
        RuleBook.load(SHIPPED_RULES, tmp_path / "rates.yaml")


def test_an_id_is_used_once_over_all_files(tmp_path: Path) -> None:
    with pytest.raises(RuleBookInvalid, match="twice"):
        book(tmp_path, RULE, dict(RULE))
    (tmp_path / "more.yaml").write_text(yaml.safe_dump({"rules": [RULE]}))
    with pytest.raises(RuleBookInvalid, match="twice"):
        book(tmp_path, RULE)


def test_packs_are_attached_by_rules_outside_of_packs(tmp_path: Path) -> None:
    attaching = {**RULE, "id": "B", "action": "APPLY_MiCA_RULES"}
    with pytest.raises(RuleBookInvalid, match="no rule attaches this pack"):
        book(tmp_path, RULE, pack={**RULE, "id": "P"})
    with pytest.raises(RuleBookInvalid, match="attaches no pack"):
        book(tmp_path, attaching, pack={**RULE, "id": "P", "action": "APPLY_MiCA_RULES"})
    assert book(tmp_path, attaching, pack={**RULE, "id": "P"}).version


def test_there_is_a_limit_to_rules_and_files(tmp_path: Path) -> None:
    for number in range(6):
        rules = [{**RULE, "id": f"F{number}_{i}"} for i in range(100)]
        (tmp_path / f"{number}.yaml").write_text(yaml.safe_dump({"rules": rules}))
    with pytest.raises(RuleBookInvalid, match="more than 500 rules"):
        RuleBook.load(tmp_path)
    for number in range(101):
        (tmp_path / f"x{number}.yaml").write_text("rules: []")
    with pytest.raises(RuleBookInvalid, match="more than 100 files"):
        RuleBook.load(tmp_path)


def test_the_specifications_three_rules_are_there_word_for_word() -> None:
    shipped = {
        rule["id"]: rule
        for path in SHIPPED_RULES.glob("*.yaml")
        for rule in yaml.safe_load(path.read_text())["rules"]
    }
    for rule in yaml.safe_load(SPECIFICATION)["rules"]:
        kept = shipped[rule["id"]]
        assert {key: kept[key] for key in rule} == rule
        assert kept.get("phase", "eligibility") == "eligibility"


def test_the_specifications_file_loads_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "packs").mkdir()
    (tmp_path / "rules.yaml").write_text(SPECIFICATION)
    mica = (SHIPPED_RULES / "packs" / "mica.yaml").read_text()
    (tmp_path / "packs" / "mica.yaml").write_text(mica)
    assert RuleBook.load(tmp_path).version.startswith("rules-")


def test_the_version_changes_with_meaning_and_not_with_layout(tmp_path: Path) -> None:
    one = book(tmp_path, RULE).version
    assert book(tmp_path, {**RULE, "phase": "eligibility", "version": 1}).version == one
    (tmp_path / "rules.yaml").write_text("# a comment\n" + (tmp_path / "rules.yaml").read_text())
    assert RuleBook.load(tmp_path).version == one
    changes: list[dict[str, Any]] = [
        {"id": "B"},
        {"version": 2},
        {"phase": "credit"},
        {"condition": "user.age < 19"},
        {"reason": "UNDER_LEGAL_AGE"},
        {"jurisdiction": "US"},
        {"action": "REQUIRE_ENHANCED_DUE_DILIGENCE"},
    ]
    versions = {book(tmp_path, {**RULE, **change}).version for change in changes}
    assert len(versions | {one}) == len(changes) + 1


def test_other_rates_are_another_version(tmp_path: Path) -> None:
    rates = tmp_path / "rates.yaml"
    rates.write_text(SHIPPED_RATES.read_text().replace('"1.10"', '"1.11"'))
    assert RuleBook.load(rates_path=rates).version != RuleBook.load().version
