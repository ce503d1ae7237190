"""The directory: who is asked for a loan, who is not and why, and replacing what is in use."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from adapters.providers.opened import ProviderNotReady
from adapters.vault import Keyring
from models.domain.ids import PLATFORM
from models.domain.provider import Appetite, ProviderStatus
from models.domain.provider_record import ProviderRecord
from tests.adapters.postgres.registering import Registry, configured

pytestmark = pytest.mark.stack

AWAY = {"PROVIDER_PAUSED", "PROVIDER_IN_MAINTENANCE", "PROVIDER_NOT_READY"}


@pytest_asyncio.fixture(loop_scope="session")
async def registry(lending: Any) -> Registry:
    return Registry(lending, configured=(configured(),))


async def asked(registry: Registry, tenant: str, **changes: Any) -> tuple[set[str], dict[str, str]]:
    """Who is asked for a loan, and why others are not."""
    found = await registry.directory.eligible(registry.asking(tenant, **changes))
    # Who does not lend this never will; who is away may be asked later.
    assert all(each.passing == (each.reason in AWAY) for each in found.missing)
    names = {each.provider_id for each in found.providers}
    return names, {each.provider_id: each.reason for each in found.missing}


async def out(registry: Registry, record: ProviderRecord, status: str, by: str) -> None:
    """Another status, as a check or a person would have set it."""
    await registry.lending.execute(
        "UPDATE provider_health SET status = $2, set_by = $3 WHERE provider_id = $1",
        record.provider_id, status, by,
    )  # fmt: skip


async def test_configured_the_platforms_and_ones_own_are_asked(registry: Registry) -> None:
    tenant, neighbour = registry.lending.tenant(), registry.lending.tenant()
    shared, own = await registry.register(PLATFORM), await registry.register(tenant)
    await registry.register(neighbour)
    assert await asked(registry, tenant) == ({"harbour", shared.provider_id, own.provider_id}, {})
    await registry.remove(shared)


@pytest.mark.parametrize(
    ("status", "reason"),
    [("INACTIVE", "PROVIDER_PAUSED"), ("MAINTENANCE", "PROVIDER_IN_MAINTENANCE")],
)
async def test_who_is_out_is_missing_with_the_reason_and_found_all_the_same(
    registry: Registry, status: str, reason: str
) -> None:
    tenant = registry.lending.tenant()
    own = await registry.register(tenant)
    await out(registry, own, status, "checker")
    names, missing = await asked(registry, tenant)
    assert (own.provider_id in names, missing[own.provider_id]) == (False, reason)
    found = await registry.directory.find(tenant, own.provider_id)
    assert found is not None
    assert found.provider_id == own.provider_id


@pytest.mark.parametrize(
    ("appetite", "loan", "reason"),
    [
        ({"countries": ["DE"]}, {}, "COUNTRY_NOT_SERVED"),
        ({"currencies": ["EUR"]}, {}, "CURRENCY_NOT_SERVED"),
        ({"max_amount_minor": 499_999}, {}, "AMOUNT_TOO_HIGH"),
        ({"min_amount_minor": 500_001}, {}, "AMOUNT_TOO_LOW"),
        ({"min_term_months": 37}, {}, "TERM_TOO_SHORT"),
        ({"max_term_months": 35}, {}, "TERM_TOO_LONG"),
        ({}, {"currency": "GBP"}, "CURRENCY_NOT_SERVED"),  # the adapter's own
    ],
    ids=str,
)
async def test_who_does_not_lend_this_is_missing_with_the_reason(
    registry: Registry, appetite: dict[str, Any], loan: dict[str, Any], reason: str
) -> None:
    tenant = registry.lending.tenant()
    own = await registry.register(tenant, appetite=appetite)
    names, missing = await asked(registry, tenant, **loan)
    assert (own.provider_id in names, missing[own.provider_id]) == (False, reason)


async def test_configured_ones_are_paused_by_their_health_too(registry: Registry) -> None:
    tenant = registry.lending.tenant()
    await registry.lending.execute(
        "INSERT INTO provider_health (tenant_id, provider_id, status, set_by, reason, failures,"
        " successes) VALUES ('platform', 'harbour', 'INACTIVE', 'checker', 'CHECKS_FAILED', 3, 0)"
    )
    try:
        assert await asked(registry, tenant) == (set(), {"harbour": "PROVIDER_PAUSED"})
        assert await registry.directory.find(tenant, "harbour") is not None
    finally:
        await registry.lending.execute("DELETE FROM provider_health WHERE provider_id = 'harbour'")


async def test_without_credentials_it_is_not_ready(registry: Registry) -> None:
    tenant = registry.lending.tenant()
    own = await registry.register(tenant, key=None)
    _, missing = await asked(registry, tenant)
    assert missing[own.provider_id] == "PROVIDER_NOT_READY"
    with pytest.raises(ProviderNotReady, match="CREDENTIALS_MISSING"):
        await registry.directory.find(tenant, own.provider_id)
    await registry.rotate(own, "here")
    registry.later()
    assert own.provider_id in (await asked(registry, tenant))[0]


async def test_what_no_key_opens_is_not_ready_and_names_no_secret(lending: Any) -> None:
    registry = Registry(lending)
    tenant = lending.tenant()
    own = await registry.register(tenant)
    stranger = Registry(replace(lending, keyring=Keyring({"v9": b"x" * 32})))
    with pytest.raises(ProviderNotReady) as refused:
        await stranger.directory.find(tenant, own.provider_id)
    assert refused.value.why == "KEY_UNKNOWN"
    assert stranger.lenders.opened == []


async def test_nobody_finds_a_strangers_provider(registry: Registry) -> None:
    mine, theirs = registry.lending.tenant(), registry.lending.tenant()
    own = await registry.register(mine)
    assert await registry.directory.find(theirs, own.provider_id) is None
    assert await registry.directory.find(mine, "prv_" + "0" * 32) is None


@pytest.mark.parametrize("role", ["app", "chain", "relay"])
async def test_every_role_that_needs_lenders_finds_them(registry: Registry, role: str) -> None:
    tenant = registry.lending.tenant()
    shared, own = await registry.register(PLATFORM), await registry.register(tenant)
    directory = registry.directory_of(role)
    for record in (shared, own):
        assert await directory.find(tenant, record.provider_id) is not None
    await registry.remove(shared)


async def test_a_removed_one_is_asked_no_more_and_still_found(registry: Registry) -> None:
    tenant = registry.lending.tenant()
    shared = await registry.register(PLATFORM)
    await registry.remove(shared)
    registry.later()
    assert shared.provider_id not in (await asked(registry, tenant))[0]
    found = await registry.directory.find(tenant, shared.provider_id)
    assert found is not None
    assert await found.get_offers(registry.asking(tenant)) == ()


async def test_changes_are_seen_after_a_moment(registry: Registry) -> None:
    tenant = registry.lending.tenant()
    await asked(registry, tenant)
    own = await registry.register(tenant)
    assert own.provider_id not in (await asked(registry, tenant))[0]
    registry.later()
    assert own.provider_id in (await asked(registry, tenant))[0]


async def test_an_adapter_is_opened_once_for_a_version(registry: Registry) -> None:
    tenant = registry.lending.tenant()
    own = await registry.register(tenant)
    for _ in range(5):
        await asyncio.gather(*(asked(registry, tenant) for _ in range(20)))
        registry.later()
    assert len(registry.lenders.opened) == 1
    await registry.change(own, config={"region": "south"})
    await asked(registry, tenant)
    assert [each.region for each in registry.lenders.opened] == ["north", "south"]


async def test_credentials_rotate_while_calls_go_on(lending: Any) -> None:
    registry = Registry(lending)
    tenant = lending.tenant()
    own = await registry.register(tenant, key="first")
    first = await registry.directory.find(tenant, own.provider_id)
    assert first is not None
    old = registry.lenders.of(own.provider_id)
    old.waits = True
    under_way = asyncio.create_task(first.get_offers(registry.asking(tenant)))
    while old.calls == 0:
        await asyncio.sleep(0)
    await registry.rotate(own, "second")
    registry.later()
    second = await registry.directory.find(tenant, own.provider_id)
    assert second is not None
    new = registry.lenders.of(own.provider_id)
    assert (old.key, new.key) == ("first", "second")
    await second.get_offers(registry.asking(tenant))
    assert not old.disconnected  # it is in a call
    old.gate.set()
    assert await under_way == ()
    await registry.directory.close()
    assert old.disconnected
    assert new.disconnected


async def test_the_earlier_credentials_stay_openable_for_the_overlap(lending: Any) -> None:
    registry = Registry(lending)
    tenant = lending.tenant()
    own = await registry.register(tenant, key="first")
    await registry.rotate(own, "second")
    rows = await lending.rows(
        "SELECT version, usable_until, sealed_fields FROM provider_credentials"
        " WHERE tenant_id = $1 ORDER BY version", tenant,
    )  # fmt: skip
    assert [(row["version"], row["usable_until"] is None) for row in rows] == [
        (1, False),
        (2, True),
    ]
    assert all(row["sealed_fields"] for row in rows)


async def test_a_narrowing_outside_todays_manifest_is_not_ready(lending: Any) -> None:
    registry = Registry(lending)
    tenant = lending.tenant()
    own = await registry.register(tenant, appetite={"currencies": ["EUR"]})
    manifest = replace(registry.lenders.manifest, appetite=Appetite(frozenset("US"), frozenset()))
    registry.plugins["plain"] = replace(registry.lenders.plugin(), manifest=manifest)
    with pytest.raises(ProviderNotReady, match="NARROWING_OUTSIDE_MANIFEST"):
        await registry.directory_of("app").find(tenant, own.provider_id)
    del registry.plugins["plain"]
    with pytest.raises(ProviderNotReady, match="ADAPTER_NOT_INSTALLED"):
        await registry.directory_of("app").find(tenant, own.provider_id)


async def test_looking_somebody_up_again_takes_under_a_millisecond_of_processor(
    lending: Any,
) -> None:
    registry = Registry(lending, configured=tuple(configured(f"bank-{n}") for n in range(20)))
    tenant = lending.tenant()
    await registry.register(tenant)
    request = registry.asking(tenant)
    assert len((await registry.directory.eligible(request)).providers) == 21
    started = time.process_time()
    for _ in range(200):
        await registry.directory.eligible(request)
    assert (time.process_time() - started) / 200 < 0.001


async def test_many_tenants_are_not_remembered_for_ever(
    lending: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.providers.directory._MOST_TENANTS", 3)
    registry = Registry(lending)
    first = lending.tenant()
    own = await registry.register(first)
    await asked(registry, first)
    for _ in range(4):
        await asked(registry, lending.tenant())
    assert own.provider_id in (await asked(registry, first))[0]
    assert len(registry.lenders.opened) == 2  # closed when forgotten, and opened anew


async def test_a_person_in_maintenance_is_told_apart(registry: Registry) -> None:
    tenant = registry.lending.tenant()
    own = await registry.register(tenant)
    await registry.change(own, status=ProviderStatus.MAINTENANCE)
    _, missing = await asked(registry, tenant)
    assert missing[own.provider_id] == "PROVIDER_IN_MAINTENANCE"


async def test_an_adapter_that_breaks_in_opening_takes_nobody_else_along(lending: Any) -> None:
    registry = Registry(lending)
    tenant = lending.tenant()
    fine, broken = await registry.register(tenant), await registry.register(tenant)
    unbroken = registry.lenders.open_unguarded

    def open_(plugin: Any, record: ProviderRecord, secrets: Any) -> Any:
        if record.provider_id == broken.provider_id:
            raise RuntimeError("a bug")
        return unbroken(plugin, record, secrets)

    registry.lenders.open_unguarded = open_  # type: ignore[method-assign]
    registry.directory = registry.directory_of("app")
    assert await asked(registry, tenant) == (
        {fine.provider_id}, {broken.provider_id: "PROVIDER_NOT_READY"},
    )  # fmt: skip
