"""What a rule's action means: the one table from actions to outcomes and packs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from models.domain.decision import Outcome, ReasonCode


@dataclass(frozen=True, slots=True)
class Action:
    """An action's outcome, the pack it attaches, and the reason when the rule names none.

    `default_reason` None on an outcome other than ALLOW: the rule must name its own, because a
    declined applicant is owed a specific reason (Regulation B §1002.9(b)(2)).
    """

    outcome: Outcome
    pack: str | None = None
    default_reason: ReasonCode | None = None


ACTIONS: Final[dict[str, Action]] = {
    "BLOCK_TRANSACTION": Action(Outcome.BLOCK, default_reason=ReasonCode.CANNOT_PROCEED),
    "DECLINE": Action(Outcome.DECLINE),
    "REQUIRE_ENHANCED_DUE_DILIGENCE": Action(
        Outcome.ENHANCED_DUE_DILIGENCE, default_reason=ReasonCode.FURTHER_CHECKS_NEEDED
    ),
    "REVIEW": Action(Outcome.REVIEW, default_reason=ReasonCode.FURTHER_CHECKS_NEEDED),
    "APPLY_MiCA_RULES": Action(Outcome.ALLOW, pack="mica"),
}

# Recorded as the action when a rule could not be decided; no rule may ask for it.
FAIL_CLOSED: Final = "FAIL_CLOSED"
