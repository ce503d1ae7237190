"""From a request to its answer: parsed, weighed, validated, then run on one moment's records."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    specified_rules,
    validate,
)

from api.auth import Principal
from api.deps import PostgresGraph
from api.graphql.context import Reading
from api.graphql.limits import MAX_COST, Weighing, parse_bounded
from api.graphql.refusals import refusal, said, shown
from api.graphql.schema import SCHEMA
from models.domain.errors import Unavailable

# The longest a query runs: beyond it the answer is 503, like that of a database that is away.
DEADLINE_S: Final = 5.0
MAX_ERRORS: Final = 10


@dataclass(frozen=True, slots=True)
class Question:
    """A GraphQL request as it was sent."""

    query: str
    operation_name: str | None
    variables: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answered:
    """The response document; `executed` is false when nothing of the query was run."""

    document: dict[str, Any]
    executed: bool


async def answer(
    question: Question, graph: PostgresGraph, principal: Principal, *, introspection: bool
) -> Answered:
    """The answer to a question; Unavailable when the records are away, or it takes too long."""
    try:
        document, cost = check(question, introspection=introspection)
    except GraphQLError as error:
        return Answered({"errors": [shown(error)]}, executed=False)
    except Invalid as invalid:
        return Answered({"errors": [shown(each) for each in invalid.errors]}, executed=False)
    try:
        async with (
            asyncio.timeout(DEADLINE_S),
            Reading.open(graph, principal, document) as reading,
        ):
            result = await SCHEMA.execute(
                question.query,
                variable_values=dict(question.variables),
                context_value=reading,
                operation_name=question.operation_name,
            )
            if reading.outage is not None:
                raise reading.outage
    except TimeoutError as error:
        raise Unavailable("QUERY_TOO_SLOW", f"beyond {DEADLINE_S} s") from error
    given: dict[str, Any] = {}
    errors = result.errors or []
    if errors:
        given["errors"] = [shown(each) for each in errors[:MAX_ERRORS]]
    if result.data is not None or any(each.path for each in errors):
        given["data"] = result.data
    given["extensions"] = {"cost": {"requested": cost, "limit": MAX_COST}}
    return Answered(given, executed="data" in given)


class Invalid(Exception):
    """The document is GraphQL, but no query of this schema."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__("VALIDATION_FAILED")
        self.errors = errors


def check(question: Question, *, introspection: bool) -> tuple[DocumentNode, int]:
    """The document and its cost; raises GraphQLError or Invalid, before anything of it runs."""
    try:
        document = parse_bounded(question.query)
    except GraphQLSyntaxError as error:
        raise said(error, "SYNTAX_INVALID", "The query is not GraphQL.") from None
    operation = _operation(document, question.operation_name)
    weighing = Weighing(SCHEMA.core, document, question.variables)
    cost = weighing.weigh(operation)
    if weighing.introspections and not introspection:
        raise refusal("INTROSPECTION_OFF", "The schema is not asked for here.")
    errors = validate(
        SCHEMA.core,
        document,
        specified_rules,
        max_errors=MAX_ERRORS,
        hide_suggestions=not introspection,
    )
    if errors:
        raise Invalid([said(each, "VALIDATION_FAILED") for each in errors[:MAX_ERRORS]])
    return document, cost


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """The operation that runs: the named one, or the only one there is."""
    operations = [
        each for each in document.definitions if isinstance(each, OperationDefinitionNode)
    ]
    named = [each for each in operations if name is None or (each.name and each.name.value == name)]
    if len(named) != 1:
        raise refusal("OPERATION_UNKNOWN", "Name one operation of the query.")
    if named[0].operation is not OperationType.QUERY:
        raise refusal("OPERATION_NOT_OFFERED", "Queries only: nothing is written by GraphQL.")
    return named[0]
