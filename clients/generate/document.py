"""The description that everything here is made of, and its operations as a client needs them."""

from __future__ import annotations

import base64
import keyword
import re
from dataclasses import dataclass
from typing import Any, Final

from api.app import create_app
from api.openapi import operations
from settings import Settings

# An answer that does not end is no answer of a function: clients read these with what fits them.
STREAMS: Final = "text/event-stream"
VERSION_HEADER: Final = "API-Version"
KEY_HEADER: Final = "Idempotency-Key"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A path, query or header parameter."""

    name: str
    place: str
    required: bool
    schema: dict[str, Any]
    description: str

    @property
    def argument(self) -> str:
        """Its name in Python."""
        return identifier(self.name)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: what is asked, sent and answered."""

    path: str
    method: str
    subject: str
    verb: str
    summary: str
    description: str
    parameters: tuple[Parameter, ...]
    body: dict[str, Any] | None  # the media type's object, JSON only
    body_required: bool
    answer: dict[str, Any] | None  # the schema of the answer in JSON; None without a body
    secured: bool
    document: dict[str, Any]


def published() -> dict[str, Any]:
    """The API's description, the same on every machine."""
    # No chain and no key of anybody's: the document depends on the code alone.
    nobodys = base64.b64encode(bytes(32)).decode()
    return create_app(Settings(master_keys={"none": nobodys})).openapi()


def read(document: dict[str, Any]) -> list[Operation]:
    """Its operations in their order, those that stream left out."""
    return [
        _operation(path, method, each)
        for path, method, each in operations(document)
        if not streams(each)
    ]


def identifier(name: str) -> str:
    """A name as Python has it."""
    made = re.sub(r"\W", "_", name).lower()
    return f"{made}_" if keyword.iskeyword(made) else made


def _operation(path: str, method: str, each: dict[str, Any]) -> Operation:
    subject, _, verb = each["operationId"].partition("_")
    body = each.get("requestBody", {})
    return Operation(
        path=path,
        method=method.upper(),
        subject=subject,
        verb=identifier(verb),
        summary=each["summary"],
        description=each["description"],
        parameters=tuple(
            Parameter(
                parameter["name"], parameter["in"], parameter.get("required", False),
                parameter["schema"], parameter["description"],
            )
            for parameter in each.get("parameters", ())
            if parameter["name"] != VERSION_HEADER
        ),
        body=body.get("content", {}).get("application/json"),
        body_required=body.get("required", False),
        answer=_answer(each),
        secured=bool(each.get("security")),
        document=each,
    )  # fmt: skip


def _answer(each: dict[str, Any]) -> dict[str, Any] | None:
    for status, answer in each["responses"].items():
        if status.startswith("2"):
            schema: dict[str, Any] | None = (
                answer.get("content", {}).get("application/json", {}).get("schema")
            )
            if schema is not None:
                return schema
    return None


def streams(each: dict[str, Any]) -> bool:
    """Whether the operation's answer does not end by itself."""
    return any(STREAMS in answer.get("content", {}) for answer in each["responses"].values())
