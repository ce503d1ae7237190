"""The table of endpoints says what the application serves, no more and no less."""

from __future__ import annotations

import base64
import re
from typing import Final

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount, WebSocketRoute

from api.app import create_app
from settings import ROOT, Settings

TABLES: Final = ROOT / "docs" / "endpoints.md"
SERVICES: Final = (
    "API Gateway", "Provider Integration", "Risk Assessment", "Compliance",
    "Smart Contract Orchestration",
)  # fmt: skip
SPECIFIED: Final = 55

Endpoint = tuple[str, str]


def served(app: FastAPI) -> set[Endpoint]:
    """What the application answers: method and path, `WS` for WebSockets."""
    found: set[Endpoint] = set()
    for context in iter_route_contexts(app.routes):
        route = getattr(context, "original_route", context)
        path = _path(str(context.path))
        if isinstance(route, WebSocketRoute):
            found.add(("WS", path))
        elif isinstance(route, Mount):
            found.add(("GET", path))
        else:
            # HEAD comes with GET; it is no endpoint of its own.
            found |= {(method, path) for method in (context.methods or ()) if method != "HEAD"}
    return found


def rows(columns: int) -> list[list[str]]:
    """The rows of the table with so many columns, its head left out."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in TABLES.read_text("utf-8").splitlines()
        if line.startswith("| ")
    ]
    return [row for row in cells if len(row) == columns][1:]


def endpoint(text: str) -> Endpoint:
    """`GET /path` in backquotes."""
    method, path = text.strip("`").split(" ")
    return method, _path(path)


def _path(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(Settings(master_keys={"v1": base64.b64encode(b"k" * 32).decode()}))


def told(*, to_come: bool) -> set[Endpoint]:
    """The endpoints the tables call served, or still to come."""
    specified = {endpoint(row[2]) for row in rows(5) if (row[4] != "served") == to_come}
    return specified if to_come else specified | {endpoint(row[1]) for row in rows(3)}


def test_what_is_called_served_is_what_is_served(app: FastAPI) -> None:
    missing, untold = told(to_come=False) - served(app), served(app) - told(to_come=False)
    assert (missing, untold) == (set(), set()), "bring docs/endpoints.md up to date"


def test_nothing_to_come_is_answered_yet(app: FastAPI) -> None:
    assert told(to_come=True) & served(app) == set(), "docs/endpoints.md says these are to come"


def test_every_specified_endpoint_is_there_once_with_its_service() -> None:
    assert len({endpoint(row[1]) for row in rows(5)}) == SPECIFIED
    assert len(rows(5)) == len({endpoint(row[2]) for row in rows(5)}) == SPECIFIED
    for service, *_, state in rows(5):
        assert service in SERVICES
        assert state in ("served", f"to come with {service}")


def test_a_row_that_lies_would_be_found(app: FastAPI) -> None:
    answered = served(app)
    assert ("POST", "/api/v1/applications") in answered
    assert ("GET", "/api/v1/applications/{}") in answered
    assert ("GET", "/docs/assets") in answered
    assert ("GET", "/api/v1/applications") not in answered
