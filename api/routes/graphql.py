"""GraphQL: one question, read-only, with the rights its caller has everywhere else."""

from __future__ import annotations

from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Action
from api.deps import Caller, StrictRoute, Wired
from api.graphql.description import ANSWERED, DESCRIPTION, QUESTION
from api.graphql.limits import MAX_QUERY_CHARS
from api.graphql.serving import Question, answer

router = APIRouter(tags=["graphql"], route_class=StrictRoute)

# By GraphQL over HTTP: this type alone may have another status than 200.
GRAPHQL_TYPE: Final = "application/graphql-response+json"


class QuestionBody(BaseModel):
    """A GraphQL request; a list of them (a batch) is not read."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [QUESTION]}
    )

    query: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_QUERY_CHARS,
            description="The document, of at most 20,000 characters.",
        ),
    ]
    operation_name: Annotated[
        str | None,
        Field(
            alias="operationName",
            max_length=128,
            description="Which of the document's operations runs; needed if there are several.",
        ),
    ] = None
    variables: Annotated[
        dict[str, Any] | None, Field(description="Values of the operation's variables.")
    ] = None
    extensions: Annotated[
        dict[str, Any] | None, Field(description="Read by nobody here; clients send it.")
    ] = None


@router.post(
    "/graphql",
    summary="Ask by GraphQL",
    description=DESCRIPTION,
    responses=ANSWERED,
    response_class=Response,
)
async def ask(body: QuestionBody, request: Request, principal: Caller, wired: Wired) -> Response:
    """Ask for exactly what you need of what the product records."""
    principal.require(Action.READ_APPLICATION)
    question = Question(body.query, body.operation_name, body.variables or {})
    answered = await answer(
        question, wired.graph, principal, introspection=wired.graphql_introspection
    )
    asked_for = GRAPHQL_TYPE in request.headers.get("accept", "")
    return Response(
        orjson.dumps(answered.document),
        400 if asked_for and not answered.executed else 200,
        media_type=GRAPHQL_TYPE if asked_for else "application/json",
    )
