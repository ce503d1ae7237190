"""OFAC's legacy CSV files read into listed parties: pure, no files opened here.

Format: U.S. Treasury, OFAC, "Specially Designated Nationals List - Data Formats & Data Schemas"
(SDN.CSV, ALT.CSV, ADD.CSV): no header line, `-0-` stands for null, a line that holds only Ctrl-Z
may end a file. Weak aliases stand in the remarks and are not screened, as OFAC's FAQ 122 allows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

SDN_COLUMNS: Final = 12
ALT_COLUMNS: Final = 5
ADD_COLUMNS: Final = 6
COMMENT_COLUMNS: Final = 2
_NULL: Final = "-0-"
_CTRL_Z: Final = "\x1a"


class MalformedList(ValueError):
    """A file is not in OFAC's format; the message names file, line and what is wrong."""


@dataclass(slots=True)
class ListedParty:
    """A sanctioned person, entity, vessel or aircraft, with what a reviewer compares."""

    entry_id: str
    primary_name: str | None  # None: aliases are known, the entry itself is not in the list
    kind: str | None = None  # individual, vessel, aircraft; None for an entity
    programme: str | None = None
    remarks: str | None = None
    aliases: list[str] = field(default_factory=list)
    countries: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class OFACTexts:
    """The decoded files; None where one is not configured. Comments continue long remarks."""

    sdn: str
    alt: str | None = None
    add: str | None = None
    comments: str | None = None


def parse(texts: OFACTexts) -> dict[str, ListedParty]:
    """All listed parties by entry number.

    Rows that refer to an absent entry are kept as parties without a primary name: an alias is a
    sanctioned name whatever became of its entry. Raises MalformedList.
    """
    parties: dict[str, ListedParty] = {}
    for line, row in _rows("sdn", texts.sdn, SDN_COLUMNS):
        entry_id = _entry_id("sdn", line, row[0])
        name = _value(row[1])
        if name is None:
            raise MalformedList(f"sdn line {line}: an entry has no name")
        if entry_id in parties:
            raise MalformedList(f"sdn line {line}: entry {entry_id} occurs twice")
        parties[entry_id] = ListedParty(
            entry_id, name, kind=_value(row[2]), programme=_value(row[3]), remarks=_value(row[11])
        )
    for line, row in _rows("alt", texts.alt, ALT_COLUMNS):
        alias = _value(row[3])
        if alias is None:
            raise MalformedList(f"alt line {line}: an alias has no name")
        _party(parties, "alt", line, row[0]).aliases.append(alias)
    for line, row in _rows("add", texts.add, ADD_COLUMNS):
        party = _party(parties, "add", line, row[0])
        country = _value(row[4])
        if country is not None and country not in party.countries:
            party.countries.append(country)
    for line, row in _rows("comments", texts.comments, COMMENT_COLUMNS):
        party = _party(parties, "comments", line, row[0])
        party.remarks = f"{party.remarks or ''}{_value(row[1]) or ''}"
    return parties


def _rows(file: str, text: str | None, columns: int) -> Iterator[tuple[int, list[str]]]:
    """Rows with their line numbers; blank lines and the closing Ctrl-Z are passed over."""
    if text is None:
        return
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    ended = False
    try:
        for row in reader:
            if not row or row == [""]:
                continue
            if ended:
                raise MalformedList(f"{file} line {reader.line_num}: text after the end mark")
            if len(row) == 1 and row[0].strip() == _CTRL_Z:
                ended = True
                continue
            if len(row) != columns:
                raise MalformedList(
                    f"{file} line {reader.line_num}: {len(row)} columns instead of {columns}"
                )
            yield reader.line_num, row
    except csv.Error as error:
        raise MalformedList(f"{file} line {reader.line_num}: {error}") from error


def _value(text: str) -> str | None:
    stripped = text.strip()
    return None if stripped in ("", _NULL) else stripped


def _entry_id(file: str, line: int, text: str) -> str:
    entry_id = text.strip()
    if not (entry_id.isascii() and entry_id.isdigit() and len(entry_id) <= 10):
        raise MalformedList(f"{file} line {line}: the entry number is not a number")
    return entry_id


def _party(parties: dict[str, ListedParty], file: str, line: int, text: str) -> ListedParty:
    entry_id = _entry_id(file, line, text)
    return parties.setdefault(entry_id, ListedParty(entry_id, primary_name=None))
