"""Checks a rule's condition and compiles it to CEL.

CEL calls values of different kinds unequal without a word, and a misspelt word is merely never
equal. Either would make a rule that never fires, so both are refused before a rule book is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cel

from models.policy.facts import FACTS, Kind
from models.policy.translate import ConditionInvalid, Token, to_cel, tokenise

MAX_CONDITION_CHARS: Final = 500
MAX_DEPTH: Final = 16  # of parentheses; CEL's own parser gives up at some hundred
LISTS: Final = frozenset({"EU_COUNTRIES"})

_AND_OR: Final = frozenset({"AND", "OR", "&&", "||"})
_NOT: Final = frozenset({"NOT", "!"})
_IN: Final = frozenset({"IN", "in"})
_EQUALITY: Final = frozenset({"==", "!="})
_ORDER: Final = frozenset({"<", "<=", ">", ">="})
_ARITHMETIC: Final = frozenset({"+", "-", "*"})
_FLAGS: Final = frozenset({"true", "false"})
_NUMERIC: Final = frozenset({Kind.INTEGER, Kind.REAL})
_END: Final = Token("symbol", "")


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition and the facts it looks at: without all of them it is not decided."""

    program: cel.Program
    facts: tuple[str, ...]


def compile_condition(text: str) -> Condition:
    """A condition in the specification's spelling or in CEL's, ready to run.

    Raises ConditionInvalid: too long or deep, an unknown name or word, kinds that do not compare.
    """
    if len(text) > MAX_CONDITION_CHARS:
        raise ConditionInvalid(f"longer than {MAX_CONDITION_CHARS} characters")
    tokens = [token for token in tokenise(text) if token.kind != "space"]
    _check_depth(tokens)
    for position, token in enumerate(tokens):
        before = tokens[position - 1] if position else _END
        _check(token, before, [*tokens[position + 1 :], _END, _END, _END])
    facts = dict.fromkeys(t.text for t in tokens if t.kind == "word" and t.text in FACTS)
    if not facts:
        raise ConditionInvalid("a condition looks at a fact at least")
    try:
        program = cel.compile(to_cel(text))
    except ValueError as error:
        raise ConditionInvalid(f"not a condition: {str(error)[:200]}") from error
    return Condition(program, tuple(facts))


def _check_depth(tokens: list[Token]) -> None:
    depth = 0
    for token in tokens:
        if token.kind == "symbol":
            depth += (token.text in "([") - (token.text in ")]")
        if depth > MAX_DEPTH:
            raise ConditionInvalid(f"nested more than {MAX_DEPTH} deep")


def _check(token: Token, before: Token, after: list[Token]) -> None:
    """What one token allows beside itself."""
    operator = token.text if token.kind in ("word", "symbol") else ""
    if token.kind == "word":
        _check_word(token, before, after[0])
    if operator in _NOT:
        _check_not(after)
    elif operator in _IN:
        _check_in(before, after)
    elif operator in _EQUALITY:
        _check_equality(before, after[0])
    elif operator in _ORDER or operator in _ARITHMETIC:
        _check_numbers(operator, before, after[0])
    elif operator == "[" and before.text not in _IN:
        raise ConditionInvalid("a list stands after IN only")


def _check_word(token: Token, before: Token, after: Token) -> None:
    text = token.text
    if text in _AND_OR or text in _NOT or text in _IN or text in _FLAGS:
        return
    if text in LISTS:
        if before.text not in _IN:
            raise ConditionInvalid(f"{text} is a list and stands after IN only")
        return
    if text not in FACTS:
        raise ConditionInvalid(f"unknown name {text!r}")
    if after.text in ("(", "["):
        raise ConditionInvalid("there are no calls and no indexes in conditions")


def _check_not(after: list[Token]) -> None:
    """`NOT a == b` means `(NOT a) == b` in CEL, which is not what a reader expects."""
    operand, following = after[0], after[1]
    negates_flag = _kind(operand) is Kind.FLAG and (
        following is _END or following.text == ")" or following.text in _AND_OR
    )
    if operand.text != "(" and not negates_flag:
        raise ConditionInvalid("NOT stands before a parenthesis or a plain yes-or-no fact")


def _check_in(before: Token, after: list[Token]) -> None:
    spec = FACTS.get(before.text) if before.kind == "word" else None
    if spec is None or spec.kind is not Kind.TEXT:
        raise ConditionInvalid("IN compares a fact that is a text")
    if after[0].text in LISTS:
        return
    if after[0].text != "[":
        raise ConditionInvalid("after IN stands a list")
    members = after[1:]
    for position, member in enumerate(members):
        if member is _END:
            break
        if position % 2 == 0:
            if member.kind != "literal":
                raise ConditionInvalid("a list holds quoted texts")
            _check_spelling(before, member)
        elif member.text == "]":
            return
        elif member.text != ",":
            raise ConditionInvalid("the members of a list are divided by commas")
    raise ConditionInvalid("a list is not closed")


def _check_equality(before: Token, after: Token) -> None:
    left, right = _kind(before), _kind(after)
    if left is None or right is None:
        raise ConditionInvalid("== and != compare a fact with a literal or another fact directly")
    if left is not right and not (left in _NUMERIC and right in _NUMERIC):
        raise ConditionInvalid(f"{left.value} and {right.value} are never equal")
    _check_spelling(before, after)
    _check_spelling(after, before)


def _check_spelling(fact: Token, literal: Token) -> None:
    """A word outside of those a fact can be would make a comparison that is never true."""
    spec = FACTS.get(fact.text) if fact.kind == "word" else None
    if literal.kind != "literal" or spec is None:
        return
    if "\\" in literal.text:
        raise ConditionInvalid("a text that is compared holds no backslash")
    if spec.words is not None and literal.text[1:-1] not in spec.words:
        raise ConditionInvalid(f"{fact.text} is one of {sorted(spec.words)}")


def _check_numbers(operator: str, before: Token, after: Token) -> None:
    """Order and arithmetic take numbers; arithmetic in CEL never mixes whole and real ones."""
    kinds = {kind for kind in (_kind(before), _kind(after)) if kind is not None}
    if not kinds <= _NUMERIC:
        raise ConditionInvalid(f"{operator} takes numbers")
    if operator in _ARITHMETIC and len(kinds) > 1:
        raise ConditionInvalid(f"{operator} does not mix whole and real numbers")


def _kind(token: Token) -> Kind | None:
    """The kind of an operand; None for parentheses and whatever else is no single operand."""
    if token.kind == "literal":
        return Kind.TEXT
    if token.kind == "number":
        return Kind.REAL if "." in token.text else Kind.INTEGER
    if token.kind == "word" and token.text in FACTS:
        return FACTS[token.text].kind
    return Kind.FLAG if token.kind == "word" and token.text in _FLAGS else None
