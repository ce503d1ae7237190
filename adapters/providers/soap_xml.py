"""XML from strangers, read without following anything in it.

No document type, so no entities and no expansion; nothing is fetched from disk or network; the text
is UTF-8, as SOAP's WS-I profile asks; its depth is bounded here and its size by whoever received
it. What it may say is checked against a schema before anything is made of it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from lxml import etree

SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
_XSD: Final = "http://www.w3.org/2001/XMLSchema"
MAX_DEPTH: Final = 24  # an honest quote is seven deep

_ELEMENT: Final = re.compile(r"Element '(?:\{[^}]*\})?([\w.\-]+)'")


class Unreadable(ValueError):
    """It is no such document; the text says which part, never what was in it."""


def parsed(raw: bytes) -> Any:
    """The document's root element; raises Unreadable."""
    # XML's own keywords are upper case, and the bytes are UTF-8 whatever the document claims.
    if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        raise Unreadable("a document type")
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise Unreadable("not well-formed") from None
    if _deeper_than(root, MAX_DEPTH):
        raise Unreadable(f"over {MAX_DEPTH} elements deep")
    return root


def body_of(root: Any) -> Any:
    """The one element in a SOAP 1.1 envelope's body; raises Unreadable."""
    if root.tag != f"{{{SOAP}}}Envelope":
        raise Unreadable("no SOAP 1.1 envelope")
    bodies = root.findall(f"{{{SOAP}}}Body")
    if len(bodies) != 1 or len(bodies[0]) != 1:
        raise Unreadable("not one element in one body")
    return bodies[0][0]


class Schema:
    """The types of a WSDL file, which imports nothing."""

    def __init__(self, wsdl: Path) -> None:
        root = parsed(wsdl.read_bytes())
        # Written out and read again, so that it carries the names it uses with it.
        [inline] = root.iter(f"{{{_XSD}}}schema")
        self._schema = etree.XMLSchema(parsed(etree.tostring(inline)))

    def check(self, element: Any) -> None:
        """Raises Unreadable naming the element that is not as the contract has it."""
        if not self._schema.validate(element):
            named = _ELEMENT.match(self._schema.error_log[0].message)
            raise Unreadable(named[1] if named else etree.QName(element).localname)


def _deeper_than(root: Any, limit: int) -> bool:
    level = [root]
    for _ in range(limit):
        level = [child for element in level for child in element]
        if not level:
            return False
    return True
