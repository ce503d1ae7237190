"""JSON from strangers, read without the surprises of `json.loads`.

Refused besides malformed text: duplicate keys (two readers would see two documents), NaN and
infinities (1e400 among them), half surrogate pairs, a document that is no object, deep nesting, and
integers beyond what the parser bounds.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn

# Our deepest document has six levels. The parser's own bound is the interpreter's recursion limit,
# which any library may raise beyond what the stack holds: then the process dies.
MAX_DEPTH: Final = 64

_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BRACKET: Final = re.compile(rb"[\[\]{}]")


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body` (UTF-8). ValueError says what is wrong and quotes nothing of it."""
    _refuse_depth(body)
    try:
        document = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
        # A lone surrogate survives parsing and would fail later, in a database or a signature.
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeError:
        raise ValueError("not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON, at character {error.pos}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    return document


def _refuse_depth(body: bytes) -> None:
    """Count brackets outside of strings, before anything recurses over them."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub(b"", body)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > MAX_DEPTH:
            raise ValueError("nested too deeply")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key occurs twice")
    return document


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("a number is not finite")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is not finite")
    return number
