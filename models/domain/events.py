"""An event as the outbox holds it: what happened to which application or person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


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
