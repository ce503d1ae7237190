"""The three stores, each with a clock that a test moves."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from adapters.postgres.database import Database
from adapters.rate_limit.memory import MemoryTokenStore
from adapters.rate_limit.postgres import PostgresTokenStore
from adapters.rate_limit.valkey import ValkeyTokenStore
from adapters.vault import Keyring, new_key
from models.domain.quota import TokenStore
from sandbox.services.state_dir import hold
from sandbox.services.valkey import Valkey
from sandbox.stack import Stack
from settings import ROOT

STORES = ("memory", "postgres", "valkey")


@dataclass
class Clock:
    """Microseconds that pass when a test says so; starts at a time of our century."""

    now_us: int = 1_790_000_000_000_000

    def __call__(self) -> int:
        return self.now_us

    def pass_s(self, seconds: float) -> None:
        self.now_us += round(seconds * 1_000_000)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def valkey() -> AsyncIterator[Valkey]:
    """A cache for these tests alone."""
    state_dir = ROOT / ".run" / f"valkey-{os.getpid()}"
    with hold(state_dir):
        server = Valkey(state_dir)
        try:
            await server.start()
            yield server
        finally:
            await server.stop()
    shutil.rmtree(state_dir, ignore_errors=True)


@pytest_asyncio.fixture(loop_scope="session")
async def buckets(stack: Stack) -> AsyncIterator[Database]:
    """The stack's database under the application's role."""
    database = await Database.connect(
        stack.database_url("app"), Keyring({"v1": new_key()}), max_size=4
    )
    yield database
    await database.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture(loop_scope="session")
async def store(
    request: pytest.FixtureRequest, clock: Clock, valkey: Valkey, buckets: Database
) -> AsyncIterator[TokenStore]:
    """The store a test is run against."""
    match request.param:
        case "memory":
            yield MemoryTokenStore(clock)
        case "postgres":
            yield PostgresTokenStore(buckets, timeout_s=5, clock=clock)
        case _:
            kept = ValkeyTokenStore(valkey.url, timeout_s=5, clock=clock)
            yield kept
            await kept.close()
