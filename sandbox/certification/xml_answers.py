"""Lenders' XML answers, opened: elements by their local names, whatever namespace they are in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from sandbox.certification.json_answers import Names, Unit


@dataclass(frozen=True, slots=True)
class XMLShape:
    """How one lender's answers are built: the element of a quote, of a confirmation, and names."""

    quote: str
    confirmation: str
    names: Names
    units: Mapping[str, Unit] = field(default_factory=dict)

    def opened(self, body: bytes) -> XMLAnswer:
        """One answer."""
        return XMLAnswer(etree.fromstring(body), self)


@dataclass(frozen=True, slots=True)
class XMLFields:
    """One element by our names."""

    found: Any
    shape: XMLShape

    def get(self, name: str) -> str | int:
        """The value as it travels."""
        text = self._element(name).text or ""
        unit = self.shape.units.get(name)
        return unit.read(text) if unit else text

    def set(self, name: str, value: str | int) -> None:
        """Another value, in the lender's unit."""
        unit = self.shape.units.get(name)
        self._element(name).text = str(unit.write(int(value)) if unit else value)

    def _element(self, name: str) -> Any:
        element = self.found
        for part in self.shape.names[name].split("."):
            [element] = (child for child in element if _local(child) == part)
        return element


class XMLAnswer:
    """Satisfies `Document`."""

    def __init__(self, root: Any, shape: XMLShape) -> None:
        self._root = root
        self._shape = shape

    def quotes(self) -> Sequence[XMLFields]:
        """Every quote in it."""
        return [XMLFields(each, self._shape) for each in self._named(self._shape.quote)]

    def confirmation(self) -> XMLFields:
        """The one confirmation."""
        [confirmation] = self._named(self._shape.confirmation)
        return XMLFields(confirmation, self._shape)

    def encoded(self) -> bytes:
        """As XML."""
        written: bytes = etree.tostring(self._root, xml_declaration=True, encoding="utf-8")
        return written

    def listed_again(self, change: Callable[[XMLFields], None]) -> bytes:
        """Every quote again, right after itself."""
        for quote in self._named(self._shape.quote):
            again = deepcopy(quote)
            change(XMLFields(again, self._shape))
            quote.addnext(again)
        return self.encoded()

    def _named(self, name: str) -> list[Any]:
        return [element for element in self._root.iter() if _local(element) == name]


def _local(element: Any) -> str:
    name: str = etree.QName(element).localname
    return name
