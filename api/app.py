"""The FastAPI application: one screen that says what is served and by whom."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from api.description import describe
from api.errors import install, problem_response, refusals
from api.front_door import FrontDoor
from api.openapi import DescribedAPI, operation_id
from api.routes import (
    accounts,
    applicants,
    applications,
    auth,
    callbacks,
    codec,
    graphql,
    health,
    live,
    offers,
    providers,
    reviews,
    webhooks,
)
from api.versions import VersionHeaders
from api.versions_changes import RETIRING_OPERATIONS, VERSIONS
from settings import Settings, TemporalSettings, settings_or_exit
from wiring import api_services

# What the routes of each module may be refused with, beyond what they answer themselves.
REFUSALS: Final = (
    (applications.router, (400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503)),
    (applicants.router, (400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503)),
    (providers.router, (400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503)),
    (offers.router, (400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503)),
    (webhooks.router, (400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503)),
    (reviews.router, (400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503)),
    (auth.router, (400, 401, 403, 408, 409, 413, 415, 422, 429, 500, 503)),
    (accounts.router, (400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503)),
    (graphql.router, (400, 401, 403, 408, 413, 415, 422, 429, 500, 503)),
    (live.router, (400, 401, 403, 404, 410, 413, 422, 429, 500, 503)),
    (callbacks.router, (400, 401, 404, 408, 413, 422, 429, 500, 503)),
    (codec.router, (400, 401, 403, 408, 413, 415, 422, 429, 500, 503)),
    (health.router, (400, 500)),
    (health.numbers, (400, 401, 404, 500)),
)

_DOCS_PAGE: Final = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<title>Credit-as-a-Service API</title><link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head><body><div id="swagger-ui"></div><script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script></body></html>"""

_DOCS_START: Final = (
    'SwaggerUIBundle({url:"/openapi.json",dom_id:"#swagger-ui",deepLinking:true,'
    "presets:[SwaggerUIBundle.presets.apis]});"
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; its services are connected when it starts and closed when it ends."""
    settings = settings or settings_or_exit(os.environ)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with api_services(settings) as services:
            app.state.services = services
            door.open(services)
            yield

    app = DescribedAPI(
        title="Credit-as-a-Service",
        version="0.1.0",
        description=describe(settings.chain),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=operation_id,
        # A path has one spelling: a redirect to another one would name whatever host and scheme
        # the request named, and clients would follow it with their token.
        redirect_slashes=False,
    )
    app.state.web_ui = _web_ui(settings.temporal)
    for router, statuses in REFUSALS:
        app.include_router(router, responses=refusals(*statuses))
    app.include_router(codec.pages)
    _serve_docs(app)
    install(app)
    app.add_middleware(VersionHeaders, versions=VERSIONS, retiring_operations=RETIRING_OPERATIONS)
    door = FrontDoor.surround(app, settings)
    return app


def _web_ui(temporal: TemporalSettings) -> str | None:
    """Where the Temporal Web UI lists our workflows; None where no setting says so."""
    origin = temporal.ui_origin
    return f"{origin}/namespaces/{temporal.namespace}/workflows" if origin else None


def _serve_docs(app: FastAPI) -> None:
    """API pages from this host alone: no script of anybody else's."""
    assets = str(files("fastapi_offline") / "static")
    app.mount("/docs/assets", StaticFiles(directory=assets), name="docs-assets")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(_DOCS_PAGE)

    @app.get("/docs/start.js", include_in_schema=False)
    async def start() -> Response:
        return Response(_DOCS_START, media_type="text/javascript")

    @app.get("/", include_in_schema=False)
    async def root(_: Request) -> Response:
        return problem_response(404, "NOT_FOUND", "The API is at /api/v1, its pages at /docs.")
