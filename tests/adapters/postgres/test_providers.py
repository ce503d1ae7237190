"""Providers are registered, changed and removed once each, by name, within their tenant."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
import structlog

from models.domain.errors import Conflict, NotFound
from models.domain.ids import PLATFORM
from models.domain.offer import ProviderAnswer
from models.domain.provider import ProviderStatus, ProviderType
from models.domain.provider_health import SetBy
from models.domain.provider_record import Source, Unacceptable
from tests.adapters.postgres.registering import CANARY, DRAFT, Kept, Registry, configured

pytestmark = pytest.mark.stack


@pytest_asyncio.fixture(loop_scope="session")
async def registry(lending: Any) -> Registry:
    return Registry(lending, configured=(configured(),))


async def test_a_registered_provider_reads_as_it_was_told(registry: Registry) -> None:
    tenant = registry.lending.tenant()
    made = await registry.register(
        tenant, appetite={"currencies": ["USD"]}, limits={"burst": 5}, metadata={"contract": "7"}
    )
    found = await registry.desk.find(tenant, made.provider_id)
    assert found == made
    assert (found.type, found.adapter, found.source) == (
        ProviderType.FINTECH, "plain", Source.TENANT,
    )  # fmt: skip
    assert (found.appetite, found.limits) == ({"currencies": ["USD"]}, {"burst": 5})
    assert (found.config, found.metadata) == ({"region": "north"}, {"contract": "7"})
    assert found.credential is not None
    assert (found.credential.version, found.credential.fields) == (1, ("key",))
    assert found.standing.health.status is ProviderStatus.ACTIVE
    assert await registry.lending.audited(tenant) == ["provider_registry.registered"]


async def test_a_repetition_is_answered_alike_and_does_nothing(registry: Registry) -> None:
    tenant = registry.lending.tenant()
    write, draft = registry.write(tenant), replace(DRAFT, credentials={"key": CANARY})
    answers = [await registry.desk.register(write, "plain", draft, Kept()) for _ in range(3)]
    assert answers == answers[:1] * 3
    assert await registry.lending.audited(tenant) == ["provider_registry.registered"]


@pytest.mark.parametrize(
    ("changes", "places"),
    [
        ({"config": {}}, {(("config", "region"), "missing")}),
        ({"config": {"region": 7}}, {(("config", "region"), "string_type")}),
        (
            {"config": {"region": "n", CANARY: "x"}},
            {(("config",), "extra_forbidden")},
        ),
        ({"url": "http://plain.example:1/\n"}, {(("url",), "not_printable_ascii")}),
        ({"url": "https://10.0.0.1/"}, {(("url",), "address")}),
        ({"url": "https://167772161/"}, {(("url",), "address")}),
        ({"url": "https://user@plain.example"}, {(("url",), "userinfo")}),
        (
            {"appetite": {"currencies": ["GBP"], "max_amount_minor": 10**9}},
            {
                (("appetite", "currencies"), "wider_than_manifest"),
                (("appetite", "max_amount_minor"), "wider_than_manifest"),
            },
        ),
        ({"limits": {"burst": 99}}, {(("limits", "burst"), "wider_than_manifest")}),
    ],
    ids=["missing", "type", "unknown", "newline", "private", "decimal", "user", "appetite",
         "limits"],
)  # fmt: skip
async def test_what_is_not_acceptable_is_told_by_its_place(
    registry: Registry, changes: dict[str, Any], places: set[Any]
) -> None:
    tenant = registry.lending.tenant()
    with pytest.raises(Unacceptable) as refused:
        await registry.register(tenant, **changes)
    assert set(refused.value.places) == places
    assert CANARY not in str(refused.value)
    assert not any((await registry.lending.contents(tenant)).values())


async def test_credentials_are_checked_by_the_adapter(registry: Registry) -> None:
    tenant = registry.lending.tenant()
    with pytest.raises(Unacceptable, match=r"credentials\.key too_short"):
        await registry.register(tenant, key="")
    made = await registry.register(tenant, key=None)
    assert made.credential is None
    with pytest.raises(Unacceptable) as refused:
        await registry.desk.rotate(
            registry.write(tenant), made.provider_id, {"kee": CANARY}, Kept()
        )
    assert (("credentials", "key"), "missing") in refused.value.places
    assert CANARY not in str(refused.value)


async def test_an_unknown_adapter_is_refused(registry: Registry) -> None:
    write = registry.write(registry.lending.tenant())
    with pytest.raises(Unacceptable, match="adapter_unknown"):
        await registry.desk.register(write, "nobody's", DRAFT, Kept())


async def test_a_change_is_made_from_the_version_that_was_read(registry: Registry) -> None:
    tenant = registry.lending.tenant()
    made = await registry.register(tenant)
    changed = await registry.change(made, config={"region": "south"})
    assert (changed.version, changed.config) == (2, {"region": "south"})
    assert changed.credential == made.credential  # left out: as it was
    with pytest.raises(Conflict, match="PROVIDER_CHANGED"):
        await registry.change(made, config={"region": "west"})
    assert (await registry.desk.find(tenant, made.provider_id)).config == {"region": "south"}


async def test_a_person_takes_it_out_and_brings_it_back(registry: Registry) -> None:
    tenant = registry.lending.tenant()
    made = await registry.register(tenant)
    out = await registry.change(made, status=ProviderStatus.MAINTENANCE)
    assert out.standing.health.set_by is SetBy.PERSON
    back = await registry.change(out, status=ProviderStatus.ACTIVE)
    assert back.standing.health.status is ProviderStatus.ACTIVE
    with pytest.raises(Unacceptable, match="set_by_checks_alone"):
        await registry.change(back, status=ProviderStatus.INACTIVE)
    history = await registry.desk.history(tenant, made.provider_id)
    assert [(each.from_status, each.to_status, each.actor) for each in history] == [
        ("MAINTENANCE", "ACTIVE", "olivia"),
        ("ACTIVE", "MAINTENANCE", "olivia"),
    ]
    assert await registry.lending.published(tenant) == ["provider.status_changed"] * 2


async def test_another_tenants_provider_does_not_exist(registry: Registry) -> None:
    mine, theirs = registry.lending.tenant(), registry.lending.tenant()
    made = await registry.register(mine)
    for attempt in (
        registry.desk.find(theirs, made.provider_id),
        registry.desk.history(theirs, made.provider_id),
        registry.desk.test(theirs, "eve", made.provider_id),
        registry.desk.remove(registry.write(theirs), made.provider_id, Kept()),
        registry.desk.rotate(registry.write(theirs), made.provider_id, {"key": "k"}, Kept()),
    ):
        with pytest.raises(NotFound):
            await attempt
    page = await registry.desk.page(theirs, after=None, limit=100)
    assert made.provider_id not in {each.provider_id for each in page.providers}


async def test_the_platforms_are_everybodys_to_see_and_its_own_to_change(
    registry: Registry,
) -> None:
    tenant = registry.lending.tenant()
    shared = await registry.register(PLATFORM)
    found = await registry.desk.find(tenant, shared.provider_id)
    assert (found.source, found.credential) == (Source.PLATFORM, None)
    for attempt in (
        registry.desk.test(tenant, "eve", shared.provider_id),
        registry.desk.remove(registry.write(tenant), shared.provider_id, Kept()),
        registry.desk.rotate(registry.write(tenant), shared.provider_id, {"key": "k"}, Kept()),
    ):
        with pytest.raises(Conflict, match="PROVIDER_NOT_YOURS"):
            await attempt
    await registry.remove(shared)


async def test_configured_ones_are_listed_and_not_changed(registry: Registry) -> None:
    tenant = registry.lending.tenant()
    found = await registry.desk.find(tenant, "harbour")
    assert found.source is Source.CONFIGURATION
    for who in (tenant, PLATFORM):
        with pytest.raises(Conflict, match="PROVIDER_NOT_YOURS"):
            await registry.desk.remove(registry.write(who), "harbour", Kept())


async def test_a_list_goes_on_page_by_page_and_names_everybody_once(registry: Registry) -> None:
    tenant = registry.lending.tenant()
    made = [(await registry.register(tenant)).provider_id for _ in range(5)]
    seen: list[str] = []
    after: str | None = None
    for _ in range(10):
        page = await registry.desk.page(tenant, after=after, limit=2)
        seen += [each.provider_id for each in page.providers]
        if (after := page.next_after) is None:
            break
    assert seen == [*sorted(made, reverse=True), "harbour"]


async def test_a_list_is_narrowed_by_type_and_status(registry: Registry) -> None:
    tenant = registry.lending.tenant()
    made = await registry.register(tenant)
    out = await registry.change(made, status=ProviderStatus.MAINTENANCE)

    async def listed(**only: Any) -> set[str]:
        page = await registry.desk.page(tenant, after=None, limit=100, **only)
        return {each.provider_id for each in page.providers}

    assert await listed(status=ProviderStatus.MAINTENANCE) == {out.provider_id}
    assert await listed(status=ProviderStatus.ACTIVE) == {"harbour"}
    assert await listed(type_=ProviderType.FINTECH) == {"harbour", out.provider_id}
    assert await listed(type_=ProviderType.DEFI) == set()


async def offer_of(registry: Registry, provider_id: str, tenant: str) -> Any:
    """An open offer of the provider."""
    ref = await registry.lending.application(tenant)
    quote = registry.lending.quote(ref, provider_id=provider_id)
    book = await registry.lending.offers.record_search(ref, [ProviderAnswer(provider_id, quote)])
    return ref, book


async def test_it_is_not_removed_while_it_has_offers(registry: Registry) -> None:
    tenant = registry.lending.tenant()
    made = await registry.register(tenant)
    ref, book = await offer_of(registry, made.provider_id, tenant)
    with pytest.raises(Conflict, match="PROVIDER_HAS_OFFERS"):
        await registry.remove(made)
    await registry.lending.offers.record_acceptance(ref, registry.lending.accepting(ref, book))
    with pytest.raises(Conflict, match="PROVIDER_HAS_OFFERS"):
        await registry.remove(made)


async def test_it_is_removed_when_its_offers_have_ended_and_stays_readable(
    registry: Registry,
) -> None:
    tenant = registry.lending.tenant()
    made = await registry.register(tenant)
    await offer_of(registry, made.provider_id, tenant)
    await registry.lending.execute(
        "UPDATE offers SET expires_at = $2 WHERE tenant_id = $1",
        tenant, datetime.now(UTC) - timedelta(seconds=1),
    )  # fmt: skip
    removed = await registry.remove(made)
    assert removed.removed_at is not None
    assert (await registry.desk.find(tenant, made.provider_id)).removed_at is not None
    page = await registry.desk.page(tenant, after=None, limit=100)
    assert made.provider_id not in {each.provider_id for each in page.providers}
    with pytest.raises(NotFound):
        await registry.rotate(made, "again")


async def test_no_secret_is_anywhere_in_the_database_or_the_log(registry: Registry) -> None:
    tenant = registry.lending.tenant()
    with structlog.testing.capture_logs() as lines:
        made = await registry.register(tenant)
        await registry.rotate(made, f"{CANARY}-2")
        await registry.directory.find(tenant, made.provider_id)
    whole = str(await registry.lending.contents(tenant)) + str(lines)
    encoded = CANARY.encode()
    for form in (CANARY, encoded.hex(), base64.b64encode(encoded).decode()[:-4]):
        assert form not in whole
    assert "provider_credentials" in whole


async def test_a_status_history_is_written_once(registry: Registry) -> None:
    for statement in (
        "UPDATE provider_status_changes SET reason = 'x'",
        "DELETE FROM provider_status_changes",
        "TRUNCATE provider_status_changes",
    ):
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await registry.lending.execute(statement)


async def test_tenants_read_the_platforms_providers_and_never_its_credentials(
    registry: Registry,
) -> None:
    tenant = registry.lending.tenant()
    shared = await registry.register(PLATFORM)
    async with registry.lending.app.transaction(tenant) as tx:
        for table, seen in (("providers", 1), ("provider_health", 1), ("provider_credentials", 0)):
            count = await tx.value(
                f"SELECT count(*) FROM {table} WHERE provider_id = $1", shared.provider_id
            )
            assert count == seen, table
    await registry.remove(shared)
