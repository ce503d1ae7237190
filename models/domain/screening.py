"""Screening names against sanctions lists: the answer, and how names are made comparable.

Standard library only and pure. What is compared: the normalised words of a name in any order, the
same words written together, and the name with Cyrillic and Greek look-alikes replaced by the Latin
letters they imitate. Spelling variants and transliteration are not compared here; a name in letters
that the list does not use is therefore never called clear.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_NAME_CHARS: Final = 512  # the longest name in OFAC's files has 200; longer is an attack


class ScreeningStatus(StrEnum):
    """What screening found.

    UNAVAILABLE is "no reliable answer": no list is loaded, or a name cannot be compared with it
    (empty, too long, mixed or foreign script). It is never treated as clear: a person looks.
    """

    CLEAR = "clear"
    HIT = "hit"
    UNAVAILABLE = "unavailable"


class MatchMethod(StrEnum):
    """How a name met the list, from the strictest to the loosest comparison."""

    EXACT = "exact"  # the list's own spelling, but for case and outer blanks
    NORMALISED = "normalised"  # the same words in any order, without accents and punctuation
    JOINED = "joined"  # the same letters, divided into words differently
    SKELETON = "skeleton"  # the same after look-alike letters are made Latin


@dataclass(frozen=True, slots=True)
class ScreeningMatch:
    """One listed party that a screened name equals."""

    list_entry_id: str
    list_name: str
    matched_name: str  # as the list spells it
    method: MatchMethod


@dataclass(frozen=True, slots=True)
class ScreeningResult:
    """The answer for one person's names, with the version of the list that gave it."""

    status: ScreeningStatus
    matches: tuple[ScreeningMatch, ...]
    list_version: str
    screened_names_count: int  # names that could be compared
    mixed_script: bool = False  # a name mixes alphabets, as only disguised names do


@dataclass(frozen=True, slots=True)
class NameKeys:
    """A name in its comparable forms; two names are the same where a form of each is equal."""

    spelled: str
    words: str  # normalised words, sorted: "DOE, John" equals "john doe"
    joined: str  # normalised words in natural order, written together
    skeleton: str  # `words` after look-alikes are replaced
    skeleton_joined: str
    scripts: frozenset[str]  # alphabets of its letters, such as LATIN

    @property
    def comparable(self) -> bool:
        """Whether anything is left to compare."""
        return bool(self.words)

    @property
    def mixed_script(self) -> bool:
        """Whether letters of several alphabets occur; Japanese and Korean writing mix by nature."""
        return len(self.scripts) > 1 and not any(self.scripts <= mix for mix in _NATURAL_MIXES)


def name_keys(name: str) -> NameKeys:
    """The comparable forms of a name. ValueError if it is longer than 512 characters."""
    if len(name) > MAX_NAME_CHARS:
        raise ValueError("a name has at most 512 characters")
    visible = _visible(unicodedata.normalize("NFKC", name))
    words = normalise_name(visible).split()
    # Marks first: a Cyrillic letter with an accent imitates as well as one without.
    bare = "".join(
        c for c in unicodedata.normalize("NFKD", visible) if unicodedata.category(c)[0] != "M"
    )
    imitated = normalise_name(bare.translate(_LOOKALIKES)).split()
    return NameKeys(
        spelled=" ".join(visible.casefold().split()),
        words=" ".join(sorted(words)),
        joined="".join(words),
        skeleton=" ".join(sorted(imitated)),
        skeleton_joined="".join(imitated),
        scripts=_scripts(visible),
    )


def normalise_name(name: str) -> str:
    """Lower-case words in natural order, without accents, punctuation or invisible characters.

    "DOE, John" becomes "john doe": a single comma puts the family name first. Full stops and
    apostrophes join ("S.A." is "sa", "O'Neil" is "oneil"), all other punctuation divides.
    """
    text = _visible(unicodedata.normalize("NFKC", name))
    head, comma, tail = text.partition(",")
    if comma and "," not in tail:
        text = f"{tail} {head}"
    folded = unicodedata.normalize("NFKD", text.casefold().translate(_UNDECOMPOSED))
    kept: list[str] = []
    for character in folded:
        category = unicodedata.category(character)
        if category[0] == "M" or character in _JOINING:
            continue
        if category == "Nd":
            kept.append(str(unicodedata.digit(character)))
        else:
            kept.append(character if category[0] in "LN" else " ")
    # Case folding again: a decomposed character may have uncovered a capital.
    return " ".join("".join(kept).casefold().split())


def _visible(text: str) -> str:
    """Without zero-width and direction characters (they show nothing and separate nothing)."""
    kept = (c for c in text if unicodedata.category(c) != "Cf" and c not in _BLANK_LETTERS)
    return "".join(" " if unicodedata.category(c) == "Cc" else c for c in kept)


def _scripts(text: str) -> frozenset[str]:
    """Alphabets of the letters, by the first word of their Unicode names."""
    return frozenset(
        unicodedata.name(c, "UNKNOWN").split(" ")[0].split("-")[0]
        for c in text
        if unicodedata.category(c)[0] == "L" and unicodedata.category(c) != "Lm"
    )


_JOINING: Final = frozenset(".'`\u00b4\u2018\u2019\u201b\u02b9\u02bb\u02bc\u02bd\u02bf\u02be\u2032")
# Letters by category that show nothing: Hangul fillers.
_BLANK_LETTERS: Final = frozenset("\u115f\u1160\u3164\uffa0")
_NATURAL_MIXES: Final = (
    frozenset({"CJK", "HIRAGANA", "KATAKANA"}),
    frozenset({"CJK", "HANGUL"}),
)
# Latin letters that Unicode does not decompose; applied after case folding.
_UNDECOMPOSED: Final = str.maketrans(
    {
        "ł": "l", "ø": "o", "đ": "d", "ħ": "h", "ı": "i", "ŧ": "t", "ð": "d", "þ": "th",
        "æ": "ae", "œ": "oe", "ŋ": "n", "ɑ": "a", "ɡ": "g", "ə": "a", "ƒ": "f",
    }
)  # fmt: skip
# Case matters: capital Н looks like H, capital Η (eta) too, small η like n.
_LOOKALIKES: Final = str.maketrans(
    # Cyrillic
    "АВЕКМНОРСТУХІЈЅԚԜҺ" "авекмнорстухіјѕԛԝһԁѵӏ"
    # Greek
    "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ" "αβεηικνορτυχγωμ",
    "ABEKMHOPCTYXIJSQWH" "abekmhopctyxijsqwhdvl"
    "ABEZHIKMNOPTYX" "abenikvoptuxywu",
)  # fmt: skip
