"""The API's description, completed: what FastAPI does not say by itself.

Operations are named by subject and verb (`applications_accept`), each refusal shows the problems it
may be, and the version that is described is a parameter with one value, so that a client made of
the document keeps to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute

from api.errors import MEDIA_TYPE, PROBLEM_SCHEMA
from api.problems import answered_by
from api.rate_costs import UNCOUNTED
from api.schemas.answer_examples import ANSWERS
from api.versions import HEADER, VERSIONED
from api.versions_changes import RETIRING_OPERATIONS, VERSIONS

METHODS: Final = ("get", "put", "post", "delete", "patch")

TAGS: Final = {
    "auth": "Sign in and out, and tokens.",
    "accounts": "People, service accounts and their keys.",
    "applications": "Apply for credit, follow it, answer, accept an offer, or withdraw.",
    "providers": "Whom a tenant borrows from, how they fare, and their credentials.",
    "offers": "Search lenders, compare what they offer, accept or reject.",
    "webhooks": "Have your systems told of events, and see to what they were not told.",
    "reviews": "What people have to decide, and what they do about it.",
    "graphql": "One read schema over applications and all that belongs to them.",
    "live": "What happens, as it happens.",
    "callbacks": "Signed callbacks from vendors.",
    "operators": "For the people who look after what runs.",
    "health": "Whether it is alive, and ready.",
}

_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "X-Request-Id": {
        "description": "The request's name in our logs; yours, if you sent a proper one.",
        "schema": {"type": "string", "pattern": r"^[A-Za-z0-9._\-]{8,64}$"},
    },
    "X-Correlation-Id": {
        "description": "What the request belongs to, in every log line and call that follows from "
        "it: yours, if you sent a proper one. Never put personal data into it.",
        "schema": {"type": "string", "pattern": r"^[A-Za-z0-9._\-]{8,64}$"},
    },
    "RateLimit": {
        "description": "The tightest of your limits: tokens left (`r`), seconds until all are back "
        "(`t`). Draft RateLimit fields of the IETF; a route may cost several tokens.",
        "schema": {"type": "string", "examples": ['"caller";r=590;t=1']},
    },
    "RateLimit-Policy": {
        "description": "Your limits: tokens (`q`) a window of seconds (`w`).",
        "schema": {"type": "string", "examples": ['"caller";q=600;w=60, "tenant";q=12000;w=60']},
    },
    HEADER: {
        "description": "The version the answer is written in.",
        "schema": {"type": "string", "format": "date"},
    },
    "Deprecation": {
        "description": "Since when the version or operation is superseded (RFC 9745).",
        "schema": {"type": "string", "pattern": r"^@[0-9]+$"},
    },
    "Sunset": {
        "description": "Until when it is served at least (RFC 8594).",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds to wait before the request is repeated.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate (RFC 6750).",
        "schema": {"type": "string"},
    },
}

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
_KEY: Final[dict[str, Any]] = {
    "type": "string",
    "minLength": 8,
    "maxLength": 128,
    "pattern": r"^[\x21-\x7e]{8,128}$",
    "examples": ["4f0f3a9e-6d5b-4c1e-8a36-0d2d9f6b7c11"],
}


class DescribedAPI(FastAPI):
    """An application whose description is complete."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made once."""
        if not self.openapi_schema:
            self.openapi_schema = complete(super().openapi())
        return self.openapi_schema


def operation_id(route: APIRoute) -> str:
    """Subject and verb: what clients call the operation."""
    tag = str(route.tags[0]) if route.tags else ""
    return f"{tag}_{route.name}" if tag else route.name


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """The framework's document with all that it does not know; changed in place."""
    document["info"]["license"] = {"name": "Apache License 2.0", "identifier": "Apache-2.0"}
    document["servers"] = [{"url": "/", "description": "The host this document came from."}]
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = PROBLEM_SCHEMA
    components["headers"] = _HEADERS
    for scheme in components.get("securitySchemes", {}).values():
        if scheme.get("scheme") == "bearer":
            scheme["bearerFormat"] = "JWT"
    for name, example in ANSWERS.items():
        if name in schemas:
            schemas[name]["examples"] = [example]
    used = set()
    for path, method, operation in operations(document):
        used |= set(operation.get("tags", ()))
        _complete(path, method, operation)
    document["tags"] = [
        {"name": name, "description": about} for name, about in TAGS.items() if name in used
    ]
    return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation: path, method in lower case, and what is said of it."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    versioned = path.startswith(VERSIONED)
    counted = path not in UNCOUNTED
    for parameter in operation.get("parameters", ()):
        if parameter["name"] == IDEMPOTENCY_KEY:
            # Optional to the framework alone: its absence has a problem of its own (400).
            parameter |= {"required": True, "schema": _KEY, "example": _KEY["examples"][0]}
    if versioned:
        operation.setdefault("parameters", []).append(_version_parameter())
    if (method.upper(), path) in RETIRING_OPERATIONS:
        operation["deprecated"] = True
    for status, answer in list(operation["responses"].items()):
        headers = ["X-Request-Id", "X-Correlation-Id"]
        headers += ["RateLimit", "RateLimit-Policy"] if counted else []
        headers += [HEADER, "Deprecation", "Sunset"] if versioned else []
        headers += ["Retry-After"] if status in ("429", "503") else []
        headers += ["WWW-Authenticate"] if status == "401" else []
        answer["headers"] = {
            name: {"$ref": f"#/components/headers/{name}"} for name in headers
        } | answer.get("headers", {})
        if problem := answer.get("content", {}).get(MEDIA_TYPE):
            published = answered_by(method, path, int(status))
            if not published:  # said of all routes of a module, and not true of this one
                del operation["responses"][status]
            problem["examples"] = {
                each.code: {
                    "summary": each.title, "description": each.advice, "value": each.example(),
                }
                for each in published
            }  # fmt: skip


def _version_parameter() -> dict[str, Any]:
    return {
        "name": HEADER,
        "in": "header",
        "required": False,
        "description": "The version the client was written for; without it, the newest. This "
        "document describes one.",
        "schema": {"type": "string", "enum": [VERSIONS.newest]},
        "example": VERSIONS.newest,
    }
