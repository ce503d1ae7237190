"""The rule book: the lender's and the law's rules as data, asked in two phases."""

from __future__ import annotations

from typing import Protocol

from models.domain.decision import Facts, Phase, Verdict


class RuleBook(Protocol):
    """One version of all rules. Pure: the same facts give the same verdict for one version."""

    @property
    def version(self) -> str:
        """Names the rules, packs, actions and exchange rates, recorded with every decision."""
        ...

    def evaluate(self, phase: Phase, facts: Facts) -> Verdict:
        """The verdict of a phase. Never raises for facts: what cannot be decided is REVIEW."""
        ...
