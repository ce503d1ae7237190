"""The specification's spelling of conditions, turned into CEL outside of string literals.

`AND`, `OR`, `NOT`, `IN` become `&&`, `||`, `!`, `in`; everything else is kept, blanks included.
Only a small part of CEL is let through: facts, literals, comparisons, sums and products. There are
no calls, no indexes, no regular expressions, no comprehensions: a rule cannot run for long.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

TokenKind = Literal["space", "literal", "number", "word", "symbol"]

KEYWORDS: Final = {"AND": "&&", "OR": "||", "NOT": "!", "IN": "in"}

_TOKEN: Final = re.compile(
    r"""
      (?P<space>[\ \t\r\n]+)
    | (?P<literal>'(?:[^'\\\r\n]|\\.)*' | "(?:[^"\\\r\n]|\\.)*")
    | (?P<number>[0-9]+(?:\.[0-9]+)?)
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)
    | (?P<symbol>&&|\|\||==|!=|<=|>=|[!<>+\-*()\[\],])
    """,
    re.VERBOSE,
)
_WORDLIKE: Final = ("literal", "number", "word")


class ConditionInvalid(ValueError):
    """A condition is not in the language of rules; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a condition; the texts of all tokens joined are the condition."""

    kind: TokenKind
    text: str


def tokenise(condition: str) -> list[Token]:
    """The pieces of a condition in order. ConditionInvalid where none fits.

    Two word-like pieces that touch are refused: they would be a prefixed (`r'…'`) or triple-quoted
    literal, or a number with a suffix, whose meaning in CEL differs from what one reads.
    """
    tokens: list[Token] = []
    position = 0
    while position < len(condition):
        match = _TOKEN.match(condition, position)
        if match is None or match.lastgroup is None:
            raise ConditionInvalid(f"unexpected text at character {position + 1}")
        kind: TokenKind = match.lastgroup  # type: ignore[assignment] # the pattern's group names
        if tokens and kind in _WORDLIKE and tokens[-1].kind in _WORDLIKE:
            raise ConditionInvalid(f"a blank or an operator is missing at character {position + 1}")
        tokens.append(Token(kind, match.group()))
        position = match.end()
    return tokens


def to_cel(condition: str) -> str:
    """The condition in CEL. Literals are kept character by character. Raises ConditionInvalid."""
    return "".join(
        KEYWORDS.get(token.text, token.text) if token.kind == "word" else token.text
        for token in tokenise(condition)
    )
