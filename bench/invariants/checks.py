"""All invariants in their order, each as a count of violations."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Final

from bench.invariants import flow, money, others, records
from bench.invariants.evidence import Evidence, Tally
from bench.invariants.replay import replayed
from sandbox.access import Access

Check = Callable[[Evidence, Tally], None]

# The numbers are those of the published list; I16 and I17 come with the features they are about.
CHECKS: Final[Mapping[str, Check]] = {
    "I1": money.money_once,
    "I2": money.balanced,
    "I3": flow.requests,
    "I4": flow.workflows,
    "I5": flow.endings,
    "I6": others.effects_once,
    "I7": money.intent_first,
    "I8": money.nonces,
    "I9": money.finality,
    "I10": others.offers,
    "I11": others.callbacks,
    "I12": flow.nothing_stuck,
    "I13": records.outbox,
    "I14": records.audit_trail,
    "I15": records.provenance,
    "I18": money.reconciled,
    "I20": others.tenancy,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How often an invariant did not hold, of how many looks, with a few examples."""

    invariant: str
    violations: int
    checked: int
    examples: tuple[str, ...]

    def line(self) -> str:
        """The verdict as one line of JSON."""
        return json.dumps(asdict(self))


def check(evidence: Evidence) -> list[Verdict]:
    """Every invariant that is a question to the evidence alone."""
    return [_verdict(name, looked, evidence) for name, looked in CHECKS.items()]


def _verdict(name: str, looked: Check, evidence: Evidence) -> Verdict:
    tally = Tally()
    looked(evidence, tally)
    return Verdict(name, tally.violations, tally.checked, tuple(tally.examples))


async def check_all(evidence: Evidence, access: Access) -> list[Verdict]:
    """All of `check`, and the replay of every history (I19)."""
    tally = Tally()
    await replayed(evidence, access, tally)
    replays = Verdict("I19", tally.violations, tally.checked, tuple(tally.examples))
    return sorted([*check(evidence), replays], key=lambda each: int(each.invariant[1:]))
