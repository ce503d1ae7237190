"""JSON from strangers, read without the surprises of `json.loads`.

Refused besides malformed text: duplicate keys (two readers would see two documents), NaN and
infinities (1e400 among them), half surrogate pairs, a document that is no object, and nesting or
integers beyond what the parser bounds.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body` (UTF-8). ValueError says what is wrong and quotes nothing of it."""
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
