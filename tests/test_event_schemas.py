"""A schema for every event, events that keep to them, and changes that break nobody."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from models.domain.events import APPLICANT_EVENTS, APPLICANT_FACTS, STAFF_EVENTS
from tests import envelope as envelope_check
from tests.event_schemas import (
    ENVELOPE,
    FOLDER,
    PUBLISHED,
    Shape,
    incompatible,
    read,
    schemas,
    shape_of,
    shapes,
    undescribed,
    violations,
    written,
)

SCHEMAS = schemas()


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_schema_says_what_the_event_is_and_shows_one(kind: str) -> None:
    schema = SCHEMAS[kind]
    assert schema["title"] == kind
    assert schema["properties"]["type"] == {"const": kind}
    assert len(schema["description"]) > 5
    [example] = schema["examples"]
    assert violations(example) == []
    assert envelope_check.violations(example) == []
    assert undescribed(kind, example["data"]) == []


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_field_is_described_and_events_stay_open_to_more(kind: str) -> None:
    data = SCHEMAS[kind]["properties"]["data"]
    assert "additionalProperties" not in data
    assert "subject_id" in data["required"]
    assert set(data["required"]) <= set(data["properties"])
    for name, field in data["properties"].items():
        described = "description" in field or "$ref" in field or "const" in field
        assert described, name


@pytest.mark.parametrize("kind", SCHEMAS)
def test_an_event_without_what_it_always_tells_is_noticed(kind: str) -> None:
    [example] = SCHEMAS[kind]["examples"]
    for name in SCHEMAS[kind]["properties"]["data"]["required"]:
        data = {key: value for key, value in example["data"].items() if key != name}
        assert violations({**example, "data": data}), name


def test_wrong_events_are_noticed() -> None:
    [right] = SCHEMAS["offer.created"]["examples"]
    wrong: list[dict[str, Any]] = [
        {**right, "type": "offer.unheard_of"},
        {**right, "type": "offer.expired", "id": "1"},
        {**right, "extra": 1},
        {**right, "data": {**right["data"], "amount_minor": "5000"}},
        {**right, "data": {**right["data"], "amount_minor": 50.5}},
        {**right, "data": {**right["data"], "amount_minor": -1}},
        {**right, "data": {**right["data"], "currency": "dollars"}},
    ]
    assert [bool(violations(each)) for each in wrong] == [True] * len(wrong)
    assert violations({**right, "data": {**right["data"], "added_later": 1}}) == []
    assert undescribed("offer.created", {"added_later": 1}) == ["offer.created: data.added_later"]


def test_what_is_published_is_told_to_applicants_to_staff_or_is_about_webhooks() -> None:
    about_webhooks = {kind for kind in SCHEMAS if kind.startswith("webhook.")}
    assert set(SCHEMAS) == APPLICANT_EVENTS | STAFF_EVENTS | about_webhooks
    assert not APPLICANT_EVENTS & STAFF_EVENTS
    told = {
        name
        for kind in APPLICANT_EVENTS
        for name in SCHEMAS[kind]["properties"]["data"]["properties"]
    }
    assert told >= APPLICANT_FACTS


def test_the_published_state_is_kept_and_what_changed_since_breaks_nobody() -> None:
    """Having added something, run `python -m tests.event_schemas`."""
    published = json.loads(PUBLISHED.read_text("utf-8"))
    assert incompatible(published, shapes()) == []
    assert PUBLISHED.read_text("utf-8") == written(shapes())


# A change to a copy of the schemas, and what has to be said of it ("" for nothing).
def _drop_field(data: dict[str, Any]) -> None:
    del data["properties"]["apr_bps"]


def _drop_optional_field(data: dict[str, Any]) -> None:
    data["required"].remove("apr_bps")


def _rename(data: dict[str, Any]) -> None:
    data["properties"]["rate_bps"] = data["properties"].pop("apr_bps")


def _require(data: dict[str, Any]) -> None:
    data["properties"]["rank"] = {"type": "integer"}
    data["required"].append("rank")


def _retype(data: dict[str, Any]) -> None:
    data["properties"]["offer_id"] = {"type": "integer"}


def _allow_null(data: dict[str, Any]) -> None:
    data["properties"]["offer_id"] = {"type": ["string", "null"], "minLength": 1}


def _bound(data: dict[str, Any]) -> None:
    data["properties"]["term_months"] = {"type": "integer", "minimum": 6}


def _pattern(data: dict[str, Any]) -> None:
    data["properties"]["currency"] = {"type": "string", "pattern": "^USD$"}


def _enumerate(data: dict[str, Any]) -> None:
    data["properties"]["currency"]["enum"] = ["USD", "EUR"]


def _close(data: dict[str, Any]) -> None:
    data["additionalProperties"] = False


def _add(data: dict[str, Any]) -> None:
    data["properties"]["rank"] = {"type": "integer", "description": "Its place."}


def _describe(data: dict[str, Any]) -> None:
    data["properties"]["offer_id"]["description"] = "Said better."


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "a field goes": (_drop_field, "data.apr_bps is gone"),
    "a field is renamed": (_rename, "data.apr_bps is gone"),
    "a field becomes optional": (_drop_optional_field, "apr_bps is not always there any more"),
    "a field becomes required": (_require, "rank is required now"),
    "a type changes": (_retype, "data.offer_id: type was ['string'] and is ['integer']"),
    "a type is widened": (_allow_null, "data.offer_id: type was"),
    "a bound is raised": (_bound, "data.term_months: minimum was 1 and is 6"),
    "a pattern is narrowed": (_pattern, "data.currency: pattern was"),
    "anything becomes a list": (_enumerate, "data.currency: may only be one of a list now"),
    "data is closed": (_close, "data: closed was None and is True"),
    "an optional field is added": (_add, ""),
    "a description is better": (_describe, ""),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_breaks_somebody_is_refused(change: str) -> None:
    alter, said = CHANGES[change]
    data = copy.deepcopy(SCHEMAS["offer.created"]["properties"]["data"])
    alter(data)
    before = {"offer.created": shapes()["offer.created"]}
    found = incompatible(before, {"offer.created": shape(data)})
    assert bool(found) is bool(said)
    assert any(said in line for line in found) or not said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda members: members.remove("settling"), "'settling' is not in the list any more"),
        (lambda members: members.append("paused"), ""),
    ],
    ids=["a member goes", "a member comes"],
)
def test_a_list_may_grow_and_never_shrink(change: Callable[[list[str]], None], said: str) -> None:
    data = copy.deepcopy(SCHEMAS["application.started"]["properties"]["data"])
    state = copy.deepcopy(read(FOLDER / "fields.json")["$defs"]["state"])
    change(state["enum"])
    data["properties"]["state"] = state
    before = {"application.started": shapes()["application.started"]}
    found = incompatible(before, {"application.started": shape(data)})
    assert found == ([f"application.started: data.state: {said}"] if said else [])


def test_items_of_lists_and_values_of_maps_are_compared_too() -> None:
    before = shape({"type": "array", "items": {"type": "string"}})
    assert incompatible({"x": before}, {"x": shape({"type": "array", "items": {"type": "null"}})})
    values = {"type": "object", "additionalProperties": {"type": "string"}}
    other = {"type": "object", "additionalProperties": {"type": "integer"}}
    assert incompatible({"x": shape(values)}, {"x": shape(other)})


def test_a_type_may_come_and_never_go() -> None:
    now = shapes()
    without = {kind: of for kind, of in now.items() if kind != "kyc.verified"}
    assert incompatible(now, without) == ["kyc.verified: the type is gone"]
    assert incompatible(without, now) == []


def test_the_envelope_is_held_as_well() -> None:
    changed = copy.deepcopy(read(ENVELOPE))
    changed["required"].remove("sequence")
    before = {"envelope": dict(shape_of(read(ENVELOPE), ENVELOPE))}
    after = {"envelope": dict(shape_of(changed, ENVELOPE))}
    assert incompatible(before, after) == ["envelope: event: sequence is not always there any more"]


def shape(data: dict[str, Any]) -> Shape:
    return dict(shape_of(data, FOLDER / "any.schema.json", "data"))
