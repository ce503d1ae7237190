"""The API's description: valid and complete; whether it is true is asked in tests/api."""

from __future__ import annotations

import asyncio
import base64
import copy
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.app import create_app
from api.versions import HEADER
from api.versions_changes import VERSIONS
from settings import Settings

METHODS = {"get", "post", "put", "patch", "delete"}
PUBLIC = {
    "/auth/login",
    "/auth/refresh",
    "/auth/register",
    "/.well-known/jwks.json",
    "/healthz",
    "/readyz",
    "/callbacks/{vendor}",
}


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(Settings(master_keys={"v1": base64.b64encode(b"k" * 32).decode()}))


@pytest.fixture(scope="module")
def document(app: FastAPI) -> dict[str, Any]:
    """The document as a client gets it."""

    async def fetch() -> dict[str, Any]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            answer = await client.get("/openapi.json")
            fetched: dict[str, Any] = answer.json()
            return fetched

    with asyncio.Runner() as runner:
        return runner.run(fetch())


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                yield path, method, operation


def test_it_is_openapi_3_1_and_describes_the_main_door(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert {(path, method) for path, method, _ in operations(document)} >= {
        ("/api/v1/applications", "post"),
        ("/api/v1/applications/{application_id}", "get"),
        ("/api/v1/applications/{application_id}/accept", "post"),
        ("/api/v1/reviews", "get"),
        ("/api/v1/reviews/{review_id}/decision", "post"),
        ("/callbacks/{vendor}", "post"),
        ("/codec/decode", "post"),
    }


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for inner in node.values():
                yield from references(inner)
        elif isinstance(node, list):
            for inner in node:
                yield from references(inner)

    found = set(references(document))
    assert found
    for reference in found:
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_operations_have_ids_of_their_own(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))


def test_every_operation_has_words_of_its_own(document: dict[str, Any]) -> None:
    assert unnamed(document) == []


def test_everything_in_it_is_described(document: dict[str, Any]) -> None:
    assert undescribed(document) == []


def test_every_body_has_an_example(document: dict[str, Any]) -> None:
    assert without_example(document) == []
    assert len([each for _, _, each in operations(document) if "requestBody" in each]) == 32


def test_it_is_valid(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()
    broken = {**document, "paths": {"/x": {"get": 7}}}
    assert list(OpenAPIV31SpecValidator(broken).iter_errors())


def test_it_says_where_it_is_served_and_how_to_authenticate(document: dict[str, Any]) -> None:
    assert document["servers"] == [{"url": "/", "description": "The host this document came from."}]
    assert document["info"]["license"]["identifier"] == "Apache-2.0"
    for scheme in document["components"]["securitySchemes"].values():
        assert scheme["type"] == "http"
        assert scheme["bearerFormat"] == "JWT"


def test_every_tag_is_described_and_every_operation_has_one(document: dict[str, Any]) -> None:
    described = {each["name"]: each["description"] for each in document["tags"]}
    assert all(described.values())
    for path, method, operation in operations(document):
        assert operation["tags"], (method, path)
        assert set(operation["tags"]) <= set(described), (method, path)
        subject, _, verb = operation["operationId"].partition("_")
        assert (subject, bool(verb)) == (operation["tags"][0], True)


def test_every_answer_and_body_has_an_example_that_fits(document: dict[str, Any]) -> None:
    resolver = {"components": document["components"]}
    shown = 0
    for path, method, operation in operations(document):
        contents = [
            answer.get("content", {})
            for status, answer in operation["responses"].items()
            if status < "300"
        ]
        for content in [*contents, operation.get("requestBody", {}).get("content", {})]:
            if (media := content.get("application/json")) is None:
                continue
            schema = media["schema"]
            if name := schema.get("$ref", "").rpartition("/")[2]:
                schema = document["components"]["schemas"][name]
            examples = [*schema.get("examples", []), *media.get("examples", {}).values()]
            assert examples, (method, path, name)
            for example in examples:
                OAS31Validator({**schema, **resolver}).validate(example)
                shown += 1
    assert shown >= 20


def test_the_described_version_is_the_newest(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        named = [each for each in operation.get("parameters", ()) if each["name"] == HEADER]
        assert len(named) == path.startswith("/api/v1/"), (method, path)
        assert all(each["schema"]["enum"] == [VERSIONS.newest] for each in named)


def unnamed(document: dict[str, Any]) -> list[str]:
    """Operations whose summary is not written down: the framework makes one of its function.

    So it makes the operation's id, which is why one begins or ends with the other.
    """
    found = []
    for path, method, operation in operations(document):
        summary, identifier = operation.get("summary", ""), operation["operationId"]
        named = summary.lower().replace(" ", "_")
        made = identifier.startswith(f"{named}_") or identifier.endswith(f"_{named}")
        if not summary or made or not operation.get("description"):
            found.append(f"{method} {path}")
    return found


def undescribed(document: dict[str, Any]) -> list[str]:
    """Where a parameter, an answer, a body or a field of one says nothing of what it means."""
    found = []
    for path, method, operation in operations(document):
        place = f"{method} {path}"
        for parameter in operation.get("parameters", ()):
            if not parameter.get("description"):
                found.append(f"{place} {parameter['name']}")
        for status, answer in operation["responses"].items():
            if answer.get("description") in (None, "", "Successful Response"):
                found.append(f"{place} {status}")
            found += fields_undescribed(answer.get("content", {}), f"{place} {status}")
        found += fields_undescribed(operation.get("requestBody", {}), f"{place} body")
    for name, schema in document["components"]["schemas"].items():
        if not schema.get("description"):
            found.append(name)
        found += fields_undescribed(schema, name)
    return found


def fields_undescribed(node: Any, place: str) -> Iterator[str]:
    """Properties without a description, in this schema and all within it."""
    if isinstance(node, dict):
        if isinstance(properties := node.get("properties"), dict):
            for name, field in properties.items():
                if not field.get("description"):
                    yield f"{place}.{name}"
        for name, inner in node.items():
            if name not in ("example", "examples"):
                yield from fields_undescribed(inner, f"{place}.{name}")
    elif isinstance(node, list):
        for index, inner in enumerate(node):
            yield from fields_undescribed(inner, f"{place}.{index}")


def without_example(document: dict[str, Any]) -> list[str]:
    """Operations that show no example of the body they read."""
    found = []
    for path, method, operation in operations(document):
        for media in operation.get("requestBody", {}).get("content", {}).values():
            schema = media["schema"]
            if name := schema.get("$ref", "").rpartition("/")[2]:
                schema = document["components"]["schemas"][name]
            if not (media.get("examples") or media.get("example") or schema.get("examples")):
                found.append(f"{method} {path}")
    return found


APPLY = ("paths", "/api/v1/applications", "post")
SPOILED: dict[str, tuple[tuple[Any, ...], Callable[[dict[str, Any]], list[str]], str]] = {
    "a summary": ((*APPLY, "summary"), unnamed, "post /api/v1/applications"),
    "a parameter": (
        ("paths", "/api/v1/reviews/{review_id}/decision", "post", "parameters", 0, "description"),
        undescribed, "post /api/v1/reviews/{review_id}/decision review_id",
    ),
    "an answer": (
        (*APPLY, "responses", "202", "description"), undescribed, "post /api/v1/applications 202",
    ),
    "a schema": (
        ("components", "schemas", "WalletBody", "description"), undescribed, "WalletBody",
    ),
    "a field of a body": (
        ("components", "schemas", "WalletBody", "properties", "issued_at", "description"),
        undescribed, "WalletBody.issued_at",
    ),
    "a field that refers to another schema": (
        ("components", "schemas", "ApplicationBody", "properties", "wallet", "description"),
        undescribed, "ApplicationBody.wallet",
    ),
    "a field of an answer": (
        ("components", "schemas", "LoanAnswer", "properties", "apr_bps", "description"),
        undescribed, "LoanAnswer.apr_bps",
    ),
    "a field of a callback": (
        ("paths", "/callbacks/{vendor}", "post", "requestBody", "content", "application/json",
         "schema", "properties", "verdict", "description"),
        undescribed, "post /callbacks/{vendor} body.content.application/json.schema.verdict",
    ),
    "a field of a refusal": (
        ("components", "schemas", "Problem", "properties", "errors", "items", "properties",
         "reason", "description"),
        undescribed, "Problem.properties.errors.items.reason",
    ),
    "an example of an application": (
        ("components", "schemas", "ApplicationBody", "examples"),
        without_example, "post /api/v1/applications",
    ),
    "an example of a callback": (
        ("paths", "/callbacks/{vendor}", "post", "requestBody", "content", "application/json",
         "schema", "examples"),
        without_example, "post /callbacks/{vendor}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SPOILED)
def test_what_is_left_out_would_be_found(document: dict[str, Any], what: str) -> None:
    (*path, last), check, place = SPOILED[what]
    spoiled = copy.deepcopy(document)
    node: Any = spoiled
    for part in path:
        node = node[part]
    del node[last]
    assert check(spoiled) == [place]


def test_a_summary_the_framework_made_would_be_found() -> None:
    bare = FastAPI()

    @bare.get("/x")
    async def some_thing() -> None:
        """Described, but not named."""

    assert bare.openapi()["paths"]["/x"]["get"]["summary"] == "Some Thing"
    assert unnamed(bare.openapi()) == ["get /x"]


def test_all_but_the_public_paths_ask_for_a_token(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    for path, method, operation in operations(document):
        asked = [name for each in operation.get("security", []) for name in each]
        assert bool(asked) == (path not in PUBLIC), (method, path)
        assert all(schemes[name] == {**schemes[name], "type": "http", "scheme": "bearer"}
                   for name in asked)  # fmt: skip


def test_refusals_are_problem_documents(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        refused = {
            status: answer for status, answer in operation["responses"].items() if status >= "400"
        }
        for status, answer in refused.items():
            if (path, status) == ("/readyz", "503"):
                continue  # says what is missing, in the shape of its other answer
            media = dict(answer["content"])
            if (path, status) == ("/graphql", "400"):
                media.pop("application/graphql-response+json")  # by GraphQL over HTTP
            assert list(media) == ["application/problem+json"], (method, path, status)
            schema = media["application/problem+json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Problem"}
        if path.startswith("/api/v1"):
            needed = {"400", "401", "403", "404", "413", "422", "503"}
            needed |= {"409"} if method != "get" else set()
            needed |= {"415"} if method in ("post", "put") else set()
            assert needed <= set(refused), (method, path)
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_writes_of_the_api_name_their_idempotency_key(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        if method == "get" or not path.startswith("/api/v1"):
            continue
        if path == "/api/v1/offers/search":
            continue  # repeating a search is harmless
        headers = {each["name"] for each in operation["parameters"] if each["in"] == "header"}
        assert "Idempotency-Key" in headers, (method, path)


def test_bodies_refuse_unknown_fields(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    bodies = [name for name in schemas if name.endswith("Body")]
    assert {"ApplicationBody", "AcceptBody", "DecisionBody"} <= set(bodies)
    for name in bodies:
        assert schemas[name]["additionalProperties"] is False, name


def test_the_pages_are_not_part_of_it(document: dict[str, Any]) -> None:
    paths = set(document["paths"])
    assert not any(path.startswith(("/console", "/docs")) for path in paths)
