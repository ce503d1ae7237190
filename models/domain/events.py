"""An event as the outbox holds it: what happened to which application or person."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

# What an applicant, and who acts for applicants, is told of while an application goes its way: the
# steps that the application itself shows. Nothing of how people decide, and nothing of screening.
APPLICANT_EVENTS: Final = frozenset(
    {
        "application.submitted", "application.started", "application.funded",
        "application.declined", "application.withdrawn", "application.expired",
        "application.blocked", "application.rejected",
        "eligibility.decided", "evidence.recorded", "risk.assessed", "credit.decided",
        "offers.collected", "offer.created", "offer.accepted", "offer.rejected", "offer.replaced",
        "offer.expired", "offer.confirmed",
        "settlement.signed", "settlement.broadcast", "settlement.included", "settlement.reorged",
        "settlement.adopted", "settlement.failed",
        "information.requested", "information.provided", "notice.delivered",
    }
)  # fmt: skip
# What is told besides to whoever may read reviews. Of webhooks themselves, no webhook tells.
STAFF_EVENTS: Final = frozenset(
    {
        "kyc.submitted", "kyc.answered", "kyc.verified", "kyc.failed", "kyc.expired",
        "review.opened", "review.approved_once", "review.approved", "review.rejected",
        "review.undecided", "review.unanswered", "review.resubmitted", "review.reassigned",
        "information.read", "notice.owed", "notice.undeliverable", "notice.overdue",
        "provider.connected", "provider.disconnected", "provider.error", "provider.status_changed",
        "payloads.decoded", "event.released",
    }
)  # fmt: skip
APPLICANT_FACTS: Final = frozenset(
    {
        "subject_id", "stage", "state", "offer_id", "settlement_id", "tx_hash", "block_number",
        "request_id", "notice_id", "provider_id", "amount_minor", "currency", "term_months",
        "apr_bps", "fee_minor", "monthly_payment_minor", "total_repayable_minor", "expires_at",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; `seq` grows along each key of a tenant, with gaps.

    `key` is the application's id, or the person's for events about a person. `data` holds ids and
    derived facts, never personal data: `subject_id` and what else the type tells.
    """

    seq: int
    event_id: str
    tenant_id: str
    key: str
    type: str
    data: dict[str, Any]
    recorded_at: datetime
    attempts: int = 0  # how often the broker refused it

    def for_applicants(self) -> Event | None:
        """The event as applicants may know it; None where they may not."""
        if self.type not in APPLICANT_EVENTS:
            return None
        facts = {name: fact for name, fact in self.data.items() if name in APPLICANT_FACTS}
        return replace(self, data=facts)


@dataclass(frozen=True, slots=True)
class OwnedEvent:
    """An event with the applicant it concerns; `owner` is None where it is of no application."""

    event: Event
    owner: str | None


@dataclass(frozen=True, slots=True)
class Settled:
    """How far the numbers of events have gone.

    Up to `settled`, whatever will ever be visible is; up to `drawn`, numbers are given out.
    """

    settled: int
    drawn: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """The broker is there but will not take this event, for this reason."""

    event: Event
    reason: str


@dataclass(frozen=True, slots=True)
class Publication:
    """What became of a batch; whatever is in neither list was not tried, or not acknowledged."""

    acknowledged: tuple[Event, ...]
    refused: tuple[Refusal, ...] = ()
    outage: str | None = None  # why the rest has to wait, when the broker is away
