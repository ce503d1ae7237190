"""JSON schemas as Python types: objects are TypedDicts, closed sets of words are literals."""

from __future__ import annotations

import textwrap
from typing import Any, Final

WIDTH: Final = 96
_PLAIN: Final = {
    "string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None",
}  # fmt: skip

Schema = dict[str, Any]


class Types:
    """The types of a document's schemas, and of the objects that have no name of their own."""

    def __init__(self, schemas: dict[str, Schema]) -> None:
        self._named = {_class(name): schema for name, schema in sorted(schemas.items())}

    def annotation(self, schema: Schema, hint: str) -> str:
        """The type of a value; `hint` names an object that the document does not name."""
        if reference := schema.get("$ref"):
            return _class(reference.rpartition("/")[2])
        if words := [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else ())]:
            return f"Literal[{', '.join(repr(each) for each in words)}]"
        kinds = schema.get("type")
        choices = schema.get("anyOf") or schema.get("oneOf") or ()
        if isinstance(kinds, list):
            choices = [{**schema, "type": kind} for kind in kinds]
        if choices:
            return _union(self.annotation(each, hint) for each in choices)
        return self._of_one_kind(schema, str(kinds), hint)

    def _of_one_kind(self, schema: Schema, kind: str, hint: str) -> str:
        if kind == "array":
            return f"list[{self.annotation(schema.get('items', {}), hint + 'Item')}]"
        if kind == "object" or "properties" in schema:
            return self._object(schema, hint)
        return _PLAIN.get(kind, "Any")

    def rendered(self) -> str:
        """All of them as Python."""
        done: dict[str, str] = {}
        while missing := [name for name in self._named if name not in done]:
            for name in missing:  # rendering one may find more
                done[name] = self._rendered(name, self._named[name])
        return "\n\n".join(done[name] for name in sorted(done))

    def _object(self, schema: Schema, hint: str) -> str:
        if properties := schema.get("properties"):
            name = _class(schema.get("title") or hint)
            known = self._named.setdefault(name, schema)
            if known.get("properties") != properties:
                name = _class(hint)
                self._named.setdefault(name, schema)
            return name
        values = schema.get("additionalProperties", {})
        inner = self.annotation(values, hint + "Value") if isinstance(values, dict) else "Any"
        return f"dict[str, {inner}]"

    def _rendered(self, name: str, schema: Schema) -> str:
        about = schema.get("description", "").strip()
        if "properties" not in schema:
            return f"{comment(about)}{name} = {self.annotation(schema, name)}\n"
        required = set(schema.get("required", ()))
        lines = [f"class {name}(TypedDict):", docstring(about or name), ""]
        for field, inner in schema["properties"].items():
            annotation = self.annotation(inner, name + _class(field))
            if field not in required:
                annotation = f"NotRequired[{annotation}]"
            lines += [f"    {field}: {annotation}", docstring(inner.get("description", "")), ""]
        return "\n".join(lines)


def docstring(text: str, indent: str = "    ") -> str:
    """A docstring that fits its lines."""
    said = text.replace("\\", "\\\\").replace('"""', "'''").strip()
    if len(indent) + len(said) + 6 <= WIDTH and "\n" not in said:
        return f'{indent}"""{said}"""'
    paragraphs = [
        "\n".join(textwrap.wrap(each, WIDTH - 6 - len(indent), break_long_words=False,
                                break_on_hyphens=False))
        for each in said.split("\n\n")
    ]  # fmt: skip
    body = textwrap.indent("\n\n".join(paragraphs), indent).lstrip()
    return f'{indent}"""{body}\n{indent}"""'


def comment(text: str) -> str:
    """The text as comment lines."""
    return "".join(f"# {line}\n" for line in textwrap.wrap(text, WIDTH))


def _union(kinds: Any) -> str:
    seen = dict.fromkeys(kinds)
    # None comes last, as a reader expects it.
    return " | ".join(sorted(seen, key=lambda kind: kind == "None"))


def _class(name: str) -> str:
    parts = [part for part in "".join(c if c.isalnum() else " " for c in name).split() if part]
    return "".join(part[0].upper() + part[1:] for part in parts)
