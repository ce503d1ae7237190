"""Events as Kafka records: a CloudEvents 1.0 envelope in JSON (structured content mode).

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC
from typing import Final

from models.domain.events import Event

SOURCE: Final = "urn:caas:platform"
CONTENT_TYPE: Final = b"application/cloudevents+json; charset=UTF-8"
# The `sequence` extension is compared as text, so it has all the digits a bigint may need.
_SEQUENCE_DIGITS: Final = 19


class UnspeakableEvent(ValueError):
    """The event cannot be written as an envelope; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Record:
    """What goes to the broker for one event."""

    event: Event
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int

    @property
    def lane(self) -> tuple[str, str]:
        """Whose order it is part of: user ids are unique within a tenant only."""
        return self.event.tenant_id, self.event.key


def envelope_of(event: Event) -> str:
    """The envelope of an event, as text; UnspeakableEvent if it cannot be written as JSON."""
    try:
        # The standard library's writer: integers of any size stay exact.
        return json.dumps(
            {
                "specversion": "1.0",
                "id": event.event_id,
                "type": event.type,
                "source": SOURCE,
                "subject": event.data.get("subject_id", event.key),
                "time": event.recorded_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
                "datacontenttype": "application/json",
                "tenant": event.tenant_id,
                "sequence": sequence_of(event.seq),
                "data": event.data,
            },
            allow_nan=False,
            ensure_ascii=False,
            separators=(",", ":"),
        )
    except (TypeError, ValueError) as error:
        raise UnspeakableEvent("EVENT_NOT_JSON") from error


def sequence_of(seq: int) -> str:
    """A number of the outbox as text of a fixed width, which sorts as the numbers do."""
    return f"{seq:0{_SEQUENCE_DIGITS}d}"


def record_of(event: Event, max_bytes: int) -> Record:
    """The record of an event; UnspeakableEvent if it would be larger than `max_bytes`."""
    try:
        value = envelope_of(event).encode()
    except UnicodeEncodeError as error:
        raise UnspeakableEvent("EVENT_NOT_JSON") from error
    if len(value) > max_bytes:
        raise UnspeakableEvent("EVENT_TOO_LARGE")
    return Record(
        event=event,
        key=event.key.encode(),
        value=value,
        headers=(
            ("content-type", CONTENT_TYPE),
            ("event-id", event.event_id.encode()),
            ("tenant", event.tenant_id.encode()),
        ),
        timestamp_ms=int(event.recorded_at.timestamp() * 1000),
    )
