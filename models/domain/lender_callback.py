"""What a lender tells by itself: about a quote, an acceptance, or its own rest."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LenderCallbackType(StrEnum):
    """The kinds there are."""

    QUOTE_WITHDRAWN = "quote.withdrawn"
    ACCEPTANCE_CONFIRMED = "acceptance.confirmed"
    MAINTENANCE_BEGUN = "provider.maintenance_begun"
    MAINTENANCE_ENDED = "provider.maintenance_ended"


@dataclass(frozen=True, slots=True)
class LenderCallback:
    """One message of a lender.

    `sequence` grows with what the lender says of one subject: the quote, or the lender itself.
    `quote_id` is None for what is about the lender itself.
    """

    event_id: str
    type: LenderCallbackType
    sequence: int
    quote_id: str | None

    @property
    def subject(self) -> str:
        """What its order is about."""
        return self.quote_id or ""


class CallbackOutcome(StrEnum):
    """What came of a message."""

    APPLIED = "applied"
    RECORDED = "recorded"  # kept; it changes nothing
    LATE = "late"  # a later one of its subject came first: kept, and changes nothing
