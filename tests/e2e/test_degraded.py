"""Services pulled away one after the other: what still works, what is put off, what is kept.

The API under test has a database, a Temporal server and a cache of its own, so that nobody else's
are pulled away.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import asyncpg
import httpx
import pytest
import pytest_asyncio

from adapters.postgres.schema import migrate
from sandbox.borrower import Borrower
from sandbox.services.ports import free_port
from sandbox.services.postgres import Postgres
from sandbox.services.process import ManagedProcess
from sandbox.services.state_dir import hold
from sandbox.services.temporal import TemporalServer
from sandbox.services.valkey import Valkey
from settings import ROOT
from tests.e2e.outside import World, eventually

pytestmark = pytest.mark.stack

METRICS_TOKEN = "a-token-for-numbers"


@dataclass
class Own:
    """An API with services of its own."""

    postgres: Postgres
    temporal: TemporalServer
    valkey: Valkey
    http: httpx.AsyncClient
    world: World

    async def ready(self) -> tuple[int, list[str]]:
        """The status of /readyz, and what it says is missing."""
        answer = await self.http.get("/readyz")
        return answer.status_code, answer.json()["missing"]

    def person(self) -> Borrower:
        return replace(self.world.person(), http=self.http)

    async def apply(self, person: Borrower, key: str) -> httpx.Response:
        headers = {**person.headers(), "Idempotency-Key": key}
        return await self.http.post(
            "/api/v1/applications", json=person.application_body(), headers=headers
        )

    async def unstarted(self) -> set[str]:
        """Applications that wait to be started."""
        connection = await asyncpg.connect(self.postgres.dsn("caas"))
        try:
            rows = await connection.fetch("SELECT application_id FROM start_intents")
            return {row["application_id"] for row in rows}
        finally:
            await connection.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own(world: World) -> AsyncIterator[Own]:
    state = ROOT / ".run" / f"degraded-{os.getpid()}"
    with hold(state):
        postgres, valkey = Postgres(state, durable=False), Valkey(state)
        temporal = TemporalServer(state, headless=True)
        api: ManagedProcess | None = None
        try:
            await postgres.start()
            await valkey.start()
            await temporal.start()
            administrator = await asyncpg.connect(postgres.dsn())
            await administrator.execute("CREATE ROLE caas_owner LOGIN CREATEROLE PASSWORD 'o'")
            await administrator.execute("CREATE DATABASE caas OWNER caas_owner")
            await migrate(postgres.dsn("caas", "caas_owner", "o"))
            await administrator.execute("ALTER ROLE caas_app LOGIN PASSWORD 'a'")
            await administrator.close()
            port = free_port()
            api = _api(world, port, postgres, temporal, valkey)
            await api.start()
            url = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=180) as http:

                async def answers() -> bool:
                    try:
                        return (await http.get("/healthz")).is_success
                    except httpx.HTTPError:
                        return False

                await api.ready(answers, 60)
                yield Own(postgres, temporal, valkey, http, world)
        finally:
            if api is not None:
                await api.terminate()
            await temporal.stop()
            await valkey.stop()
            await postgres.stop()
    shutil.rmtree(state, ignore_errors=True)


def _api(
    world: World, port: int, postgres: Postgres, temporal: TemporalServer, valkey: Valkey
) -> ManagedProcess:
    ours = {
        "CAAS_API__PORT": str(port),
        "CAAS_API__METRICS_TOKEN": METRICS_TOKEN,
        "CAAS_DATABASE__APP_URL": postgres.dsn("caas", "caas_app", "a"),
        "CAAS_TEMPORAL__ADDRESS": temporal.address,
        "CAAS_CACHE__URL": valkey.url,
    }
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("CAAS_")}
    return ManagedProcess(
        "degraded-api",
        [sys.executable, "-m", "api"],
        state_dir=postgres._state_dir,
        env={**inherited, **world.stack.environment(), **ours},
        inherit_env=False,
        cwd=ROOT,
    )


async def test_services_pulled_away_one_after_the_other(own: Own) -> None:
    """One story, for starting services is what takes time."""
    assert await own.ready() == (200, [])
    person = own.person()
    first = await own.apply(person, "first-key")
    assert first.status_code == 202, first.text
    await _cache_away(own, person, first)
    accepted = await _temporal_away(own)
    await _database_away(own, person, accepted)
    await _numbers(own)


async def _cache_away(own: Own, person: Borrower, first: httpx.Response) -> None:
    """Served all the same; what protects money never was in the cache."""
    await own.valkey.kill()
    await eventually("readiness tells of the cache", lambda: _missing(own, ["cache"]))
    again = await own.apply(person, "first-key")
    assert again.status_code == 422  # another proof, so another body under the same key
    body = first.request.content
    headers = {**person.headers(), "Idempotency-Key": "first-key",
               "content-type": "application/json"}  # fmt: skip
    repeated = await own.http.post("/api/v1/applications", content=body, headers=headers)
    assert (repeated.status_code, repeated.content) == (202, first.content)
    shown = await own.http.get(first.headers["location"], headers=person.headers())
    assert shown.status_code == 200
    # Counted all the same, by this process alone.
    assert re.fullmatch(r'"caller";r=\d+;t=\d+', shown.headers["ratelimit"])
    await own.valkey.start()
    await eventually("the cache is back", lambda: _missing(own, []))


async def _temporal_away(own: Own) -> str:
    """Accepts and stores; who messages a workflow is told to come back, and soon."""
    await own.temporal.kill()
    await eventually("readiness tells of Temporal", lambda: _missing(own, ["temporal"]))
    person = own.person()
    accepted = await own.apply(person, "while-away")
    assert accepted.status_code == 202, accepted.text
    application_id: str = accepted.json()["application_id"]
    assert application_id in await own.unstarted()
    answer = await own.http.post(
        f"/api/v1/applications/{application_id}/withdraw",
        json={},
        headers={**person.headers(), "Idempotency-Key": "while-away-too"},
    )
    assert (answer.status_code, answer.json()["code"]) == (503, "TEMPORAL_UNAVAILABLE")
    assert int(answer.headers["retry-after"]) > 0
    return application_id


async def _database_away(own: Own, person: Borrower, application_id: str) -> None:
    """Refused with a word of when to come back; nothing that was accepted is lost."""
    await own.postgres.kill()
    await eventually("readiness tells of both", lambda: _missing(own, ["database", "temporal"]))
    ready = await own.http.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert (await own.http.get("/healthz")).status_code == 204
    path = f"/api/v1/applications/{application_id}"
    asked = await own.http.get(path, headers=person.headers())
    applied = await own.apply(person, "without-database")
    for answer in (asked, applied):
        assert (answer.status_code, answer.json()["code"]) == (503, "DATABASE_UNAVAILABLE")
        assert int(answer.headers["retry-after"]) > 0
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-correlation-id"])
    await own.postgres.start()
    await eventually("the database is back", lambda: _missing(own, ["temporal"]))
    assert application_id in await own.unstarted()
    assert (await own.apply(person, "without-database")).status_code == 202


async def _numbers(own: Own) -> None:
    """What all that looked like to Prometheus, and that it is for the token's holder alone."""
    for headers in ({}, {"authorization": "Bearer wrong"}):
        refused = await own.http.get("/metrics", headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (401, "UNAUTHENTICATED")
    text = (
        await own.http.get("/metrics", headers={"authorization": f"Bearer {METRICS_TOKEN}"})
    ).text
    assert re.search(
        r'service_request_total\{method="POST",route="/api/v1/applications",status="503"\} 1.0',
        text,
    )
    assert "app_" not in text
    assert re.search(r'database_connection_pool_size\{state="idle"\} \d', text)


async def _missing(own: Own, names: list[str]) -> bool:
    status, missing = await own.ready()
    assert (status == 503) == ("database" in missing)
    return missing == names
