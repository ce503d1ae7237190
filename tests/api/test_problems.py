"""The catalogue of problems: complete, and what the page and the description say."""

from __future__ import annotations

import ast
import re
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI

from api.errors import HTTP_REFUSALS, MEDIA_TYPE, TITLES
from api.openapi import operations
from api.problems import CATALOGUE, answered_by, catalogue_page
from settings import ROOT

# Said of what is absent, so its answer is NOT_FOUND, like that of everything absent.
LIKE_ABSENT: Final = {"NOTICE_NOT_WAITING", "INFORMATION_REQUEST_UNKNOWN"}
PUBLISHED: Final = {each.code for each in CATALOGUE}


def raised_by_the_api() -> set[str]:
    """The codes of every problem the API makes itself."""
    codes = set()
    for path in (ROOT / "api").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or len(node.args) < 2:
                continue
            named = node.func.id if isinstance(node.func, ast.Name) else ""
            code = node.args[1]
            if named in ("Problem", "problem_response") and isinstance(code, ast.Constant):
                codes.add(code.value)
    return codes


def test_every_code_the_api_answers_is_published() -> None:
    raised = raised_by_the_api()
    assert {"NOT_ALLOWED", "API_VERSION_UNKNOWN", "IDEMPOTENCY_KEY_MISSING"} <= raised
    of_framework = {code for code, _ in HTTP_REFUSALS.values()}
    answered = raised | of_framework | set(TITLES) - LIKE_ABSENT
    assert answered <= PUBLISHED, "tell of them in api/problems.py"


def test_a_code_is_published_once_under_each_status() -> None:
    pairs = [(each.code, each.status) for each in CATALOGUE]
    assert len(pairs) == len(set(pairs))


@pytest.mark.parametrize("published", CATALOGUE, ids=lambda each: each.code)
def test_each_says_what_it_means_and_what_to_do(published: Any) -> None:
    assert re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", published.code)
    assert published.title.endswith(".")
    assert published.advice.endswith(".")
    assert 400 <= published.status < 600


def test_the_page_is_current() -> None:
    page = (ROOT / "docs" / "problems.md").read_text("utf-8")
    assert page == catalogue_page(), "run make client"


def test_every_refusal_described_shows_the_problems_it_may_be(app: FastAPI) -> None:
    document = app.openapi()
    for path, method, operation in operations(document):
        for status, answer in operation["responses"].items():
            if MEDIA_TYPE not in answer.get("content", {}):
                continue
            examples = answer["content"][MEDIA_TYPE]["examples"]
            assert examples, (method, path, status)
            for code, example in examples.items():
                assert example["value"]["code"] == code
                assert example["value"]["status"] == int(status)


def test_what_belongs_to_one_operation_is_told_there_alone() -> None:
    accept = {each.code for each in answered_by(
        "post", "/api/v1/applications/{application_id}/accept", 409)}  # fmt: skip
    decide = {each.code for each in answered_by(
        "post", "/api/v1/reviews/{review_id}/decision", 409)}  # fmt: skip
    assert "OFFER_EXPIRED" in accept - decide
    assert "FOUR_EYES_NEEDED" in decide - accept
    assert "REQUEST_IN_FLIGHT" in accept & decide


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/v1/applications", {"POST"}),
        ("/api/v1/reviews", {"GET"}),
        ("/api/v1/service-accounts", {"GET", "POST"}),
    ],
)
async def test_what_is_not_offered_names_all_that_is(
    http: httpx.AsyncClient, path: str, allowed: set[str]
) -> None:
    answer = await http.delete(path)
    assert (answer.status_code, answer.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert set(answer.headers["allow"].split(", ")) - {"HEAD"} == allowed
