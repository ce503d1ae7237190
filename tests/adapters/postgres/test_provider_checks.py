"""The checker: pauses who fails, brings back who recovers, and tells each change once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from adapters.postgres.leadership import Task
from adapters.providers.health import CheckPlan, ProviderHealthChecker
from models.domain.errors import Unavailable
from models.domain.ids import PLATFORM
from models.domain.provider import ProviderStatus
from tests.adapters.postgres.registering import Registry, configured
from tests.adapters.providers.plain_lender import PlainLender

pytestmark = pytest.mark.stack

ACTIVE, INACTIVE, MAINTENANCE = ProviderStatus


class Checks:
    """Rounds of a checker, one after the other."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.harbour = registry.configured[0].provider
        assert isinstance(self.harbour, PlainLender)
        self.checker = ProviderHealthChecker(
            registry.lending.relay, registry.health, registry.upkeep, registry.opened(),
            registry.configured, CheckPlan(interval_s=0.05, concurrency=2, deadline_s=0.1),
        )  # fmt: skip

    async def rounds(self, count: int) -> None:
        async with self.registry.lending.relay.session() as session:
            for _ in range(count):
                await self.checker.round(session)

    async def status(self, tenant: str, provider_id: str) -> ProviderStatus:
        found = await self.registry.desk.find(tenant, provider_id)
        return found.standing.health.status


@pytest_asyncio.fixture(loop_scope="session")
async def checks(lending: Any) -> AsyncIterator[Checks]:
    yield Checks(Registry(lending, configured=(configured(),)))
    await lending.execute("DELETE FROM provider_health WHERE provider_id = 'harbour'")
    await lending.execute("UPDATE providers SET removed_at = now() WHERE removed_at IS NULL")


async def test_it_is_paused_and_brought_back_with_hysteresis(checks: Checks) -> None:
    registry, tenant = checks.registry, checks.registry.lending.tenant()
    own = await registry.register(tenant)
    await checks.rounds(1)
    lender = registry.lenders.of(own.provider_id)
    seen = []
    for fails, count in ((True, 3), (False, 2)):
        lender.fails_with = Unavailable("UPSTREAM_UNREACHABLE") if fails else None
        for _ in range(count):
            await checks.rounds(1)
            seen.append(await checks.status(tenant, own.provider_id))
    assert seen == [ACTIVE, ACTIVE, INACTIVE, INACTIVE, ACTIVE]
    assert await registry.lending.published(tenant) == [
        "provider.connected",
        "provider.error",
        "provider.status_changed", "provider.disconnected",
        "provider.status_changed", "provider.connected",
    ]  # fmt: skip
    keys = await registry.lending.rows("SELECT key FROM outbox WHERE tenant_id = $1", tenant)
    assert {row["key"] for row in keys} == {own.provider_id}
    history = await registry.desk.history(tenant, own.provider_id)
    assert [(each.to_status, each.actor, each.reason) for each in history] == [
        (ACTIVE, "provider-health", "CHECKS_PASSED"),
        (INACTIVE, "provider-health", "CHECKS_FAILED"),
    ]


async def test_a_lenders_own_maintenance_begins_at_once_and_ends_by_checks(checks: Checks) -> None:
    registry, tenant = checks.registry, checks.registry.lending.tenant()
    own = await registry.register(tenant)
    await checks.rounds(1)
    lender = registry.lenders.of(own.provider_id)
    lender.status = MAINTENANCE
    await checks.rounds(1)
    assert await checks.status(tenant, own.provider_id) is MAINTENANCE
    lender.status = ACTIVE
    await checks.rounds(2)
    assert await checks.status(tenant, own.provider_id) is ACTIVE
    history = await registry.desk.history(tenant, own.provider_id)
    assert [each.set_by for each in history] == ["checker", "lender"]


async def test_a_persons_maintenance_is_left_alone(checks: Checks) -> None:
    registry, tenant = checks.registry, checks.registry.lending.tenant()
    own = await registry.register(tenant)
    await registry.change(own, status=MAINTENANCE)
    await checks.rounds(5)
    assert await checks.status(tenant, own.provider_id) is MAINTENANCE
    found = await registry.desk.find(tenant, own.provider_id)
    assert found.standing.checked_at is not None


async def test_configured_ones_are_checked_for_everybody(checks: Checks) -> None:
    tenant = checks.registry.lending.tenant()
    checks.harbour.fails_with = Unavailable("UPSTREAM_UNREACHABLE")
    await checks.rounds(3)
    assert await checks.status(tenant, "harbour") is INACTIVE
    assert "provider.status_changed" in await checks.registry.lending.published(PLATFORM)
    checks.harbour.fails_with = None


async def test_who_hangs_or_breaks_fails_alone(checks: Checks) -> None:
    registry, tenant = checks.registry, checks.registry.lending.tenant()
    broken, fine, locked = [await registry.register(tenant) for _ in range(3)]
    await registry.lending.execute(
        "UPDATE provider_credentials SET wrapped_key = '\\x00' WHERE provider_id = $1",
        locked.provider_id,
    )

    async def hangs() -> None:
        await asyncio.sleep(3_600)

    await checks.rounds(1)
    registry.lenders.of(broken.provider_id).fails_with = RuntimeError("a bug")
    checks.harbour.get_status = hangs  # type: ignore[method-assign, assignment]
    await checks.rounds(3)
    statuses = [await checks.status(tenant, each.provider_id) for each in (broken, fine, locked)]
    assert statuses == [INACTIVE, ACTIVE, INACTIVE]
    assert await checks.status(tenant, "harbour") is INACTIVE
    codes = await registry.lending.rows(
        "SELECT data->>'code' AS code FROM outbox WHERE type = 'provider.error' AND key = ANY($1)",
        [broken.provider_id, locked.provider_id],
    )
    assert {row["code"] for row in codes} == {"PROVIDER_FAILED", "PROVIDER_NOT_READY"}


async def test_one_process_checks_at_a_time_until_it_is_told_to_stop(checks: Checks) -> None:
    registry, tenant = checks.registry, checks.registry.lending.tenant()
    own = await registry.register(tenant)
    stop = asyncio.Event()
    async with registry.lending.relay.session() as elsewhere:
        assert await elsewhere.lock(Task.CHECK_PROVIDERS)
        running = asyncio.create_task(checks.checker.run(stop))
        await asyncio.sleep(0.2)
        found = await registry.desk.find(tenant, own.provider_id)
        assert found.standing.checked_at is None
    async with asyncio.timeout(60):
        while True:
            found = await registry.desk.find(tenant, own.provider_id)
            if found.standing.checked_at is not None:
                break
            await asyncio.sleep(0.05)
    stop.set()
    await running
    assert registry.lenders.of(own.provider_id).disconnected
