"""Reads the files of a rule book: strict in every key, so that a slip is never an absent rule."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from models.domain.decision import Outcome, Phase, ReasonCode
from models.policy.actions import ACTIONS, Action
from models.policy.conditions import Condition, compile_condition
from models.policy.jurisdictions import JURISDICTION_CURRENCY
from models.policy.translate import ConditionInvalid
from models.policy.yaml_file import YAMLInvalid, read_yaml

MAX_FILES: Final = 100
MAX_RULES: Final = 500  # all are evaluated for every application
MAX_VERSION: Final = 1_000_000

_REQUIRED: Final = frozenset({"id", "jurisdiction", "condition", "action"})
_OPTIONAL: Final = frozenset({"version", "phase", "reason"})
_ID: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


class RuleBookInvalid(ValueError):
    """A rule book cannot be used; the message names the file and the rule."""

    def __init__(self, file: str, rule: str | None, detail: str) -> None:
        where = f"{file}, rule {rule}" if rule else file
        super().__init__(f"{where}: {detail}")
        self.file = file
        self.rule = rule
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, checked and compiled; `pack` None for a rule that always belongs to the book."""

    rule_id: str
    version: int
    jurisdiction: str
    phase: Phase
    text: str
    condition: Condition
    action_name: str
    action: Action
    reason: ReasonCode | None
    pack: str | None
    file: str

    def canonical(self) -> dict[str, Any]:
        """What the rule means, for the version of the book; not where its file lies."""
        return {
            "id": self.rule_id,
            "version": self.version,
            "jurisdiction": self.jurisdiction,
            "phase": self.phase.value,
            "condition": self.text,
            "action": self.action_name,
            "outcome": self.action.outcome.value,
            "attaches": self.action.pack,
            "reason": self.reason.value if self.reason else None,
            "pack": self.pack,
        }


def read_rules(directory: Path) -> list[Rule]:
    """All rules of a directory (`*.yaml`) and its packs (`packs/*.yaml`), files by name.

    Raises RuleBookInvalid.
    """
    files = [(path, None) for path in sorted(directory.glob("*.yaml"))]
    packs = [(path, path.stem) for path in sorted(directory.glob("packs/*.yaml"))]
    if not files:
        raise RuleBookInvalid(directory.name, None, "there are no rule files")
    if len(files) + len(packs) > MAX_FILES:
        raise RuleBookInvalid(directory.name, None, f"more than {MAX_FILES} files")
    rules: list[Rule] = []
    for path, pack in [*files, *packs]:
        rules.extend(_read_file(path, pack))
    if len(rules) > MAX_RULES:
        raise RuleBookInvalid(directory.name, None, f"more than {MAX_RULES} rules")
    _check_book(rules)
    return rules


def _check_book(rules: list[Rule]) -> None:
    """What only shows over all files: repeated ids, packs that are missing or never attached."""
    seen: set[str] = set()
    packs = {rule.pack for rule in rules if rule.pack is not None}
    attached = {rule.action.pack for rule in rules if rule.action.pack is not None}
    for rule in rules:
        if rule.rule_id in seen:
            raise RuleBookInvalid(rule.file, rule.rule_id, "the id occurs twice")
        seen.add(rule.rule_id)
        if rule.action.pack is not None and rule.action.pack not in packs:
            raise RuleBookInvalid(rule.file, rule.rule_id, f"there is no pack {rule.action.pack}")
        if rule.pack is not None and rule.action.pack is not None:
            raise RuleBookInvalid(rule.file, rule.rule_id, "a rule of a pack attaches no pack")
        if rule.pack is not None and rule.pack not in attached:
            raise RuleBookInvalid(rule.file, rule.rule_id, "no rule attaches this pack")


def _read_file(path: Path, pack: str | None) -> list[Rule]:
    file = path.name if pack is None else f"packs/{path.name}"
    try:
        content = read_yaml(path)
    except YAMLInvalid as error:
        raise RuleBookInvalid(file, None, str(error)) from error
    if not isinstance(content, dict) or content.keys() != {"rules"}:
        raise RuleBookInvalid(file, None, "the only key of a file is `rules`")
    entries = content["rules"]
    if not isinstance(entries, list) or not entries:
        raise RuleBookInvalid(file, None, "`rules` is a list of at least one rule")
    return [_rule(file, pack, position, entry) for position, entry in enumerate(entries, start=1)]


def _rule(file: str, pack: str | None, position: int, entry: object) -> Rule:
    name = str(entry.get("id", f"#{position}"))[:80] if isinstance(entry, dict) else f"#{position}"

    def refuse(detail: str) -> RuleBookInvalid:
        return RuleBookInvalid(file, name, detail)

    if not isinstance(entry, dict):
        raise refuse("a rule is a mapping")
    if missing := _REQUIRED - entry.keys():
        raise refuse(f"missing {sorted(missing)}")
    if unknown := entry.keys() - _REQUIRED - _OPTIONAL:
        raise refuse(f"unknown {sorted(unknown)}")
    for key in (_REQUIRED | {"phase", "reason"}) & entry.keys():
        if not isinstance(entry[key], str):
            raise refuse(f"{key} is a text")
    if not _ID.fullmatch(entry["id"]):
        raise refuse("an id has letters, digits and underscores, 64 at most")
    if entry["jurisdiction"] not in JURISDICTION_CURRENCY:
        raise refuse(f"the jurisdiction is one of {sorted(JURISDICTION_CURRENCY)}")
    if entry["action"] not in ACTIONS:
        raise refuse(f"the action is one of {sorted(ACTIONS)}")
    action = ACTIONS[entry["action"]]
    version = entry.get("version", 1)
    if isinstance(version, bool) or not isinstance(version, int) or not 0 < version <= MAX_VERSION:
        raise refuse(f"the version is an integer from 1 to {MAX_VERSION}")
    try:
        return Rule(
            rule_id=entry["id"],
            version=version,
            jurisdiction=entry["jurisdiction"],
            phase=_phase(entry),
            text=entry["condition"],
            condition=compile_condition(entry["condition"]),
            action_name=entry["action"],
            action=action,
            reason=_reason(entry, action),
            pack=pack,
            file=file,
        )
    except (ConditionInvalid, _FieldInvalid) as error:
        raise refuse(str(error)) from error


class _FieldInvalid(ValueError):
    """A field's value is none of those allowed."""


def _phase(entry: dict[str, Any]) -> Phase:
    phases = {phase.value: phase for phase in Phase}
    if (name := entry.get("phase", Phase.ELIGIBILITY.value)) not in phases:
        raise _FieldInvalid(f"the phase is one of {sorted(phases)}")
    return phases[name]


def _reason(entry: dict[str, Any], action: Action) -> ReasonCode | None:
    """A rule that only attaches a pack gives no reason; every other has one."""
    name = entry.get("reason")
    if action.outcome is Outcome.ALLOW:
        if name is not None:
            raise _FieldInvalid("a rule that attaches a pack gives no reason")
        return None
    if name is None:
        if action.default_reason is None:
            raise _FieldInvalid("this action needs a reason")
        return action.default_reason
    if name not in set(ReasonCode):
        raise _FieldInvalid("the reason is not a published code")
    return ReasonCode(name)
