"""What the API's description says of GraphQL."""

from __future__ import annotations

from typing import Any, Final

from api.errors import refusals
from api.graphql.limits import (
    ASSUMED_LENGTH,
    INTROSPECTION_COST,
    LIMITS,
    MAX_INTROSPECTION_DEPTH,
    MAX_REPRESENTATIONS,
    PAGE_DEFAULT,
    PAGE_MAX,
)
from api.schemas import examples

QUESTION: Final[dict[str, Any]] = {
    "query": "query Follow($id: ID!) { application(applicationId: $id) { state amountMinor "
    "offers { providerId aprBps } transaction { settlementState txHash } loan { loanId } } }",
    "operationName": "Follow",
    "variables": {"id": examples.APPLICATION_ID},
}
ANSWER: Final[dict[str, Any]] = {
    "data": {
        "application": {
            "state": "offers_ready",
            "amountMinor": 500_000,
            "offers": [{"providerId": "bank-a", "aprBps": 1250}],
            "transaction": None,
            "loan": None,
        }
    },
    "extensions": {"cost": {"requested": 29, "limit": 5_000}},
}

DESCRIPTION: Final = (
    "One read schema over applications, offers, assessments, loans, compliance and payments. You "
    "see what you see by the other paths: applicants their own records, staff those of their "
    "tenant, and fields that are for some roles answer `NOT_ALLOWED` in their place to others. An "
    "answer shows one moment. Lists come in pages (Relay's connections): `first` is 1 to "
    f"{PAGE_MAX}, {PAGE_DEFAULT} unless given. A router of a federation finds `_service` and "
    f"`_entities` (at most {MAX_REPRESENTATIONS} representations).\n\n"
    "A query is refused before any of it runs when it goes beyond a limit; the error's "
    "`extensions.code` names it:\n\n| code | at most |\n|---|---|\n"
    + "\n".join(f"| `{code}` | {limit} {what} |" for code, (limit, what) in LIMITS.items())
    + f"\n\nThe fullest answer has `first` of a page and {ASSUMED_LENGTH} of any other list; its "
    "size comes back as `extensions.cost`. The schema is asked for once in a request, at most "
    f"{MAX_INTROSPECTION_DEPTH} levels deep, for a cost of {INTROSPECTION_COST}. One request asks "
    "one question: a list of them is refused, and so is GET.\n\n"
    "Errors of a query come with status 200; for `Accept: application/graphql-response+json` a "
    "query of which nothing was run has status 400. `extensions.code` is stable: besides the "
    "limits `SYNTAX_INVALID`, `VALIDATION_FAILED`, `OPERATION_UNKNOWN`, `OPERATION_NOT_OFFERED`, "
    "`VARIABLES_INVALID`, `INTROSPECTION_OFF`, `INTROSPECTED_TWICE`, `NOT_ALLOWED`, `PAGE_SIZE`, "
    "`CURSOR_MALFORMED`, `FILTER_MALFORMED`, `TOO_MANY_REPRESENTATIONS`, "
    "`REPRESENTATION_MALFORMED` and `INTERNAL_ERROR`."
)

_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["message", "extensions"],
    "properties": {
        "message": {"type": "string", "description": "For people; may change."},
        "path": {
            "type": "array",
            "description": "The field it stands in the place of.",
            "items": {"type": ["string", "integer"]},
        },
        "locations": {
            "type": "array",
            "description": "Where in the query.",
            "items": {
                "type": "object",
                "properties": {
                    "line": {"type": "integer", "description": "From 1."},
                    "column": {"type": "integer", "description": "From 1."},
                },
            },
        },
        "extensions": {
            "type": "object",
            "required": ["code"],
            "description": "What machines read.",
            "properties": {"code": {"type": "string", "description": "Stable."}},
        },
    },
}
_RESPONSE: Final[dict[str, Any]] = {
    "type": "object",
    "title": "GraphQLResponse",
    "description": "A response of GraphQL.",
    "properties": {
        "data": {
            "type": ["object", "null"],
            "description": "What was asked for; absent if nothing was run.",
        },
        "errors": {
            "type": "array",
            "description": "What could not be answered, and why.",
            "items": _ERROR,
        },
        "extensions": {"type": "object", "description": "The query's cost, and its limit."},
    },
}
_CONTENT: Final = {"schema": {**_RESPONSE, "examples": [ANSWER]}}

ANSWERED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The answer, or the errors of a query that was refused.",
        "content": {
            "application/json": _CONTENT,
            "application/graphql-response+json": _CONTENT,
        },
    },
    400: {
        **refusals(400)[400],
        "content": {
            **refusals(400)[400]["content"],
            "application/graphql-response+json": {"schema": _RESPONSE},
        },
    },
}
