"""The table of attacks names tests that exist, and leaves out none that walks over everything."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import Final

from api.problems import CATALOGUE
from settings import ROOT

PAGE: Final = ROOT / "docs" / "attacks.md"
NAMED: Final = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
# Modules that are about attacks alone: each of their tests belongs into the table.
WHOLE: Final = (
    "tests/api/test_attacks_on_bodies.py",
    "tests/api/test_attacks_on_requests.py",
    "tests/e2e/test_attacks.py",
    "tests/e2e/test_matrix.py",
    "tests/api/test_token_attacks.py",
)
# Of those, the ones that hold the tests themselves to account.
ABOUT_TESTS: Final = re.compile(
    r"test_(every_|there_are_|no_row_|the_|what_is_allowed_|only_public_keys|a_private_key|"
    r"what_is_no_key_set|scopes_)\w+"
)
# What the table is asked to have: words of the threats this front door is exposed to.
THREATS: Final = (
    "none", "shared secret", "kid", "audience", "id token", "BOLA", "mass assignment", "NaN",
    "1e1000000", "31 decimals", "X-User-Id", "X-Forwarded-For", "depth", "aliases", "batches",
    "WebSocket", "foreign origin", "another tenant", "log", "a key twice", "too large", "drips",
    "smuggling", "idempotency key", "who has an account", "stuffing", "refresh token", "SQL",
    "NUL", "traversal", "method",
)  # fmt: skip


def rows() -> list[list[str]]:
    """The rows of all tables, their heads left out."""
    lines = PAGE.read_text("utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")]
             for line in lines if line.startswith("| ")]  # fmt: skip
    return [row for row in cells if row[0] != "attack"]


@cache
def defined(path: str) -> frozenset[str]:
    """The functions of a module."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, functions))


def test_every_row_is_shown_by_tests_that_exist() -> None:
    assert len(rows()) >= 50
    for row in rows():
        assert len(row) == 3, row
        named = NAMED.findall(row[2])
        assert named, row
        assert NAMED.sub("", row[2]).strip(", ") == "", row
        for path, name in named:
            assert (ROOT / path).exists(), path
            assert name in defined(path), f"{path} has no {name}"


def test_every_code_is_a_published_one() -> None:
    published = {each.code for each in CATALOGUE}
    told = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", PAGE.read_text("utf-8")))
    assert len(told) > 12
    assert told <= published


def test_no_threat_is_left_out() -> None:
    attacks = " ".join(row[0] for row in rows()).casefold()
    assert [threat for threat in THREATS if threat.casefold() not in attacks] == []


def test_no_test_of_an_attack_is_left_out() -> None:
    told = set(NAMED.findall(PAGE.read_text("utf-8")))
    for path in WHOLE:
        for name in defined(path):
            if name.startswith("test_") and not ABOUT_TESTS.fullmatch(name):
                assert (path, name) in told, f"docs/attacks.md does not tell of {path}::{name}"
