"""Reading JSON from strangers."""

from __future__ import annotations

import pytest

from adapters.strict_json import parse_object

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
