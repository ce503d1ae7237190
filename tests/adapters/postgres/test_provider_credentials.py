"""Master keys change and versions end, and nothing that is in use is ever lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from adapters.postgres.database import Database
from adapters.postgres.providers_credentials import PostgresCredentialUpkeep, Rewrapped
from adapters.vault import Keyring, Undecipherable, new_key
from models.domain.offer import ProviderAnswer
from models.domain.operations import Command
from tests.adapters.postgres.registering import Registry

pytestmark = pytest.mark.stack

COMMAND = Command("olivia", "a new master key")


async def under(lending: Any, keyring: Keyring) -> Any:
    """The same database, as processes with other master keys see it."""
    pools = {
        role: await Database.connect(lending.cluster.dsn(lending.name, role), keyring, max_size=2)
        for role in ("app", "relay")
    }
    return replace(lending, keyring=keyring, **pools)


async def found_key(registry: Registry, tenant: str, provider_id: str) -> str:
    assert await registry.directory.find(tenant, provider_id) is not None
    return registry.lenders.of(provider_id).key


async def test_a_new_master_key_takes_over_without_a_stop(lending: Any) -> None:
    before, fresh = lending.keyring.masters, new_key()
    tenants = [lending.tenant() for _ in range(3)]
    owned = [(each, (await Registry(lending).register(each)).provider_id) for each in tenants]
    both = Registry(await under(lending, Keyring({"v2": fresh, **before})))
    new = Registry(await under(lending, Keyring({"v2": fresh})))
    for tenant, name in owned:  # both keys: everything opens before anything is wrapped anew
        assert await found_key(both, tenant, name)
    done = await both.upkeep.rewrap(COMMAND)
    assert done.rewrapped >= 3
    assert done.failed == 0
    again = await both.upkeep.rewrap(COMMAND)
    assert again == Rewrapped(0, done.rewrapped + done.current, 0)
    for tenant, name in owned:  # and the old key is needed no more
        assert await found_key(new, tenant, name)
    assert "provider_credentials.rewrapped" in await lending.audited("platform")
    # Leave the database as it was found: the next tests have the old key alone.
    back = Keyring({**before, "v2": fresh})
    relay = (await under(lending, back)).relay
    assert (await PostgresCredentialUpkeep(relay, both.vault).rewrap(COMMAND)).failed == 0


async def test_what_cannot_be_opened_is_counted_and_left_alone(lending: Any) -> None:
    registry = Registry(lending)
    tenant = lending.tenant()
    made = await registry.register(tenant)
    sealed = "SELECT wrapped_key FROM provider_credentials WHERE provider_id = $1"
    before = await lending.value(sealed, made.provider_id)
    stranger = Registry(await under(lending, Keyring({"v9": new_key()})))
    done = await stranger.upkeep.rewrap(COMMAND)
    assert (done.rewrapped, done.failed >= 1) == (0, True)
    assert await lending.value(sealed, made.provider_id) == before


async def kept_versions(lending: Any, provider_id: str) -> list[int]:
    """Versions whose ciphertext is there."""
    rows = await lending.rows(
        "SELECT version FROM provider_credentials WHERE provider_id = $1"
        " AND sealed_fields IS NOT NULL AND wrapped_key IS NOT NULL ORDER BY 1", provider_id,
    )  # fmt: skip
    return [row["version"] for row in rows]


@pytest.mark.parametrize(("overlap_s", "left"), [(0, [2]), (3_600, [1, 2])])
async def test_an_earlier_version_is_destroyed_when_its_overlap_is_over(
    lending: Any, overlap_s: int, left: list[int]
) -> None:
    registry = Registry(lending, overlap=timedelta(seconds=overlap_s))
    tenant = lending.tenant()
    made = await registry.register(tenant)
    await registry.rotate(made, "second")
    await registry.upkeep.destroy_due()
    assert await kept_versions(lending, made.provider_id) == left
    assert await found_key(registry, tenant, made.provider_id) == "second"


async def test_a_removed_providers_credentials_outlive_its_offers(lending: Any) -> None:
    registry = Registry(lending)
    tenant = lending.tenant()
    made = await registry.register(tenant)
    await registry.remove(made)
    await registry.upkeep.destroy_due()
    assert await kept_versions(lending, made.provider_id) == [1]  # it was removed a moment ago
    await lending.execute(
        "UPDATE providers SET removed_at = removed_at - interval '31 days' WHERE provider_id = $1",
        made.provider_id,
    )
    ref = await lending.application(lending.tenant())  # of whatever tenant
    quote = lending.quote(ref, provider_id=made.provider_id)
    await lending.offers.record_search(ref, [ProviderAnswer(made.provider_id, quote)])
    await registry.upkeep.destroy_due()
    assert await kept_versions(lending, made.provider_id) == [1]
    await lending.execute(
        "UPDATE offers SET status = 'expired' WHERE tenant_id = $1", ref.tenant_id
    )
    await registry.upkeep.destroy_due()
    assert await kept_versions(lending, made.provider_id) == []
    with pytest.raises(Exception, match="PROVIDER_NOT_READY"):
        await registry.directory.find(tenant, made.provider_id)


async def test_a_row_moved_to_another_provider_opens_nothing(lending: Any) -> None:
    registry = Registry(lending)
    tenant = lending.tenant()
    mine, other = await registry.register(tenant), await registry.register(tenant)
    await lending.execute(
        "UPDATE provider_credentials c SET wrapped_key = o.wrapped_key,"
        " sealed_fields = o.sealed_fields FROM provider_credentials o"
        " WHERE c.provider_id = $1 AND o.provider_id = $2", mine.provider_id, other.provider_id,
    )  # fmt: skip
    with pytest.raises(Exception, match="PROVIDER_NOT_READY") as refused:
        await registry.directory.find(tenant, mine.provider_id)
    assert "UNDECIPHERABLE" in str(refused.value)
    assert not isinstance(refused.value, Undecipherable)
    # Whoever wraps keys anew next would meet it.
    await lending.execute(
        "DELETE FROM provider_credentials WHERE provider_id = $1", mine.provider_id
    )
