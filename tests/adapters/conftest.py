"""Counterparties on real loopback HTTP, each in a thread of its own, and what adapters need."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from adapters.http import HTTPClient, new_client
from models.domain.application import Address, Applicant, IdentityDocument
from sandbox.counterparties import (
    bank,
    bureau,
    fintech,
    identity_vendor,
    notifier,
    pool_underwriter,
    soap_bank,
)
from sandbox.counterparties.serving import steerable

BUILDERS = {
    "bank": bank.build,
    "bureau": bureau.build,
    "fintech": fintech.build,
    "identity_vendor": identity_vendor.build,
    "notifier": notifier.build,
    "pool_underwriter": pool_underwriter.build,
    "soap_bank": soap_bank.build,
}


class Served:
    """A running server; `stop` ends it, and nothing else does."""

    def __init__(self, app: ASGIApp) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(app, log_level="critical", access_log=False)
        config.timeout_graceful_shutdown = 1
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started and time.monotonic() < deadline:
            time.sleep(0.005)
        assert self._server.started

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=60)
        self._socket.close()
        assert not self._thread.is_alive()


class Counterparty(Served):
    """A simulated counterparty with its configuration and its own log."""

    def __init__(self, name: str, config: dict[str, Any], log: Path) -> None:
        self.name, self.config, self.log = name, config, log
        super().__init__(steerable(config, log, BUILDERS[name]))

    def lines(self, kind: str) -> list[dict[str, Any]]:
        """What the counterparty wrote of that kind."""
        written = self.log.read_text("utf-8").splitlines()
        return [line for line in map(json.loads, written) if line["kind"] == kind]


@pytest.fixture
def serve() -> Iterator[Callable[[Starlette], Served]]:
    running: list[Served] = []

    def start(app: Starlette) -> Served:
        running.append(Served(app))
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def counterparty(tmp_path: Path) -> Iterator[Callable[..., Counterparty]]:
    """Start a counterparty by name; the same name again is its restart, with the same log."""
    running: list[Counterparty] = []

    def start(name: str, **config: Any) -> Counterparty:
        running.append(Counterparty(name, config, tmp_path / f"{name}.jsonl"))
        return running[-1]

    yield start
    for server in running:
        if server._thread.is_alive():
            server.stop()


@pytest.fixture
async def client() -> AsyncIterator[HTTPClient]:
    async with new_client() as client:
        yield client


@pytest.fixture
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    """A client that bounds nothing, for requests our own would not make."""
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Wait until a condition holds; fail after a minute."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.01)

    return wait


@pytest.fixture
def applicant() -> Callable[..., Applicant]:
    """An invented person; the document's number and the national id steer the counterparties."""

    def make(document: str = "P1234567", national_id: str = "100-10-0001") -> Applicant:
        return Applicant(
            given_name="Zelda",
            family_name="Quillfeather",
            born_on="1990-04-05",
            email="zelda@example.org",
            national_id=national_id,
            address=Address("1 Heron Street", "Springfield", "62701", "US"),
            document=IdentityDocument("passport", document, "US"),
            annual_income_minor=8_000_000,
            employment_months=60,
        )

    return make


@pytest.fixture
def secret_token() -> str:
    return secrets.token_urlsafe(24)
