"""The API's description: valid and complete; whether it is true is asked in tests/api."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from settings import Settings

METHODS = {"get", "post", "put", "patch", "delete"}
PUBLIC = {"/healthz", "/readyz", "/callbacks/{vendor}"}


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
    assert all(operation["summary"] for _, _, operation in operations(document))


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
            media = answer["content"]
            assert list(media) == ["application/problem+json"], (method, path, status)
            schema = media["application/problem+json"]["schema"]
            assert schema["required"] == ["type", "title", "status", "code"]
        if path.startswith("/api/v1"):
            needed = {"400", "401", "403", "404", "409", "413", "422", "503"}
            assert needed <= set(refused), (method, path)
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_writes_of_the_api_name_their_idempotency_key(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        if method == "get" or not path.startswith("/api/v1"):
            continue
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
