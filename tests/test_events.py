"""docs/events.md lists the event types that the code records, all of them and no others."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTED = set(
    re.findall(r"^\| `([a-z]+\.[a-z_]+)` \|", (ROOT / "docs/events.md").read_text("utf-8"), re.M)
)
TYPE = re.compile(r"[a-z]+\.[a-z_]+")
# Of these calls, an argument names the type; the statements that write rows take it from there.
RECORDING = {"record", "_record", "move", "audit"}


def types_in_the_code() -> tuple[set[str], set[str]]:
    """(types named in full, patterns of types whose name ends with a state)."""
    literal, patterns = set(), set()
    for path in sorted([*(ROOT / "adapters").rglob("*.py"), *(ROOT / "api").rglob("*.py")]):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(call, ast.Call) or _name(call.func) not in RECORDING:
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


def test_what_is_recorded_is_documented_and_the_other_way_round() -> None:
    literal, patterns = types_in_the_code()
    assert {"application.submitted", "settlement.reorged"} <= literal  # the search works
    assert any(re.fullmatch(pattern, "kyc.verified") for pattern in patterns)
    assert literal - DOCUMENTED == set()
    recorded = {
        each
        for each in DOCUMENTED
        if each in literal or any(re.fullmatch(pattern, each) for pattern in patterns)
    }
    assert DOCUMENTED - recorded == set()
    unused = {p for p in patterns if not any(re.fullmatch(p, each) for each in DOCUMENTED)}
    assert unused == set()
