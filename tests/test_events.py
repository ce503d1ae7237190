"""Every type of event that the code records has a schema and a line in docs/events.md.

All of them, and no others; what is in the audit trail alone has a line of its own there.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.event_schemas import schemas

ROOT = Path(__file__).resolve().parents[1]
EVENTS_TABLE, TRAIL_TABLE = (
    set(re.findall(r"^\| `([a-z]+\.[a-z_]+)` \|", part, re.M))
    for part in (ROOT / "docs/events.md").read_text("utf-8").split("| in the trail |")
)
TYPE = re.compile(r"[a-z]+\.[a-z_]+")
# Of these calls, an argument names the type; the statements that write rows take it from there.
TELLING = {"record", "record_each", "_record", "move"}
NOTING = {"audit"}


def types_in_the_code(calls: set[str]) -> tuple[set[str], set[str]]:
    """(types named in full, patterns of types whose name ends with a state), as these calls do."""
    literal, patterns = set(), set()
    for path in sorted([*(ROOT / "adapters").rglob("*.py"), *(ROOT / "api").rglob("*.py")]):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(call, ast.Call) or _name(call.func) not in calls:
                continue
            for argument in [*call.args, *(each.value for each in call.keywords)]:
                for node in _alternatives(argument):
                    if isinstance(node, ast.JoinedStr):
                        patterns.add(_pattern(node))
                    elif isinstance(node, ast.Constant) and TYPE.fullmatch(str(node.value)):
                        literal.add(str(node.value))
    return literal, {pattern for pattern in patterns if "\\." in pattern}


def _name(function: ast.expr) -> str:
    return getattr(function, "attr", None) or getattr(function, "id", "")


def _alternatives(node: ast.expr) -> list[ast.expr]:
    return [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node]


def _pattern(node: ast.JoinedStr) -> str:
    return "".join(
        re.escape(str(part.value)) if isinstance(part, ast.Constant) else "[a-z_]+"
        for part in node.values
    )


def test_every_type_of_event_has_a_schema_and_a_line() -> None:
    literal, patterns = types_in_the_code(TELLING)
    assert {"application.submitted", "settlement.reorged"} <= literal  # the search works
    assert any(re.fullmatch(pattern, "kyc.verified") for pattern in patterns)
    published = set(schemas())
    assert literal - published == set()
    recorded = {
        each
        for each in published
        if each in literal or any(re.fullmatch(pattern, each) for pattern in patterns)
    }
    assert published - recorded == set()
    unused = {p for p in patterns if not any(re.fullmatch(p, each) for each in published)}
    assert unused == set()
    assert published == EVENTS_TABLE


def test_what_is_in_the_trail_alone_is_listed_as_such() -> None:
    literal, patterns = types_in_the_code(NOTING)
    assert (literal, patterns) == (TRAIL_TABLE, set())
    assert TRAIL_TABLE.isdisjoint(EVENTS_TABLE)
