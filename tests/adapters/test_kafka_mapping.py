"""What an event looks like on the topic, held against the published schema."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from adapters.kafka_mapping import UnspeakableEvent, record_of
from models.domain.events import Event
from models.domain.ids import new_id
from tests.envelope import violations

AT = datetime(2026, 11, 22, 17, 42, 31, 243219, tzinfo=UTC)


def event(**changes: Any) -> Event:
    fields: dict[str, Any] = {
        "seq": 815,
        "event_id": new_id("evt"),
        "tenant_id": "acme",
        "key": "app_1",
        "type": "offer.accepted",
        "data": {"subject_id": "app_1", "stage": "settlement"},
        "recorded_at": AT,
    }
    return Event(**{**fields, **changes})


def test_the_record_is_what_the_documentation_says() -> None:
    told = event()
    record = record_of(told, 10_000)
    envelope = json.loads(record.value)
    assert envelope == {
        "specversion": "1.0",
        "id": told.event_id,
        "type": "offer.accepted",
        "source": "urn:caas:platform",
        "subject": "app_1",
        "time": "2026-11-22T17:42:31.243219Z",
        "datacontenttype": "application/json",
        "tenant": "acme",
        "sequence": "0000000000000000815",
        "data": {"subject_id": "app_1", "stage": "settlement"},
    }
    assert violations(envelope) == []
    assert record.key == b"app_1"
    assert dict(record.headers)["event-id"] == told.event_id.encode()
    assert dict(record.headers)["tenant"] == b"acme"
    assert record.timestamp_ms == int(AT.timestamp() * 1000)


@pytest.mark.parametrize("hours", [-5, 0, 3])
def test_moments_are_utc_whatever_zone_they_come_in(hours: int) -> None:
    moved = AT.astimezone(timezone(timedelta(hours=hours)))
    envelope = json.loads(record_of(event(recorded_at=moved), 10_000).value)
    assert envelope["time"] == "2026-11-22T17:42:31.243219Z"


def test_sequences_compare_as_text() -> None:
    small, large = (
        json.loads(record_of(event(seq=seq), 10_000).value)["sequence"] for seq in (9, 2**63 - 1)
    )
    assert small < large


def test_whole_numbers_stay_exact() -> None:
    value = record_of(event(data={"subject_id": "app_1", "units": 2**255 + 1}), 10_000).value
    assert json.loads(value)["data"]["units"] == 2**255 + 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"subject_id": "x" * 500}, "EVENT_TOO_LARGE"),
        ({"rate": float("nan")}, "EVENT_NOT_JSON"),
        ({"text": "\ud800"}, "EVENT_NOT_JSON"),
    ],
)
def test_what_cannot_be_said_is_refused_with_the_reason(data: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnspeakableEvent, match=reason):
        record_of(event(data=data), 400)


@pytest.mark.parametrize(
    "change",
    [{"id": "evt_1"}, {"sequence": "1"}, {"time": "2026-11-22 17:42"}, {"data": {}}, {"more": 1}],
)
def test_the_schema_would_notice(change: dict[str, Any]) -> None:
    envelope = json.loads(record_of(event(), 10_000).value)
    assert violations({**envelope, **change})
