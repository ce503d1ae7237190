"""GraphQL at its door: who is let in, what is refused before it runs, and how errors look."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from graphql import build_client_schema, get_introspection_query
from typer.testing import CliRunner

import cli
from api.graphql import limits, serving
from api.graphql.description import ANSWER, QUESTION
from api.graphql.schema import ENTITIES, SCHEMA
from models.domain.errors import Unavailable
from settings import ROOT
from tests.api.answers import framed, problem

Bearer = Callable[..., dict[str, str]]
GRAPHQL_TYPE = "application/graphql-response+json"
SMALL = "{ applications { edges { node { state } } } }"


async def ask(
    http: httpx.AsyncClient, headers: dict[str, str], query: str, **rest: Any
) -> dict[str, Any]:
    answer = await http.post("/graphql", json={"query": query, **rest}, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    framed(answer)
    document: dict[str, Any] = answer.json()
    return document


def codes(document: dict[str, Any]) -> list[str]:
    assert all(each["message"] for each in document.get("errors", []))
    return [each["extensions"]["code"] for each in document.get("errors", [])]


# Who is let in, and by which door.


async def test_nobody_asks_without_a_token(http: httpx.AsyncClient) -> None:
    for query in (SMALL, "{ __typename }", get_introspection_query(), "{ _service { sdl } }", "{"):
        problem(await http.post("/graphql", json={"query": query}), 401, "UNAUTHENTICATED")


async def test_a_cookie_asks_nothing(http: httpx.AsyncClient, bearer: Bearer) -> None:
    """A foreign page can make a browser send it."""
    token = bearer("auditor")["authorization"].removeprefix("Bearer ")
    answer = await http.post(
        "/graphql", json={"query": SMALL}, headers={"cookie": f"caas_session={token}"}
    )
    problem(answer, 401, "UNAUTHENTICATED")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_questions_are_posted(http: httpx.AsyncClient, bearer: Bearer, method: str) -> None:
    answer = await http.request(
        method, "/graphql", params={"query": SMALL}, headers=bearer("auditor")
    )
    problem(answer, 405, "METHOD_NOT_ALLOWED")


async def test_a_role_that_reads_no_application_asks_nothing(
    http: httpx.AsyncClient, bearer: Bearer
) -> None:
    answer = await http.post("/graphql", json={"query": SMALL}, headers=bearer())
    problem(answer, 403, "NOT_ALLOWED")


# The request is JSON as everywhere.

BODIES: dict[str, tuple[bytes, int, str]] = {
    "a batch": (b'[{"query": "{__typename}"}, {"query": "{__typename}"}]', 400, "BODY_MALFORMED"),
    "NaN in variables": (
        b'{"query": "{__typename}", "variables": {"n": NaN}}', 400, "BODY_MALFORMED",
    ),
    "an infinite number": (
        b'{"query": "{__typename}", "variables": {"n": 1e400}}', 400, "BODY_MALFORMED",
    ),
    "two queries": (b'{"query": "{__typename}", "query": "{a}"}', 400, "BODY_MALFORMED"),
    "deep variables": (
        b'{"query": "{__typename}", "variables": ' + b'{"a":' * 100 + b"1" + b"}" * 100 + b"}",
        400, "BODY_MALFORMED",
    ),
    "variables that are a list": (
        b'{"query": "{__typename}", "variables": []}', 422, "VALIDATION_FAILED",
    ),
    "no query": (b"{}", 422, "VALIDATION_FAILED"),
    "an empty query": (b'{"query": ""}', 422, "VALIDATION_FAILED"),
    "a query that is a list": (b'{"query": ["{__typename}"]}', 422, "VALIDATION_FAILED"),
    "a long query": (b'{"query": "' + b"#" * 20_001 + b'"}', 422, "VALIDATION_FAILED"),
    "an unknown member": (
        b'{"query": "{__typename}", "tenant_id": "acme"}', 422, "VALIDATION_FAILED",
    ),
    "a giant": (b'{"query": "' + b"#" * 70_000 + b'"}', 413, "BODY_TOO_LARGE"),
}  # fmt: skip


@pytest.mark.parametrize("body", BODIES)
async def test_a_body_is_read_strictly(http: httpx.AsyncClient, bearer: Bearer, body: str) -> None:
    content, status, code = BODIES[body]
    headers = {**bearer("auditor"), "content-type": "application/json"}
    problem(await http.post("/graphql", content=content, headers=headers), status, code)


async def test_a_form_is_not_read(http: httpx.AsyncClient, bearer: Bearer) -> None:
    headers = {**bearer("auditor"), "content-type": "text/plain"}
    answer = await http.post("/graphql", content=b'{"query": "{__typename}"}', headers=headers)
    problem(answer, 415, "MEDIA_TYPE_NOT_READ")


# What is refused before any of it runs.


def _nested(levels: int) -> str:
    """Applications of a person of an application, and so on."""
    inner = "userId"
    for _ in range(levels):
        inner = f"person {{ applications {{ {inner} }} }}"
    return "{ applications(first: 1) { edges { node { %s } } } }".replace("%s", inner)


def _fragments(times: int, of: str) -> str:
    """Fragments that each spread the next one twice: as answered, 2 to the power of `times`."""
    spread = "".join(
        f" fragment F{n} on Application {{ ...F{n + 1} ...F{n + 1} }}" for n in range(times)
    )
    return (
        "{ applications(first: 1) { edges { node { ...F0 } } } }"
        + spread + f" fragment F{times} on Application {{ {of} }}"
    )  # fmt: skip


ATTACKS: dict[str, tuple[str, str]] = {
    "depth": (_nested(5), "TOO_DEEP"),
    "depth by fragments": (
        "{ applications(first: 1) { edges { node { ...A } } } }"
        " fragment A on Application { person { applications { ...B } } }"
        " fragment B on Application { person { applications { ...C } } }"
        " fragment C on Application { person { applications { ...D } } }"
        " fragment D on Application { person { applications { userId } } }",
        "TOO_DEEP",
    ),
    "aliases": (
        "{ " + " ".join(f"a{n}: __typename" for n in range(9)) + " applications(first: 1)"
        " { edges { node { " + " ".join(f"s{n}: state" for n in range(30)) + " } } } }",
        "TOO_MANY_ALIASES",
    ),
    "aliases by fragments": (_fragments(6, "s: state"), "TOO_MANY_ALIASES"),
    "root fields": (
        "{ " + " ".join(f"a{n}: loan(loanId: 1) {{ loanId }}" for n in range(11)) + " }",
        "TOO_MANY_ROOT_FIELDS",
    ),
    "cost": (
        "{ applications(first: 50) { edges { node { offers { terms { nonce lender borrower"
        " token principal deadline termMonths aprBps } status } } } } }",
        "TOO_COSTLY",
    ),
    "cost by first": ("{ offers(first: 2000000000) { edges { node { " + "status " * 100
                      + "} } } }", "TOO_COSTLY"),
    "cost of people": (
        "{ applications { edges { node { person { applications { offers { status"
        " aprBps termMonths feeMinor } } } } } } }",
        "TOO_COSTLY",
    ),
    "a fragment bomb": (_fragments(18, "state"), "TOO_MANY_SELECTIONS"),
    "a bomb of nothing": (
        _fragments(12, "...E") + " fragment E on Application { ... { ... { __typename } } }",
        "TOO_MANY_SELECTIONS",
    ),
    "many fields": ("{ applications { " + "pageInfo { hasNextPage } " * 151 + "} }",
                    "TOO_MANY_FIELDS"),
    "many fragments": (
        "{ __typename }" + "".join(f" fragment F{n} on Loan {{ loanId }}" for n in range(21)),
        "TOO_MANY_FRAGMENTS",
    ),
    "many operations": (" ".join(f"query Q{n} {{ __typename }}" for n in range(6)),
                        "TOO_MANY_OPERATIONS"),
    "many directives": ("{ __typename " + "@include(if: true) " * 21 + "}",
                        "TOO_MANY_DIRECTIVES"),
    "many tokens": ("{ loans(after: [" + "1 " * 2_000 + "]) { edges { cursor } } }",
                    "TOO_MANY_TOKENS"),
    "braces": ("{ a " * 500 + "}" * 500, "NESTED_TOO_DEEPLY"),
    "brackets": ("{ loan(loanId: " + "[" * 500 + "]" * 500 + ") { loanId } }",
                 "NESTED_TOO_DEEPLY"),
    "objects": ('{ loan(loanId: ' + "{a:" * 100 + "1" + "}" * 100 + ") { loanId } }",
                "NESTED_TOO_DEEPLY"),
    "a cycle of fragments": (
        "{ applications { edges { node { ...A } } } } fragment A on Application { ...B }"
        " fragment B on Application { ...A }",
        "VALIDATION_FAILED",
    ),
    "a fragment of itself": (
        "{ applications { edges { node { ...A } } } }"
        " fragment A on Application { person { applications { ...A } } }",
        "VALIDATION_FAILED",
    ),
    "the schema twice": ("{ a: __schema { description } b: __schema { description } }",
                         "INTROSPECTED_TWICE"),
    "a deep schema": (
        "{ __schema { types " + "{ fields { type " * 12 + "{ name }" + "} }" * 12 + " } }",
        "TOO_DEEP",
    ),
    "a directive of its own": ("{ __typename @tenant(id: 1) }", "VALIDATION_FAILED"),
    "a deferred part": ("{ ... @defer { __typename } }", "VALIDATION_FAILED"),
    "an unknown field": ("{ applications { edges { node { nationalId } } } }",
                         "VALIDATION_FAILED"),
    "a mutation": ("mutation { accept }", "OPERATION_NOT_OFFERED"),
    "a subscription": ("subscription { applications }", "OPERATION_NOT_OFFERED"),
    "two nameless operations": ("{ __typename } { __typename }", "OPERATION_UNKNOWN"),
    "no operation": ("fragment F on Loan { loanId }", "OPERATION_UNKNOWN"),
    "a type": ("type Query { a: Int }", "OPERATION_UNKNOWN"),
    "half a query": ("{ applications { ", "SYNTAX_INVALID"),
    "no GraphQL": ("SELECT * FROM applications", "SYNTAX_INVALID"),
    "a control character": ("{ \x00 }", "SYNTAX_INVALID"),
    "half a string": ('{ loan(loanId: "x) { loanId } }', "SYNTAX_INVALID"),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
async def test_an_attack_is_refused_before_it_runs(
    http: httpx.AsyncClient, bearer: Bearer, records: Any, attack: str
) -> None:
    """Nothing is read for it: records that fail would say so."""
    records.fails_with = AssertionError("it ran")
    query, code = ATTACKS[attack]
    headers = bearer("auditor")
    document = await ask(http, headers, query)
    assert set(codes(document)) == {code}
    assert "data" not in document
    assert len(document["errors"]) <= serving.MAX_ERRORS
    if code in limits.LIMITS:
        assert document["errors"][0]["extensions"]["limit"] == limits.LIMITS[code][0]
    asked = {**headers, "accept": f"{GRAPHQL_TYPE}, application/json;q=0.9"}
    answer = await http.post("/graphql", json={"query": query}, headers=asked)
    assert (answer.status_code, answer.headers["content-type"]) == (400, GRAPHQL_TYPE)
    assert answer.json() == document


@pytest.mark.parametrize(
    ("query", "cost"),
    [
        ("{ __typename }", 1),
        (SMALL, 1 + 1 + 20 + 20),  # the page, its edges, then a node and its state in each
        ("{ loans(first: 1) { edges { node { loanId } } } }", 4),
        ("{ loans(first: 50) { edges { node { loanId } } } }", 102),
        ("{ loan(loanId: 1) { application { offers { status } } } }", 1 + 1 + 1 + 10),
        ("{ __schema { types { name } } }", 1_000),
    ],
)
def test_a_query_weighs_the_fields_of_its_fullest_answer(query: str, cost: int) -> None:
    _, weighed = serving.check(serving.Question(query, None, {}), introspection=True)
    assert weighed == cost


@pytest.mark.parametrize(
    ("declared", "variables", "cost"),
    [
        ("$n: Int!", {"n": 7}, 16),
        ("$n: Int = 7", {}, 16),
        ("$n: Int = 7", {"n": 1}, 4),
        ("$n: Int!", {"n": 10**9}, 102),
        ("$n: Int!", {"n": "7"}, 102),
        ("$n: Int!", {"n": -1}, 102),
    ],
)
def test_a_variable_weighs_what_it_holds(
    declared: str, variables: dict[str, Any], cost: int
) -> None:
    """And what it cannot hold weighs as the most there may be."""
    query = f"query ({declared}) {{ loans(first: $n) {{ edges {{ node {{ loanId }} }} }} }}"
    _, weighed = serving.check(serving.Question(query, None, variables), introspection=True)
    assert weighed == cost


# What runs, and its errors.


async def test_one_of_several_operations_runs(http: httpx.AsyncClient, bearer: Bearer) -> None:
    query = "query One { a: __typename } query Two { b: __typename }"
    headers = bearer("support")
    both = await ask(http, headers, query, operationName="Two")
    assert both["data"] == {"b": "Query"}
    for name in (None, "Three"):
        assert codes(await ask(http, headers, query, operationName=name)) == ["OPERATION_UNKNOWN"]


MALFORMED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a page of none": ("{ loans(first: 0) { edges { cursor } } }", {}, "PAGE_SIZE"),
    "a page of less": ("{ loans(first: -1) { edges { cursor } } }", {}, "PAGE_SIZE"),
    "a page of many": ("{ loans(first: 51) { edges { cursor } } }", {}, "PAGE_SIZE"),
    "a cursor of nothing": ('{ loans(after: "x") { edges { cursor } } }', {}, "CURSOR_MALFORMED"),
    "a foreign cursor": (
        '{ loans(after: "YXBwXzAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw") { edges { cursor } } }',
        {}, "CURSOR_MALFORMED",
    ),
    "a filter with a zero byte": (
        "query ($s: String) { applications(state: $s) { edges { cursor } } }",
        {"s": "\x00"}, "FILTER_MALFORMED",
    ),
    "a filter that is SQL": (
        "query ($s: String) { applications(userId: $s) { edges { cursor } } }",
        {"s": "' OR true --"}, "FILTER_MALFORMED",
    ),
    "a missing variable": (
        "query ($s: ID!) { loan(loanId: $s) { loanId } }", {}, "VARIABLES_INVALID",
    ),
    "a variable of another type": (
        "query ($n: Int!) { loans(first: $n) { edges { cursor } } }", {"n": "secret"},
        "VARIABLES_INVALID",
    ),
    "a number beyond the type": (
        "query ($n: Int!) { loans(first: $n) { edges { cursor } } }", {"n": 10**30},
        "VARIABLES_INVALID",
    ),
    "no representation": (
        "query ($r: [_Any!]!) { _entities(representations: $r) { __typename } }",
        {"r": ["secret"]}, "REPRESENTATION_MALFORMED",
    ),
    "a representation of no entity": (
        "query ($r: [_Any!]!) { _entities(representations: $r) { __typename } }",
        {"r": [{"__typename": "Query", "info": "secret"}]}, "REPRESENTATION_MALFORMED",
    ),
    "a representation without its key": (
        "query ($r: [_Any!]!) { _entities(representations: $r) { __typename } }",
        {"r": [{"__typename": "Loan", "info": "secret", "loanId": 7}]},
        "REPRESENTATION_MALFORMED",
    ),
    "a typename that is a list": (
        "query ($r: [_Any!]!) { _entities(representations: $r) { __typename } }",
        {"r": [{"__typename": ["Loan"]}]}, "REPRESENTATION_MALFORMED",
    ),
    "many representations": (
        "query ($r: [_Any!]!) { _entities(representations: $r) { __typename } }",
        {"r": [{"__typename": "Loan", "loanId": "x"}] * 51}, "TOO_MANY_REPRESENTATIONS",
    ),
}  # fmt: skip


@pytest.mark.parametrize("malformed", MALFORMED)
async def test_a_malformed_argument_is_an_error_that_quotes_nothing(
    http: httpx.AsyncClient, bearer: Bearer, logged: list[Any], malformed: str
) -> None:
    query, variables, code = MALFORMED[malformed]
    document = await ask(http, bearer("auditor"), query, variables=variables)
    assert codes(document) == [code]
    assert "secret" not in str(document)
    assert [each for each in logged if each["log_level"] == "error"] == []


@pytest.mark.parametrize("one", ["x", "", "\x00", "loan_" + "0" * 32, "' OR true --"])
async def test_an_unknown_id_is_null(http: httpx.AsyncClient, bearer: Bearer, one: str) -> None:
    query = """query ($id: ID!) { application(applicationId: $id) { state }
      loan(loanId: $id) { loanId } person(userId: $id) { userId } }"""
    document = await ask(http, bearer("applicant"), query, variables={"id": one})
    assert "errors" not in document
    assert document["data"] == {"application": None, "loan": None, "person": None}


async def test_records_that_are_away_answer_503(
    http: httpx.AsyncClient, bearer: Bearer, records: Any
) -> None:
    records.fails_with = Unavailable("DATABASE_UNAVAILABLE", "zelda")
    answer = await http.post("/graphql", json={"query": SMALL}, headers=bearer("auditor"))
    assert "zelda" not in str(problem(answer, 503, "DATABASE_UNAVAILABLE"))
    assert answer.headers["retry-after"]


async def test_a_defect_is_logged_and_not_told(
    http: httpx.AsyncClient, bearer: Bearer, records: Any, logged: list[Any]
) -> None:
    records.fails_with = RuntimeError("zelda's secret")
    document = await ask(http, bearer("auditor"), SMALL)
    assert codes(document) == ["INTERNAL_ERROR"]
    assert document["data"] == {"applications": None}
    assert "zelda" not in str(document)
    assert [each["error"] for each in logged if each["event"] == "graphql_error"] == [
        "RuntimeError"
    ]


async def test_a_query_that_takes_too_long_is_ended(
    http: httpx.AsyncClient, bearer: Bearer, records: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = []

    async def slow(source: Any, page: Any) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(source.table)

    monkeypatch.setattr(serving, "DEADLINE_S", 0.05)
    monkeypatch.setattr(records, "page", slow, raising=False)
    answer = await http.post("/graphql", json={"query": SMALL}, headers=bearer("auditor"))
    problem(answer, 503, "QUERY_TOO_SLOW")
    assert ended == ["applications"]


# The schema.


async def test_tools_may_ask_for_the_schema(http: httpx.AsyncClient, bearer: Bearer) -> None:
    document = await ask(http, bearer("applicant"), get_introspection_query())
    assert "errors" not in document
    assert "Application" in build_client_schema(document["data"]).type_map


async def test_the_schema_can_be_kept_back(
    app: FastAPI, http: httpx.AsyncClient, bearer: Bearer
) -> None:
    app.state.services = replace(app.state.services, graphql_introspection=False)
    headers = bearer("applicant")
    for query in (
        get_introspection_query(),
        '{ __type(name: "Loan") { name } }',
        "{ ...F } fragment F on Query { s: __schema { description } }",
        "{ _service { sdl } }",
    ):
        assert codes(await ask(http, headers, query)) == ["INTROSPECTION_OFF"], query
    misspelt = await ask(http, headers, "{ applicatons { edges { cursor } } }")
    assert "applications" not in misspelt["errors"][0]["message"]
    assert (await ask(http, headers, "{ __typename }"))["data"] == {"__typename": "Query"}


async def test_a_router_finds_the_entities(http: httpx.AsyncClient, bearer: Bearer) -> None:
    document = await ask(http, bearer("integrator"), "{ _service { sdl } }")
    sdl = document["data"]["_service"]["sdl"]
    assert "https://specs.apollo.dev/federation/" in sdl
    for name, (key, _) in ENTITIES.items():
        assert f'type {name} @key(fields: "{key}")' in sdl
    union = SCHEMA.core.type_map["_Entity"]
    assert {each.name for each in union.types} == set(ENTITIES)


def test_the_schema_on_file_is_current() -> None:
    kept = (ROOT / "docs/graphql/schema.graphql").read_text("utf-8")
    assert kept == SCHEMA.as_str() + "\n", "python cli.py graphql-schema prints it"
    assert CliRunner().invoke(cli.app, ["graphql-schema"]).stdout == kept


def test_everything_in_the_schema_is_described() -> None:
    of_others = {"Query", "Int", "Float", "String", "Boolean", "ID"}
    undescribed = [
        f"{name}.{field}"
        for name, kind in SCHEMA.core.type_map.items()
        if not name.startswith(("_", "link__")) and name not in of_others
        for field, of in [("", kind), *getattr(kind, "fields", {}).items()]
        if not of.description
    ]
    assert undescribed == []


async def test_the_described_example_is_answered_as_described(
    app: FastAPI, http: httpx.AsyncClient, bearer: Bearer
) -> None:
    shown = app.openapi()["components"]["schemas"]["QuestionBody"]["examples"]
    assert shown == [QUESTION]
    document = await ask(http, bearer("applicant"), **QUESTION)
    assert document == {"data": {"application": None}, "extensions": ANSWER["extensions"]}
