"""The published schemas of events: holding an event against its own, and one state of them against
the state that was published before.

`python -m tests.event_schemas` writes docs/events/published.json once a change is compatible.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs/events"
ENVELOPE: Final = FOLDER.parent / "events.schema.json"
PUBLISHED: Final = FOLDER / "published.json"
SUFFIX: Final = ".schema.json"

Schema = dict[str, Any]
# What is published of a field, by its place: "data.offer_id", "data.items[]".
Shape = dict[str, dict[str, Any]]

# What narrows a field wherever it stands; a change of any of them is one that some consumer sees.
_BOUNDS: Final = (
    "const", "pattern", "format", "minimum", "maximum", "minLength", "maxLength", "minItems",
    "maxItems",
)  # fmt: skip
# Words about a field, and those that `shape_of` follows.
_KNOWN: Final = {
    *_BOUNDS, "$schema", "$defs", "$ref", "title", "description", "examples", "type", "enum",
    "properties", "required", "items", "additionalProperties", "allOf",
}  # fmt: skip


def schemas() -> dict[str, Schema]:
    """Every event type's schema."""
    return {
        path.name.removesuffix(SUFFIX): read(path) for path in sorted(FOLDER.glob(f"*{SUFFIX}"))
    }


def read(path: Path) -> Schema:
    """A document as it is stored."""
    document: Schema = json.loads(path.read_text("utf-8"))
    return document


def violations(envelope: Mapping[str, Any]) -> list[str]:
    """What of an event is not as its type's schema says; an unknown type is one thing wrong."""
    validator = _validators().get(str(envelope.get("type")))
    if validator is None:
        return [f"{envelope.get('type')}: no such type is published"]
    return [
        f"{envelope['type']}: {error.json_path}: {error.message}"
        for error in sorted(validator.iter_errors(envelope), key=str)
    ]


def wrong_data(kind: str, data: Mapping[str, Any]) -> list[str]:
    """What of an event's data is not as published, or not mentioned there at all."""
    if kind not in schemas_once():
        return [f"{kind}: no such type is published"]
    [example] = schemas_once()[kind]["examples"]
    as_stored = json.loads(json.dumps(data))
    return [*violations({**example, "data": as_stored}), *undescribed(kind, as_stored)]


def undescribed(kind: str, data: Mapping[str, Any]) -> list[str]:
    """What an event tells that its schema does not mention. Consumers ignore it; we do not."""
    described = schemas_once()[kind]["properties"]["data"]["properties"]
    return [f"{kind}: data.{name}" for name in data if name not in described]


@cache
def schemas_once() -> dict[str, Schema]:
    """The schemas, read once."""
    return schemas()


@cache
def _validators() -> dict[str, Draft202012Validator]:
    documents = {path: read(path) for path in FOLDER.glob("*.json") if path != PUBLISHED}
    documents[ENVELOPE] = read(ENVELOPE)
    registry: Registry[Any] = Registry().with_resources(
        (path.as_uri(), DRAFT202012.create_resource(contents))
        for path, contents in documents.items()
    )
    return {
        path.name.removesuffix(SUFFIX): Draft202012Validator(
            {"$ref": path.as_uri()}, registry=registry
        )
        for path in documents
        if path.parent == FOLDER and path.name.endswith(SUFFIX)
    }


def shapes() -> dict[str, Shape]:
    """What is published now: the envelope's fields, and the data's of every type."""
    envelope = dict(shape_of(read(ENVELOPE), ENVELOPE))
    return {
        "envelope": {
            name: of for name, of in envelope.items() if not name.startswith("event.data.")
        },
        **{
            kind: dict(shape_of(schema["properties"]["data"], FOLDER / f"{kind}{SUFFIX}", "data"))
            for kind, schema in schemas().items()
        },
    }


def shape_of(
    schema: Schema, file: Path, place: str = "event"
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of a schema, references resolved: its place, and what is promised of it."""
    schema = _resolved(schema, file)
    assert set(schema) <= _KNOWN, f"{place}: the comparison does not understand {set(schema)}"
    types = schema.get("type", [])
    facts: dict[str, Any] = {
        "type": sorted([types] if isinstance(types, str) else types),
        **{bound: schema[bound] for bound in _BOUNDS if bound in schema},
    }
    if "enum" in schema:
        facts["enum"] = sorted(schema["enum"])
    if "required" in schema:
        facts["required"] = sorted(schema["required"])
    more = schema.get("additionalProperties")
    if more is False:
        facts["closed"] = True
    yield place, facts
    for name, field in schema.get("properties", {}).items():
        yield from shape_of(field, file, f"{place}.{name}")
    if "items" in schema:
        yield from shape_of(schema["items"], file, f"{place}[]")
    if isinstance(more, dict):
        yield from shape_of(more, file, f"{place}.*")


def _resolved(schema: Schema, file: Path) -> Schema:
    if "$ref" not in schema:
        return schema
    document, _, pointer = schema["$ref"].partition("#/$defs/")
    target: Schema = read(file.parent / document)["$defs"][pointer]
    return {**target, **{name: value for name, value in schema.items() if name != "$ref"}}


def incompatible(before: Mapping[str, Shape], after: Mapping[str, Shape]) -> list[str]:
    """What of a change would break somebody: a line each, empty for one that breaks nobody.

    Events of the old shape are still in the topic for new consumers, and old consumers get events
    of the new shape. So nothing goes away, nothing becomes required or ceases to be, and no type or
    bound changes. Types of events, optional fields and members of enumerations may be added.
    """
    return [
        f"{kind}: {line}"
        for kind, shape in before.items()
        for line in (_broken(shape, after[kind]) if kind in after else ["the type is gone"])
    ]


def _broken(before: Shape, after: Shape) -> Iterator[str]:
    for place, old in before.items():
        new = after.get(place)
        if new is None:
            yield f"{place} is gone"
            continue
        for name in sorted({"type", "closed", *_BOUNDS}):
            if old.get(name) != new.get(name):
                yield f"{place}: {name} was {old.get(name)!r} and is {new.get(name)!r}"
        yield from (f"{place}: {line}" for line in _members(old, new))


def _members(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    if "enum" in new and "enum" not in old:
        yield "may only be one of a list now"
    if "enum" in old and "enum" not in new:
        yield "may be anything now"
    for member in sorted(set(old.get("enum", ())) - set(new.get("enum", ()))):
        if "enum" in new:
            yield f"{member!r} is not in the list any more"
    was, now = set(old.get("required", ())), set(new.get("required", ()))
    yield from (f"{name} is required now" for name in sorted(now - was))
    yield from (f"{name} is not always there any more" for name in sorted(was - now))


def publish() -> None:
    """Keep the present state as the published one, unless that would break somebody."""
    after = shapes()
    broken = incompatible(json.loads(PUBLISHED.read_text("utf-8")), after)
    if broken:
        sys.exit("\n".join(broken))
    PUBLISHED.write_text(written(after), "utf-8")


def written(found: Mapping[str, Shape]) -> str:
    """The published state as it is kept: a line a field, sorted, so that a change can be read."""
    kinds = []
    for kind, shape in sorted(found.items()):
        fields = [
            f"    {json.dumps(place)}: {json.dumps(facts, sort_keys=True)}"
            for place, facts in sorted(shape.items())
        ]
        kinds.append(f"  {json.dumps(kind)}: {{\n" + ",\n".join(fields) + "\n  }")
    return "{\n" + ",\n".join(kinds) + "\n}\n"


if __name__ == "__main__":
    publish()
