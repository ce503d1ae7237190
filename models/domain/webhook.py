"""A webhook as its owners know it, one delivery, and when what has failed is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from models.domain.events import APPLICANT_EVENTS, STAFF_EVENTS, Event

TEST_EVENT: Final = "webhook.test"
# What is told of webhooks themselves is told to none: a failing one would make work for itself.
_OWN_EVENTS: Final = "webhook."

# Reasons of attempts and endings, published in docs/webhooks.md; a status is told beside them.
NOT_ACCEPTED: Final = "NOT_ACCEPTED"  # it answered, but not with 2xx
TIMED_OUT: Final = "TIMED_OUT"
UNREACHABLE: Final = "UNREACHABLE"
ADDRESS_REFUSED: Final = "ADDRESS_REFUSED"  # it may not be reached from here
UNSPEAKABLE: Final = "UNSPEAKABLE"  # the event cannot be written as JSON
INTERNAL: Final = "INTERNAL"  # a mistake of ours
GONE: Final = "GONE"  # it answered 410
REMOVED: Final = "REMOVED"


class WebhookStatus(StrEnum):
    """Whether a webhook is told of events."""

    ACTIVE = "active"
    PAUSED = "paused"  # events wait
    DISABLED = "disabled"  # its receiver said 410: events pass it by
    REMOVED = "removed"


class WebhookView(StrEnum):
    """How much of an event whoever registered the webhook may know."""

    WHOLE = "whole"
    APPLICANT = "applicant"

    @property
    def types(self) -> frozenset[str]:
        """The types of events that are ever told."""
        whole = self is WebhookView.WHOLE
        return APPLICANT_EVENTS | STAFF_EVENTS if whole else APPLICANT_EVENTS

    def of(self, event: Event) -> Event | None:
        """The event as it may be known; None where it may not."""
        return event if self is WebhookView.WHOLE else event.for_applicants()


class DeliveryStatus(StrEnum):
    """What became of one event for one webhook."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD_LETTERED = "dead_lettered"


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """What is asked for: where, and of which events to tell; `event_types` None: all."""

    url: str
    event_types: tuple[str, ...] | None
    description: str
    provider_id: str | None
    view: WebhookView


@dataclass(frozen=True, slots=True)
class Webhook:
    """A registered webhook, without its secrets."""

    webhook_id: str
    provider_id: str | None
    url: str
    event_types: tuple[str, ...] | None
    view: WebhookView
    description: str
    status: WebhookStatus
    status_reason: str | None
    former_secret_until: datetime | None
    created_by: str
    created_at: datetime

    def wants(self, event: Event, provider_ids: frozenset[str]) -> bool:
        """Whether it is told of an event that concerns these providers."""
        if event.type.startswith(_OWN_EVENTS):
            return False
        if self.event_types is not None and event.type not in self.event_types:
            return False
        if self.provider_id is not None and self.provider_id not in provider_ids:
            return False
        return self.view.of(event) is not None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one webhook, as people see it."""

    delivery_id: str
    webhook_id: str
    key: str
    event_id: str
    type: str
    status: DeliveryStatus
    attempts: int
    last_status: int | None
    last_reason: str | None
    last_ms: int | None
    created_at: datetime
    settled_at: datetime | None
    owner: str  # who registered the webhook, and has to look after it


@dataclass(frozen=True, slots=True)
class Line:
    """A webhook and a key: within it, events are told in order."""

    tenant_id: str
    webhook_id: str
    key: str


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send, and the secrets that sign: one, or two during a rotation."""

    url: str
    secrets: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt went: the status that was answered, if any, and why it does not count."""

    ms: int
    status: int | None = None
    reason: str | None = None  # None: it was accepted
    retry_after_s: float | None = None

    @property
    def accepted(self) -> bool:
        """Whether the receiver has it."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class DueEvent:
    """The next delivery of a line, with what is sent and where to."""

    delivery_id: str
    event: Event
    attempts: int
    target: Target


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """When what has failed is tried again, and for how long.

    After the n-th attempt `first_s * 4^(n-1)` seconds, at most `longest_s`, less or more by a fifth
    at random, so that receivers who failed together are not asked together.
    """

    first_s: float = 5.0
    longest_s: float = 6 * 3_600.0
    give_up_after_s: float = 3 * 86_400.0

    def wait_s(
        self, attempts: int, retry_after_s: float | None, jitter: float | None = None
    ) -> float:
        """Seconds until the next attempt, `attempts` having failed; never less than was asked for.

        What a receiver asks for is bounded by the whole period: it may not hold a line for ever.
        """
        spread = random.uniform(0.8, 1.2) if jitter is None else jitter  # noqa: S311
        backoff_s = min(self.first_s * 4.0 ** min(attempts - 1, 20), self.longest_s) * spread
        return min(max(backoff_s, retry_after_s or 0.0), self.give_up_after_s)


class Drained(StrEnum):
    """What a workflow's step came to."""

    HANDED_BACK = "handed_back"  # nothing is left: first attempts go their own way again
    HELD = "held"  # the webhook is paused: it is told when that ends
    MORE = "more"  # the step took long enough; there is more to do


def event_for_test(tenant_id: str, webhook_id: str, event_id: str, now: datetime) -> Event:
    """An event that says nothing but that it is a test."""
    data: dict[str, Any] = {"subject_id": webhook_id}
    return Event(0, event_id, tenant_id, webhook_id, TEST_EVENT, data, now)
