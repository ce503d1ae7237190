"""The gateway's baseline: bare FastAPI and asyncpg, doing the same transaction.

Two endpoints read one application by the product's own statement in a transaction of one tenant,
and answer the same document. Nobody is asked for a token; nothing is limited, counted or named.
The web server has the product's options.

    /bare     as the documentation of both has it: a pool, a transaction, an answer with its type
    /by-hand  as fast as it goes: in as few messages as the product sends, the answer put together
              by hand and written by orjson, with nothing left to FastAPI but to find the endpoint

`python -m bench.bare_api PORT` reads the database's address from `BARE_DATABASE_URL`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import orjson
import uvicorn
from fastapi import FastAPI, HTTPException
from fastapi.responses import Response

from adapters.postgres.application_views import EVERYTHING
from api.schemas.application_answers import ApplicationAnswer
from api.server import KEEP_ALIVE_S

URL_VARIABLE: Final = "BARE_DATABASE_URL"
TENANT: Final = "acme"
_PLAIN: Final = (
    "application_id", "user_id", "amount_minor", "currency", "term_months", "purpose", "wallet",
    "chain_id", "stage", "state",
)  # fmt: skip
_OF_OFFER: Final = (
    "offer_id", "provider_id", "status", "amount_minor", "currency", "term_months",
    "nominal_rate_bps", "apr_bps", "fee_minor", "monthly_payment_minor", "total_repayable_minor",
)  # fmt: skip
_DECISIONS: Final = {None: None, "allow": "approve"}


def create_app(database_url: str) -> FastAPI:
    """The application; its pool is opened when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            asyncpg.create_pool(database_url, min_size=1, max_size=10, init=_speak_json) as bare,
            asyncpg.create_pool(
                database_url, min_size=1, max_size=10, init=_speak_json, reset=_as_it_is
            ) as by_hand,
        ):
            app.state.bare, app.state.by_hand = bare, by_hand
            yield

    app = FastAPI(lifespan=lifespan, openapi_url=None)

    @app.get("/bare/{application_id}")
    async def bare(application_id: str) -> ApplicationAnswer:
        async with app.state.bare.acquire() as connection, connection.transaction():
            await connection.execute("SELECT set_config('app.tenant_id', $1, true)", TENANT)
            row = await connection.fetchrow(EVERYTHING, TENANT, application_id)
        if row is None:
            raise HTTPException(404)
        return ApplicationAnswer(**_document(row))

    @app.get("/by-hand/{application_id}")
    async def by_hand(application_id: str) -> Response:
        async with app.state.by_hand.acquire() as connection:
            await connection.execute(f"BEGIN; SELECT set_config('app.tenant_id', '{TENANT}', true)")
            row = await connection.fetchrow(EVERYTHING, TENANT, application_id)
            await connection.execute("COMMIT")
        if row is None:
            return Response(status_code=404)
        document = orjson.dumps(_document(row), option=orjson.OPT_UTC_Z)
        return Response(document, media_type="application/json")

    return app


def _document(row: Any) -> dict[str, Any]:
    """An application that has offers and no loan yet."""
    return {
        **{name: row[name] for name in _PLAIN},
        "reasons": [],
        "identity": row["identity"],
        "decision": _DECISIONS[row["decision"]],
        "score": row["score"],
        "score_reasons": [
            {
                "code": each["code"],
                "text": each["text"],
                "impact_points": round(each["impact_points"], 1),
            }
            for each in row["score_reasons"]
        ],
        "offers": [_offer(each) for each in row["offers"]],
        "missing_offers": list(row["missing"] or ()),
        "accepted_offer_id": row["accepted_offer_id"],
        "transaction": None,
        "loan": None,
        "information_requests": [],
        "notice": None,
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


def _offer(row: Any) -> dict[str, Any]:
    return {
        **{name: row[name] for name in _OF_OFFER},
        "total_cost_minor": row["total_repayable_minor"] - row["amount_minor"],
        "terms_hash": row["terms_hash"],
        "terms": {name: str(value) for name, value in row["terms"].items()},
        "chain_id": row["chain_id"],
        "aggregator": row["aggregator"],
        "expires_at": row["expires_at"],
    }


async def _speak_json(connection: Any) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + json.dumps(value).encode(),
        decoder=lambda data: orjson.loads(data[1:]),
        format="binary",
    )


async def _as_it_is(_: Any) -> None:
    """Nothing to undo after a transaction; asking for it would cost as much again."""


def main() -> None:
    """Serve until SIGTERM."""
    config = uvicorn.Config(
        create_app(os.environ[URL_VARIABLE]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
