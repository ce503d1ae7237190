"""The Postman collection (format 2.1): every operation, with its example and a key of its own."""

from __future__ import annotations

import json
import re
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from clients.generate.document import KEY_HEADER, Operation, read
from settings import ROOT

COLLECTION: Final = ROOT / "docs" / "postman" / "credit-as-a-service.postman_collection.json"
SCHEMA: Final = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
_SCRIPT: Final = [
    "// A key of its own for each write; to repeat one, set idempotency_key_kept by hand.",
    'const kept = pm.collectionVariables.get("idempotency_key_kept");',
    'pm.variables.set("idempotency_key", kept || pm.variables.replaceIn("{{$guid}}"));',
]


def files(document: dict[str, Any]) -> dict[Path, str]:
    """The collection's file."""
    return {COLLECTION: json.dumps(collection(document), indent=2, ensure_ascii=False) + "\n"}


def collection(document: dict[str, Any]) -> dict[str, Any]:
    """The collection: a folder a subject, a request an operation."""
    abouts = {each["name"]: each["description"] for each in document["tags"]}
    ordered = sorted(read(document), key=lambda each: each.subject)
    return {
        "info": {
            "name": document["info"]["title"],
            "description": "Made of the API's description by `make client`. Set `base_url` and "
            "`token`; every write draws an `Idempotency-Key` of its own.",
            "schema": SCHEMA,
        },
        "auth": _bearer(),
        "event": [
            {
                "listen": "prerequest",
                "script": {"type": "text/javascript", "exec": _SCRIPT},
            }
        ],
        "variable": [
            {"key": "base_url", "value": "http://127.0.0.1:8080"},
            {"key": "token", "value": ""},
            {"key": "idempotency_key_kept", "value": ""},
        ],
        "item": [
            {
                "name": subject,
                "description": abouts.get(subject, ""),
                "item": [_request(each, document) for each in group],
            }
            for subject, group in groupby(ordered, key=lambda each: each.subject)
        ],
    }


def _bearer() -> dict[str, Any]:
    return {
        "type": "bearer",
        "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}],
    }


def _request(operation: Operation, document: dict[str, Any]) -> dict[str, Any]:
    path = re.sub(r"\{([^}]*)\}", r":\1", operation.path)
    query = [
        {"key": each.name, "value": "", "disabled": True, "description": each.description}
        for each in operation.parameters
        if each.place == "query"
    ]
    request: dict[str, Any] = {
        "method": operation.method,
        "description": operation.description,
        "header": _headers(operation),
        "url": {
            "raw": "{{base_url}}" + path,
            "host": ["{{base_url}}"],
            "path": path.lstrip("/").split("/"),
            "query": query,
            "variable": [
                {
                    "key": each.name,
                    "value": str((each.schema.get("examples") or [""])[0]),
                    "description": each.description,
                }
                for each in operation.parameters
                if each.place == "path"
            ],
        },
    }
    if not operation.secured:
        request["auth"] = {"type": "noauth"}
    if operation.body is not None:
        request["body"] = {
            "mode": "raw",
            "raw": json.dumps(_example(operation.body, document), indent=2, ensure_ascii=False),
            "options": {"raw": {"language": "json"}},
        }
    return {"name": operation.summary, "request": request, "response": []}


def _headers(operation: Operation) -> list[dict[str, str]]:
    headers = [
        {
            "key": each.name,
            "value": "{{idempotency_key}}"
            if each.name == KEY_HEADER
            else str((each.schema.get("examples") or [""])[0]),
            "description": each.description,
        }
        for each in operation.parameters
        if each.place == "header"
    ]
    if operation.body is not None:
        headers.append({"key": "Content-Type", "value": "application/json", "description": ""})
    return headers


def _example(media: dict[str, Any], document: dict[str, Any]) -> Any:
    schema = media["schema"]
    if name := schema.get("$ref", "").rpartition("/")[2]:
        schema = document["components"]["schemas"][name]
    shown = [each["value"] for each in media.get("examples", {}).values()]
    if "example" in media:
        shown.append(media["example"])
    return [*shown, *schema.get("examples", [{}])][0]
