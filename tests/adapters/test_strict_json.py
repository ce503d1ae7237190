"""Reading JSON from strangers."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from adapters.strict_json import MAX_DEPTH, parse_object
from settings import ROOT

REFUSED = {
    "empty": b"",
    "no JSON": b"<html></html>",
    "two documents": b"{} {}",
    "list": b"[1]",
    "text": b'"a"',
    "null": b"null",
    "duplicate key": b'{"a":1,"a":1}',
    "duplicate key inside": b'{"a":[{"b":1,"b":2}]}',
    "NaN": b'{"a":NaN}',
    "infinity": b'{"a":-Infinity}',
    "1e400": b'{"a":1e400}',
    "5000 digits": b'{"a":' + b"9" * 5000 + b"}",
    "not UTF-8": b'{"a":"\xff"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "half a surrogate pair": b'{"a":"\\ud800"}',
    "half a surrogate pair as key": b'{"\\udfff":1}',
    "depth": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_refuses(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^(not|a key|a number|nested|Exceeds)"):
        parse_object(body)


def test_the_error_quotes_nothing_of_the_document() -> None:
    with pytest.raises(ValueError, match=r"^not JSON, at character \d+$"):
        parse_object(b'{"name":"Zelda" "x"}')


def test_reads_what_is_well_formed() -> None:
    body = '{"a":[1,2.5,null,true],"b":{"c":"Zoë 😀"},"d":115792089237316195423570985008687907853}'
    assert parse_object(body.encode()) == {
        "a": [1, 2.5, None, True],
        "b": {"c": "Zoë 😀"},
        "d": 115792089237316195423570985008687907853,
    }


def nested(depth: int) -> bytes:
    """An object with lists down to this depth, the object counted."""
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def test_depth_has_a_limit_of_our_own() -> None:
    parse_object(nested(MAX_DEPTH))
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_object(nested(MAX_DEPTH + 1))


def test_depth_is_refused_whatever_the_interpreters_limit_is() -> None:
    # The C scanner recurses as deep as this limit allows; beyond the stack the process dies.
    program = (
        "import sys; sys.setrecursionlimit(10**7)\n"
        "from adapters.strict_json import parse_object\n"
        "try: parse_object(b'{\"a\":' * 500_000)\n"
        "except ValueError as error: print(error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout.strip()) == (0, "nested too deeply")


def test_brackets_within_texts_are_no_depth() -> None:
    text = '[{"\\' * 100
    assert parse_object(json.dumps({"a": [text, text]}).encode()) == {"a": [text, text]}
