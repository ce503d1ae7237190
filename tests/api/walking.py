"""Walking over the API's description: every operation, every body, every field of one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from api.openapi import operations

Place = tuple[str | int, ...]

# Stands in a body until it is replaced by JSON of any kind, or by what is none.
_HERE: Final = "\u2603here\u2603"


@dataclass(frozen=True)
class Operation:
    """Something the API does, with a body that would do."""

    method: str
    path: str
    described: dict[str, Any]
    example: Any
    schema: dict[str, Any]
    schemas: dict[str, Any]

    @property
    def name(self) -> str:
        """As tests are named by."""
        return f"{self.method} {self.path}"

    def url(self, **ids: str) -> str:
        """The path, with the ids of the description's examples unless told otherwise."""
        return re.sub(r"\{(\w+)\}", lambda found: ids.get(found[1], self._id(found[1])), self.path)

    def _id(self, name: str) -> str:
        [parameter] = [each for each in self.described["parameters"] if each["name"] == name]
        shown = parameter.get("example") or parameter["schema"]["examples"][0]
        return str(shown)

    def parameters(self, place: str) -> list[str]:
        """The names of its parameters in the path, the query or the headers."""
        return [
            each["name"] for each in self.described.get("parameters", ()) if each["in"] == place
        ]

    def fields(self) -> Iterator[tuple[Place, dict[str, Any]]]:
        """Every value in its body that the description knows: where, and its schema."""
        yield from self._within((), self.schema)

    def objects(self) -> Iterator[tuple[Place, set[str]]]:
        """Every object in its body with fields of its own: where, and their names."""
        yield from self._objects((), self.schema)

    def shown(self, place: Place) -> Any:
        """What the example has in a place; None for what it leaves out."""
        return _at(self.example, place)

    def planted(self, place: Place, raw: str) -> bytes:
        """The body with this text, JSON or not, in that place."""
        return _dumped(_with(self.example, place, _HERE)).replace(f'"{_HERE}"', raw).encode()

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        if name := schema.get("$ref", "").rpartition("/")[2]:
            found: dict[str, Any] = self.schemas[name]
            return found
        for each in schema.get("anyOf", ()):
            if each.get("type") != "null":
                return self._resolved(each)
        return schema

    def _within(self, place: Place, schema: dict[str, Any]) -> Iterator[tuple[Place, Any]]:
        schema = self._resolved(schema)
        if "properties" in schema:
            for name, each in schema["properties"].items():
                yield from self._within((*place, name), each)
        elif schema.get("type") == "array" and isinstance(self.shown(place), list):
            yield place, schema
            yield from self._within((*place, 0), schema["items"])
        else:
            yield place, schema

    def _objects(self, place: Place, schema: dict[str, Any]) -> Iterator[tuple[Place, set[str]]]:
        schema = self._resolved(schema)
        if "properties" in schema:
            yield place, set(schema["properties"])
            for name, each in schema["properties"].items():
                yield from self._objects((*place, name), each)
        elif schema.get("type") == "array" and isinstance(self.shown(place), list):
            yield from self._objects((*place, 0), schema["items"])


def walked(document: dict[str, Any]) -> list[Operation]:
    """Every operation of the description."""
    schemas = document["components"]["schemas"]
    found = []
    for path, method, described in operations(document):
        content = described.get("requestBody", {}).get("content", {})
        media = content.get("application/json", {})
        operation = Operation(
            method.upper(), path, described, None, media.get("schema", {}), schemas
        )
        schema = operation._resolved(operation.schema)
        example = next(iter(schema.get("examples", ())), None)
        found.append(Operation(method.upper(), path, described, example, schema, schemas))
    return found


def _at(value: Any, place: Place) -> Any:
    for part in place:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _with(value: Any, place: Place, given: Any) -> Any:
    """A copy with something in a place; objects that lead there are made where there are none."""
    if not place:
        return given
    first, *rest = place
    if isinstance(first, int):
        items = list(value) if isinstance(value, list) else []
        return [_with(items[0] if items else None, tuple(rest), given), *items[1:]]
    known = value if isinstance(value, dict) else {}
    return {**known, first: _with(known.get(first), tuple(rest), given)}


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
