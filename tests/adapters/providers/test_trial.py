"""Trying a provider names the step that fails, in bounded time, against real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from activities.ports.credit_provider import CreditProvider
from adapters.egress import LOOPBACK, EgressPolicy
from adapters.providers import trial
from adapters.providers.opened import ProviderNotReady
from adapters.providers.trial import Step, try_provider
from models.domain.errors import Permanent
from models.domain.provider import ProviderStatus
from sandbox.services.ports import free_port
from tests.adapters.providers.plain_lender import PlainLender

SANDBOX = EgressPolicy(LOOPBACK, frozenset(), plain_http=True)


def opens(lender: PlainLender) -> Callable[[], Awaitable[CreditProvider]]:
    async def opened() -> CreditProvider:
        return lender

    return opened


async def tried(url: str, lender: PlainLender, policy: EgressPolicy = SANDBOX) -> tuple[Step, ...]:
    return await try_provider(url, policy, opens(lender))


@pytest.fixture
def lender() -> PlainLender:
    return PlainLender("plain", "key")


@pytest.fixture
async def listening() -> Any:
    """A socket that takes connections and says nothing."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_every_step_of_a_lender_that_is_well_passes(
    listening: int, lender: PlainLender
) -> None:
    steps = await tried(f"http://127.0.0.1:{listening}", lender)
    assert [(each.name, each.passed, each.reason) for each in steps] == [
        ("resolve", True, None), ("reach", True, None), ("authenticate", True, None),
        ("status", True, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "passed", "reason"),
    [
        (ProviderStatus.MAINTENANCE, True, "IN_MAINTENANCE"),
        (ProviderStatus.INACTIVE, False, "NOT_SERVING"),
    ],
)
async def test_a_status_is_told(
    listening: int, lender: PlainLender, status: ProviderStatus, *, passed: bool, reason: str
) -> None:
    lender.status = status
    last = (await tried(f"http://127.0.0.1:{listening}", lender))[-1]
    assert (last.name, last.passed, last.reason) == ("status", passed, reason)


async def test_an_address_that_may_not_be_reached_fails_at_once(lender: PlainLender) -> None:
    for url in ("https://10.1.2.3/", "https://[fd00::1]/"):
        steps = await tried(url, lender)
        assert [(each.name, each.reason) for each in steps] == [("resolve", "ADDRESS_NOT_ALLOWED")]


async def test_a_name_that_leads_inside_is_refused(
    lender: PlainLender, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def inside(*_: Any) -> list[dict[str, Any]]:
        return [{"host": "192.168.0.7", "port": 443}]

    monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", inside)
    [only] = await tried("https://bank.example", lender, EgressPolicy())
    assert (only.name, only.reason) == ("resolve", "ADDRESS_NOT_ALLOWED")


async def test_a_name_nobody_has_is_told(
    lender: PlainLender, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nowhere(*_: Any) -> Any:
        raise socket.gaierror

    monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", nowhere)
    [only] = await tried("https://bank.example", lender)
    assert (only.name, only.reason) == ("resolve", "NAME_UNKNOWN")


async def test_nobody_there_is_told(lender: PlainLender) -> None:
    last = (await tried(f"http://127.0.0.1:{free_port()}", lender))[-1]
    assert (last.name, last.reason) == ("reach", "UNREACHABLE")


async def test_no_tls_where_tls_is_asked_for_is_told(listening: int, lender: PlainLender) -> None:
    last = (await tried(f"https://127.0.0.1:{listening}", lender))[-1]
    assert (last.name, last.passed) == ("reach", False)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Permanent("CREDENTIALS_REFUSED"), "CREDENTIALS_REFUSED"),
        (ProviderNotReady("plain", "CREDENTIALS_MISSING"), "PROVIDER_NOT_READY"),
        (RuntimeError("a bug"), "ADAPTER_FAILED"),
    ],
    ids=["refused", "not ready", "broken"],
)
async def test_who_is_not_let_in_is_told(
    listening: int, lender: PlainLender, error: Exception, reason: str
) -> None:
    lender.fails_with = error
    last = (await tried(f"http://127.0.0.1:{listening}", lender))[-1]
    assert (last.name, last.reason) == ("authenticate", reason)


async def test_each_step_is_bounded(
    listening: int, lender: PlainLender, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs() -> None:
        await asyncio.sleep(3_600)

    monkeypatch.setattr(trial, "STEP_S", 0.05)
    monkeypatch.setattr(lender, "connect", hangs)
    last = (await tried(f"http://127.0.0.1:{listening}", lender))[-1]
    assert (last.name, last.reason) == ("authenticate", "TIMED_OUT")
