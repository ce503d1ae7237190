"""What answers while no rule book can be used: a person decides."""

from __future__ import annotations

from typing import Final

from models.domain.decision import Facts, Outcome, Phase, ReasonCode, RuleFired, Verdict
from models.policy.actions import FAIL_CLOSED


class ReferringRuleBook:
    """Answers REVIEW to everything, so that a missing rule book approves nobody."""

    version: Final = "unavailable"

    def evaluate(self, phase: Phase, facts: Facts) -> Verdict:  # noqa: ARG002 - the port's shape
        """REVIEW with RULE_BOOK_UNAVAILABLE, whatever the facts."""
        fired = RuleFired(
            "RULE_BOOK", 1, FAIL_CLOSED, Outcome.REVIEW, ReasonCode.RULE_BOOK_UNAVAILABLE.value
        )
        return Verdict.of(phase, (fired,), (), self.version)
