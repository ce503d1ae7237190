"""What every counterparty's HTTP server does alike: start, read strictly, refuse plainly."""

from __future__ import annotations

import argparse
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import uvicorn
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from adapters.strict_json import parse_object
from sandbox.counterparties.answers import Refusal
from sandbox.counterparties.journal import Journal
from sandbox.counterparties.misbehaviour import answer_as_told, connection_at_hand
from sandbox.counterparties.steering import Steering, steering_of

Endpoint = Callable[[Request], Awaitable[Response]]
Build = Callable[[Mapping[str, Any], Path], Starlette]

_MAX_BODY_BYTES: Final = 65_536
_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")


class Message(BaseModel):
    """A request's or a configuration's shape: exact types, no unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


M = TypeVar("M", bound=BaseModel)


def run(description: str, build: Build) -> None:
    """Parse the command line, build the application from its configuration, serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--config", type=Path, required=True, help="JSON file with its settings")
    parser.add_argument("--log", type=Path, required=True, help="JSONL file it appends to")
    arguments = parser.parse_args()
    config = parse_object(arguments.config.read_bytes())
    uvicorn.run(
        steerable(config, arguments.log, build),
        host=arguments.host,
        port=arguments.port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=2,
    )


def steerable(config: Mapping[str, Any], log: Path, build: Build) -> ASGIApp:
    """The application of this configuration; a `steering_secret` in it makes it steerable."""
    settings = dict(config)
    secret = settings.pop("steering_secret", None)
    app = build(settings, log)
    if secret is not None:
        Steering(secret, log.with_suffix(".steering.json")).attach(app)
    return connection_at_hand(app)


def route(journal: Journal, method: str, path: str, endpoint: Endpoint) -> Route:
    """A route whose requests and refusals are recorded under the idempotency key.

    It answers as the counterparty was told to (steering.py), whatever the endpoint is.
    """
    name = f"{method} {path}"

    async def recorded(request: Request) -> Response:
        key = _recorded_key(request)
        journal.request(name, key)
        steering = steering_of(request)
        rule = await steering.rule_for(name, request) if steering else None
        if rule is None:
            return await answered(request)
        journal.write("steered", key, endpoint=name, rule=rule.id)
        return await answer_as_told(rule.do, request, answered)

    async def answered(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Refusal as refusal:
            key = _recorded_key(request)
            journal.write("refused", key, endpoint=name, status=refusal.status, code=refusal.code)
            return JSONResponse(
                {"code": refusal.code, "message": refusal.message},
                refusal.status,
                headers=refusal.headers,
            )

    return Route(path, recorded, methods=[method])


def _recorded_key(request: Request) -> str:
    key = request.headers.get("idempotency-key", "")
    return key if _KEY.fullmatch(key) else ""


async def healthz(_: Request) -> Response:
    """Readiness: it answers as soon as the counterparty can serve."""
    return JSONResponse({"status": "ok"})


def idempotency_key(request: Request) -> str:
    """The caller's key; Refusal 400 if it is missing or no printable ASCII."""
    key = request.headers.get("idempotency-key", "")
    if _KEY.fullmatch(key) is None:
        raise Refusal(400, "IDEMPOTENCY_KEY_MISSING")
    return key


async def body_of(request: Request) -> bytes:
    """The request's body, at most 64 KiB."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > _MAX_BODY_BYTES:
            raise Refusal(413, "BODY_TOO_LARGE")
    return bytes(raw)


async def message_of(request: Request, model: type[M]) -> tuple[M, dict[str, Any]]:
    """The request's JSON as a message, and as it came; Refusal 400 names the field."""
    try:
        body = parse_object(await body_of(request))
        return model.model_validate(body), body
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise Refusal(400, "REQUEST_MALFORMED", f"field {field}") from None
    except ValueError as error:
        raise Refusal(400, "REQUEST_MALFORMED", str(error)) from None


def require_secret(presented: str | None, expected: str) -> None:
    """Refusal 401 unless the caller presented exactly the expected credential."""
    given = (presented or "").encode("utf-8", "surrogateescape")
    if not hmac.compare_digest(given, expected.encode("utf-8")):
        raise Refusal(401, "UNAUTHENTICATED", www_authenticate="Bearer")
