"""What is published is what the description makes, whole and of the right form."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from typing import Any

import pytest

from api.openapi import operations
from clients.generate.__main__ import everything
from clients.generate.document import STREAMS, published, read
from clients.generate.postman import COLLECTION, collection
from clients.generate.python_client import PACKAGE
from clients.python import caas_client
from settings import ROOT


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return published()


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return {str(path.relative_to(ROOT)): text for path, text in everything().items()}


def test_making_it_anew_changes_nothing(made: dict[str, str]) -> None:
    assert len(made) == 4
    stale = [name for name, text in made.items() if (ROOT / name).read_text("utf-8") != text]
    assert stale == [], "run make client"


def test_it_does_not_depend_on_settings_or_chance(
    document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAAS_TEMPORAL__UI_ORIGIN", "http://elsewhere.example")
    assert published() == document


# The Python client.


def test_every_operation_that_ends_is_a_method(document: dict[str, Any]) -> None:
    every = {each["operationId"] for _, _, each in operations(document)}
    streaming = {
        each["operationId"]
        for _, _, each in operations(document)
        if any(STREAMS in answer.get("content", {}) for answer in each["responses"].values())
    }
    tree = ast.parse((PACKAGE / "operations.py").read_text("utf-8"))
    methods = {
        f"{node.name.removeprefix('Async')}.{inner.name}"
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        for inner in node.body
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and inner.name[0] != "_"
    }
    told = {f"{each.subject.title().replace('_', '')}.{each.verb}" for each in read(document)}
    assert methods == told
    assert len(told) == len(every - streaming) >= 15


def test_its_types_hold_for_a_strict_checker(tmp_path: Any) -> None:
    use = tmp_path / "use.py"
    use.write_text(
        "import httpx\n"
        "from clients.python.caas_client import AsyncClient, Client\n"
        "def run(http: httpx.Client) -> str:\n"
        "    view = Client(http, 't').applications.show('app_1')\n"
        "    reveal_type(view['offers'][0]['apr_bps'])\n"
        "    Client(http).reviews.decide('rev_1', {'decision': 'maybe', 'reason': 'x'})\n"
        "    Client(http).applications.withdraw('app_1', {'reasons': None})\n"
        "    return str(view['no_such_field'])\n"
    )
    told = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--follow-imports=silent",
         "--config-file=", str(use)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    assert 'Revealed type is "int"' in told.replace("builtins.int", "int"), told
    assert "Found 3 errors" in told, told
    for wrong in ("maybe", "reasons", "no_such_field"):
        assert wrong in told, told


def test_it_is_a_package_that_knows_nothing_of_this_repository() -> None:
    assert (PACKAGE / "py.typed").exists()
    assert caas_client.API_VERSION == "2026-11-22"
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and not node.level:
                top = (node.module or "").partition(".")[0]
                assert top in {*sys.stdlib_module_names, "httpx"}, (path.name, top)


# The Postman collection.


def requests(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for folder in items for each in folder["item"]]


def test_each_operation_is_in_the_collection_once(document: dict[str, Any]) -> None:
    kept = json.loads(COLLECTION.read_text("utf-8"))
    assert kept == collection(document)
    assert kept["info"]["schema"].endswith("/collection/v2.1.0/collection.json")
    found = sorted(
        (each["request"]["method"], "/" + "/".join(each["request"]["url"]["path"]))
        for each in requests(kept["item"])
    )
    told = sorted(
        (each.method, each.path.replace("{", ":").replace("}", "")) for each in read(document)
    )
    assert found == told


def test_writes_draw_a_key_and_bodies_show_the_example(document: dict[str, Any]) -> None:
    kept = collection(document)
    assert {each["key"] for each in kept["variable"]} >= {"base_url", "token"}
    [event] = kept["event"]
    assert "{{$guid}}" in "".join(event["script"]["exec"])
    by_name = {each["name"]: each["request"] for each in requests(kept["item"])}
    apply = by_name["Apply for credit"]
    headers = {each["key"]: each["value"] for each in apply["header"]}
    assert headers["Idempotency-Key"] == "{{idempotency_key}}"
    assert json.loads(apply["body"]["raw"])["amount_minor"] == 500_000
    assert apply["url"]["raw"] == "{{base_url}}/api/v1/applications"
    assert "auth" not in apply  # the collection's own: the token
    assert by_name["Ask whether the process is alive"]["auth"] == {"type": "noauth"}
    [variable] = by_name["Follow an application"]["url"]["variable"]
    assert variable["key"] == "application_id"
