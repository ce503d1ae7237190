"""Holds an envelope against docs/events.schema.json, as far as that schema goes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SCHEMA = json.loads((Path(__file__).parents[1] / "docs/events.schema.json").read_text("utf-8"))
UNDERSTOOD = {
    "$schema", "title", "description", "type", "additionalProperties", "required", "properties",
    "const", "pattern", "minLength",
}  # fmt: skip


def violations(value: Any, schema: dict[str, Any] = SCHEMA, at: str = "$") -> list[str]:
    """What does not hold; empty for a valid value."""
    return list(_violations(value, schema, at))


def _violations(value: Any, schema: dict[str, Any], at: str) -> Iterator[str]:
    assert set(schema) <= UNDERSTOOD, f"{at}: this check does not understand {schema}"
    kind = {"object": dict, "string": str}.get(schema.get("type", ""))
    if kind is not None and not isinstance(value, kind):
        yield f"{at}: is no {schema['type']}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{at}: is not {schema['const']!r}"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{at}: does not match"
    if len(value) < schema.get("minLength", 0):
        yield f"{at}: is too short"
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        yield from (
            f"{at}.{name}: missing" for name in schema.get("required", ()) if name not in value
        )
        if schema.get("additionalProperties") is False:
            yield from (f"{at}.{name}: unknown" for name in value if name not in properties)
        for name in properties.keys() & value.keys():
            yield from _violations(value[name], properties[name], f"{at}.{name}")
