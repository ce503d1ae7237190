"""The specification's words become CEL's, and never inside of a literal."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.policy.translate import ConditionInvalid, to_cel, tokenise


@pytest.mark.parametrize(
    "condition",
    [
        "a == 'unclosed",
        "a == 'line\nbreak'",
        "a == r'raw'",
        "a == b'bytes'",
        "a == '''triple'''",
        "a == 'x''y'",
        'a == """triple"""',
        "a > 3u",
        "a > 1e400",
        "a > 0x10",
        "a > .5",
        "a > 1_000",
        "a ? b : c",
        "a // b",
        "a / b",
        "a % b",
        "{'a': 1}",
        "a; b",
        "a = b",
        "a & b",
        "a\u00a0> 1",
        "a > \u0661",
        "\u0430 > 1",
        "a . b > 1",
        "a[0].b > 1",
        "__class__.x $ 1",
    ],
)
def test_what_is_no_condition_is_refused(condition: str) -> None:
    with pytest.raises(ConditionInvalid):
        to_cel(condition)


@pytest.mark.parametrize(
    ("condition", "translated"),
    [
        ("a > 1 AND b < 2", "a > 1 && b < 2"),
        ("a > 1 OR b < 2", "a > 1 || b < 2"),
        ("NOT (a > 1)", "! (a > 1)"),
        ("NOT(a > 1)", "!(a > 1)"),
        ("a IN EU_COUNTRIES", "a in EU_COUNTRIES"),
        ("a IN ['x', 'IN']", "a in ['x', 'IN']"),
        ("(a AND (b OR (NOT (c))))", "(a && (b || (! (c))))"),
        ("a AND\n  b", "a &&\n  b"),
        ("a && b || !c", "a && b || !c"),
        ("a in ['x']", "a in ['x']"),
        ("a == 'AND'", "a == 'AND'"),
        ("a == 'x AND y' AND b", "a == 'x AND y' && b"),
        ('a == "OR" OR b', 'a == "OR" || b'),
        ('a == "it\'s NOT" AND NOT (b)', 'a == "it\'s NOT" && ! (b)'),
        (r"a == 'it\'s IN' AND b", r"a == 'it\'s IN' && b"),
        (r"a == 'x\\' AND b == ' OR '", r"a == 'x\\' && b == ' OR '"),
        ("a == '' AND b", "a == '' && b"),
        ("ANDROID AND FOR_X OR NOTE", "ANDROID && FOR_X || NOTE"),
        ("x.AND AND y.IN", "x.AND && y.IN"),
        ("and or not", "and or not"),
        ("And", "And"),
        ("", ""),
    ],
)
def test_words_are_translated_outside_of_literals(condition: str, translated: str) -> None:
    assert to_cel(condition) == translated


def quoted(text: str, quote: str) -> str:
    escaped = text.replace("\\", "\\\\").replace(quote, "\\" + quote)
    return quote + escaped.replace("\n", "\\n").replace("\r", "\\r") + quote


literals = st.builds(
    quoted,
    st.one_of(
        st.text(max_size=20),
        st.lists(
            st.sampled_from(["AND", "OR", "NOT", "IN", "'", '"', "\\", " ", "(", "\n"]),
            max_size=8,
        ).map("".join),
    ),
    st.sampled_from(["'", '"']),
)


@settings(deadline=None)  # machines are busy; the limit is on examples
@given(st.lists(literals, min_size=1, max_size=4))
def test_literals_survive_unchanged(texts: list[str]) -> None:
    condition = " AND ".join(f"NOT (a == {text})" for text in texts)
    assert to_cel(condition) == " && ".join(f"! (a == {text})" for text in texts)


@settings(deadline=None)  # machines are busy; the limit is on examples
@given(st.text(alphabet="ab'\"\\ ANDORNOTIN().=<>!&|", max_size=30))
def test_the_pieces_of_a_condition_are_the_condition(condition: str) -> None:
    try:
        tokens = tokenise(condition)
    except ConditionInvalid:
        return
    assert "".join(token.text for token in tokens) == condition
