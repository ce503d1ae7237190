"""Lenders' JSON answers, opened: whatever a lender calls things, one name for each here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

Names = Mapping[str, str]
"""Where a lender has a thing, by our name for it (both dotted); others are where we have them."""


@dataclass(frozen=True, slots=True)
class Unit:
    """How a lender writes a number that is an integer here: read into ours, written as theirs."""

    read: Callable[[Any], int]
    write: Callable[[int], Any]


MAJOR: Final = Unit(lambda text: int(Decimal(text) * 100), lambda n: f"{Decimal(n) / 100:.2f}")
"""Decimal text of hundredths: amounts in dollars, rates in percent."""


@dataclass(frozen=True, slots=True)
class JSONShape:
    """How one lender's answers are built; `quotes` finds the list of quotes in a document.

    `quotes` puts a list of one where the lender answers with a single quote: `single` is the name
    under which that one stands. `units` are those of our names that a lender writes otherwise.
    """

    quotes: Callable[[dict[str, Any]], list[dict[str, Any]]]
    names: Names = field(default_factory=dict)
    units: Mapping[str, Unit] = field(default_factory=dict)
    single: str | None = None

    def opened(self, body: bytes) -> JSONAnswer:
        """One answer."""
        return JSONAnswer(json.loads(body), self)


@dataclass(frozen=True, slots=True)
class JSONFields:
    """One JSON object by our names."""

    found: dict[str, Any]
    shape: JSONShape

    def get(self, name: str) -> str | int:
        """The value as it travels."""
        holder, last = self._place(name)
        unit = self.shape.units.get(name)
        value: str | int = unit.read(holder[last]) if unit else holder[last]
        return value

    def set(self, name: str, value: str | int) -> None:
        """Another value, in the lender's unit and in the type the old one had."""
        holder, last = self._place(name)
        unit = self.shape.units.get(name)
        holder[last] = unit.write(int(value)) if unit else type(holder[last])(value)

    def _place(self, name: str) -> tuple[dict[str, Any], str]:
        *path, last = self.shape.names.get(name, name).split(".")
        holder = self.found
        for part in path:
            holder = holder[part]
        return holder, last


class JSONAnswer:
    """Satisfies `Document`."""

    def __init__(self, document: dict[str, Any], shape: JSONShape) -> None:
        self._document = document
        self._shape = shape

    def quotes(self) -> Sequence[JSONFields]:
        """Every quote in it."""
        return [JSONFields(each, self._shape) for each in self._shape.quotes(self._document)]

    def confirmation(self) -> JSONFields:
        """The document itself."""
        return JSONFields(self._document, self._shape)

    def encoded(self) -> bytes:
        """As JSON."""
        return json.dumps(self._document, separators=(",", ":")).encode()

    def listed_again(self, change: Callable[[JSONFields], None]) -> bytes:
        """Every quote twice: in the list, or, where there is none, under the same name again."""
        again = deepcopy(self._document)
        copies = self._shape.quotes(again)
        for each in copies:
            change(JSONFields(each, self._shape))
        if self._shape.single is None:
            self._shape.quotes(self._document).extend(copies)
            return self.encoded()
        second = json.dumps({self._shape.single: copies[0]}, separators=(",", ":")).encode()
        return self.encoded()[:-1] + b"," + second[1:]
