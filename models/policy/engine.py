"""The rule book: evaluates rules over facts, and never lets anybody through by an accident."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import cel

from models.domain.decision import (
    BureauEvidence,
    Facts,
    Outcome,
    Phase,
    ReasonCode,
    RuleFired,
    SettlementKind,
    Verdict,
)
from models.domain.kyc import KYCStatus
from models.domain.screening import ScreeningStatus
from models.policy.actions import FAIL_CLOSED
from models.policy.facts import Missing, is_country, readings
from models.policy.fx import RatesInvalid, RateTable, load_rates
from models.policy.jurisdictions import (
    EU_COUNTRIES,
    JURISDICTION_CURRENCY,
    jurisdictions_of,
)
from models.policy.rule_file import Rule, RuleBookInvalid, read_rules

SHIPPED_RULES: Final = Path(__file__).parent / "rules"
SHIPPED_RATES: Final = Path(__file__).parent / "rates.yaml"

__all__ = ["SHIPPED_RATES", "SHIPPED_RULES", "RuleBook", "RuleBookInvalid"]


class RuleBook:
    """One version of all rules and rates. Immutable: a new version is a new rule book."""

    def __init__(self, rules: Sequence[Rule], rates: RateTable) -> None:
        """Take rules that were read and checked; raises RuleBookInvalid if one cannot run."""
        self._rules = tuple(rules)
        self._rates = rates
        self._version = _version(self._rules, rates)
        for rule in self._rules:
            _rehearse(rule, rates)

    @classmethod
    def load(cls, directory: Path = SHIPPED_RULES, rates_path: Path = SHIPPED_RATES) -> Self:
        """Read and compile everything, or nothing: raises RuleBookInvalid.

        A caller that holds a rule book keeps it when loading its successor fails.
        """
        try:
            rates = load_rates(rates_path)
        except RatesInvalid as error:
            raise RuleBookInvalid(rates_path.name, None, str(error)) from error
        return cls(read_rules(directory), rates)

    @property
    def version(self) -> str:
        """`rules-<12 digits of the SHA-256 over rules, actions, lists and rates>`."""
        return self._version

    def evaluate(self, phase: Phase, facts: Facts) -> Verdict:
        """The verdict of a phase over facts; deterministic, without effects, never raising.

        A rule whose facts are not all known, or that fails, counts as REVIEW with the reason
        (EVIDENCE_MISSING unless something more exact is known). Rules that block or attach a pack
        are asked in both phases: what is forbidden stays forbidden, and lists change in between.
        A pack's rules of the phase are asked after all others. If the phase itself had not a
        single rule to ask, the outcome is REVIEW: no rules are no permission.
        """
        evaluation = _Evaluation(facts, self._rates)
        jurisdictions = jurisdictions_of(facts.country) if is_country(facts.country) else None
        if jurisdictions is None:
            evaluation.fail_closed("JURISDICTION", 1, ReasonCode.EVIDENCE_MISSING)
            jurisdictions = frozenset(JURISDICTION_CURRENCY)
        due = [rule for rule in self._rules if rule.phase is phase or _in_both_phases(rule)]
        for rule in due:
            if rule.pack is None and rule.jurisdiction in jurisdictions:
                evaluation.ask(rule)
        for rule in due:
            if rule.pack in evaluation.packs:
                evaluation.ask(rule)
        if not evaluation.decides(phase):
            evaluation.fail_closed("RULE_BOOK", 1, ReasonCode.RULE_BOOK_UNAVAILABLE)
        return Verdict.of(phase, tuple(evaluation.fired), evaluation.packs, self._version)


class _Evaluation:
    """One pass over the rules: a CEL context per currency, shared by all rules in it."""

    def __init__(self, facts: Facts, rates: RateTable) -> None:
        self.fired: list[RuleFired] = []
        self.packs: set[str] = set()
        self._asked: set[Phase] = set()  # phases of the rules that can do more than attach a pack
        self._facts = facts
        self._rates = rates
        self._views: dict[str, tuple[dict[str, Missing], cel.Context]] = {}

    def ask(self, rule: Rule) -> None:
        """Evaluate one rule and keep what follows."""
        if rule.action.pack is None:
            self._asked.add(rule.phase)
        missing, context = self._view(JURISDICTION_CURRENCY[rule.jurisdiction])
        unknown = [missing[fact].reason for fact in rule.condition.facts if fact in missing]
        if unknown:
            for reason in dict.fromkeys(unknown):
                self.fail_closed(rule.rule_id, rule.version, reason)
            return
        try:
            holds = rule.condition.program.execute(context)
        except Exception:
            # Whatever the CEL library raises (overflow, types): the rule was not decided.
            holds = None
        if holds is True:
            reason_code = rule.reason.value if rule.reason is not None else None
            self.fired.append(
                RuleFired(
                    rule.rule_id, rule.version, rule.action_name, rule.action.outcome, reason_code
                )
            )
            if rule.action.pack is not None:
                self.packs.add(rule.action.pack)
        elif holds is not False:
            self.fail_closed(rule.rule_id, rule.version, ReasonCode.EVIDENCE_MISSING)

    def decides(self, phase: Phase) -> bool:
        """Whether a rule of the phase was asked that can do more than attach a pack."""
        return phase in self._asked

    def fail_closed(self, rule_id: str, version: int, reason: ReasonCode) -> None:
        """A rule could not be decided: a person does."""
        self.fired.append(RuleFired(rule_id, version, FAIL_CLOSED, Outcome.REVIEW, reason.value))

    def _view(self, currency: str) -> tuple[dict[str, Missing], cel.Context]:
        if currency not in self._views:
            self._views[currency] = _view(self._facts, currency, self._rates)
        return self._views[currency]


def _in_both_phases(rule: Rule) -> bool:
    return rule.action.pack is not None or rule.action.outcome is Outcome.BLOCK


def _view(facts: Facts, currency: str, rates: RateTable) -> tuple[dict[str, Missing], cel.Context]:
    """What is missing, and a context with all that is known."""
    missing: dict[str, Missing] = {}
    known: dict[str, dict[str, Any]] = {}
    for path, reading in readings(facts, currency, rates).items():
        subject, _, attribute = path.partition(".")
        if isinstance(reading, Missing):
            missing[path] = reading
        else:
            known.setdefault(subject, {})[attribute] = reading
    context = cel.Context()
    context.add_variable("EU_COUNTRIES", list(EU_COUNTRIES))
    for subject, attributes in known.items():
        context.add_variable(subject, attributes)
    return missing, context


# Complete facts of opposite nature, so that both sides of most conditions run once at loading.
_REHEARSALS: Final = (
    Facts(
        amount_minor=100,
        currency="USD",
        country="US",
        settlement=SettlementKind.FIAT,
        term_months=1,
        kyc_status=KYCStatus.FAILED,
        sanction_status=ScreeningStatus.HIT,
        age_years=0,
        emt_authorised=False,
        annual_income_minor=0,
        score=300,
        pd=1.0,
        score_outcome="scored",
        bureau=BureauEvidence.MISSING,
    ),
    Facts(
        amount_minor=1_000_000_000,
        currency="USD",
        country="DE",
        settlement=SettlementKind.CRYPTO,
        term_months=480,
        kyc_status=KYCStatus.VERIFIED,
        sanction_status=ScreeningStatus.CLEAR,
        age_years=150,
        emt_authorised=True,
        annual_income_minor=100_000_000_000_000,
        score=850,
        pd=0.0,
        score_outcome="scored",
        bureau=BureauEvidence.PRESENT,
    ),
)


def _rehearse(rule: Rule, rates: RateTable) -> None:
    """Run a rule over facts that are all known: one that fails even then would always refer."""
    currency = JURISDICTION_CURRENCY[rule.jurisdiction]
    for facts in _REHEARSALS:
        missing, context = _view(facts, currency, rates)
        if any(fact in missing for fact in rule.condition.facts):
            continue  # there is no rate into the rule's currency: evaluation says so each time
        try:
            answer = rule.condition.program.execute(context)
        except Exception as error:
            detail = f"the condition fails over complete facts: {str(error)[:200]}"
            raise RuleBookInvalid(rule.file, rule.rule_id, detail) from error
        if not isinstance(answer, bool):
            raise RuleBookInvalid(rule.file, rule.rule_id, "the condition is not yes or no")


def _version(rules: Sequence[Rule], rates: RateTable) -> str:
    """Names everything a verdict depends on; the order of rules is part of it."""
    content = {
        "rules": [rule.canonical() for rule in rules],
        "currencies": JURISDICTION_CURRENCY,
        "eu_countries": EU_COUNTRIES,
        "rates": {
            "source": rates.source,
            "as_of": rates.as_of.isoformat(),
            "usd_per_unit": {code: str(rate) for code, rate in rates.usd_per_unit.items()},
        },
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"rules-{hashlib.sha256(canonical.encode()).hexdigest()[:12]}"
