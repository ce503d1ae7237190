"""GraphQL errors: a stable code in `extensions`, and nothing of what went on inside."""

from __future__ import annotations

from typing import Any, Final

import structlog
from graphql import GraphQLError

from api.errors import Problem
from models.domain.errors import CreditError

log = structlog.get_logger()

# Longer texts of the library quote whole values.
MESSAGE_CHARS: Final = 200


def refusal(code: str, message: str, **extensions: Any) -> GraphQLError:
    """An error with its code."""
    return GraphQLError(message, extensions={"code": code, **extensions})


def said(error: GraphQLError, code: str, message: str | None = None) -> GraphQLError:
    """What the library found wrong, in its place, with our code; `message` replaces its text."""
    if "code" in (error.extensions or {}):
        return error
    text = message or error.message[:MESSAGE_CHARS]
    return GraphQLError(
        text,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions={"code": code},
    )


def shown(error: GraphQLError) -> dict[str, Any]:
    """An error as it is answered; what was not meant for the caller is only logged."""
    if "code" not in (error.extensions or {}):
        error = _translated(error)
    return dict(error.formatted)


def _translated(error: GraphQLError) -> GraphQLError:
    cause = error.original_error
    if isinstance(cause, Problem):
        return said(error, cause.code, cause.title)
    if isinstance(cause, CreditError):
        # The whole answer is a refusal then (503): nobody reads this one.
        return said(error, cause.code, "It could not be read.")
    if cause is None or isinstance(cause, GraphQLError):
        # Of the library itself, which quotes what was sent.
        return said(error, "VARIABLES_INVALID", "A variable is missing, or not of its type.")
    log.error("graphql_error", error=type(cause).__name__, path=error.path, exc_info=cause)
    return said(error, "INTERNAL_ERROR", "Something went wrong on our side.")
