"""The database dies in the middle of something, comes back, and nothing is half done."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from adapters.postgres.callbacks import PostgresCallbacks
from adapters.postgres.sweeping import PostgresStartIntents
from models.domain.errors import NotFound, Unavailable
from models.domain.kyc import PersonRef, VendorVerdict, VerificationCallback

pytestmark = pytest.mark.stack


async def test_a_killed_database_is_unavailable_and_recovers(lending: Any) -> None:
    ref = await lending.application()
    before = await lending.contents(ref.tenant_id)
    waiting = asyncio.Event()

    async def half_a_transaction() -> None:
        async with lending.app.transaction(ref.tenant_id) as tx:
            await tx.execute("UPDATE applications SET state = 'blocked'")
            waiting.set()
            await tx.execute("SELECT pg_sleep(60)")

    under_way = asyncio.create_task(half_a_transaction())
    await waiting.wait()
    await lending.cluster.server.kill()
    try:
        with pytest.raises(Unavailable):
            await under_way
        assert await lending.app.ready() is False
        with pytest.raises(Unavailable):
            await lending.application()
    finally:
        await lending.cluster.server.start()
    async with asyncio.timeout(60):
        while not await lending.app.ready():
            await asyncio.sleep(0.05)
    assert await lending.contents(ref.tenant_id) == before
    # Every pooled connection is usable again, not just one.
    await asyncio.gather(*(lending.application(ref.tenant_id, f"u{n}") for n in range(20)))


async def test_a_mistake_of_ours_is_no_outage(lending: Any) -> None:
    """A wrong argument must not be retried for days as if the database were away."""
    with pytest.raises(Exception, match="invalid input for query argument") as raised:
        async with lending.app.transaction(lending.tenant()) as tx:
            await tx.execute("SELECT $1::bigint", "no number")
    assert not isinstance(raised.value, Unavailable)


async def test_what_a_crash_left_unstarted_is_found_until_its_workflow_runs(lending: Any) -> None:
    ref = await lending.application()
    intents = PostgresStartIntents(lending.relay)
    assert ref not in await intents.unstarted(500)  # the API may still be starting it
    await lending.execute(
        "UPDATE start_intents SET created_at = now() - $2::interval WHERE tenant_id = $1",
        ref.tenant_id,
        timedelta(seconds=3),
    )
    assert ref in await intents.unstarted(500)
    await lending.kyc.join(ref)
    assert ref not in await intents.unstarted(500)


async def test_callbacks_are_kept_once_and_found_until_delivered(lending: Any) -> None:
    ref = await lending.application()
    request = await lending.begun(ref)
    callbacks = PostgresCallbacks(lending.app)
    callback = VerificationCallback("evt-7", request.verification_id, VendorVerdict.CLEAR)
    stored = await callbacks.store(ref.tenant_id, "vendor", callback)
    assert (stored.person, stored.delivered) == (PersonRef(ref.tenant_id, ref.user_id), False)
    changed = VerificationCallback("evt-7", request.verification_id, VendorVerdict.REJECTED)
    assert (await callbacks.store(ref.tenant_id, "vendor", changed)).callback == callback
    sweep = PostgresCallbacks(lending.relay)
    assert ("vendor", stored) not in await sweep.undelivered(500)
    await lending.execute(
        "UPDATE callback_events SET received_at = now() - interval '6 seconds'"
        " WHERE tenant_id = $1",
        ref.tenant_id,
    )
    assert ("vendor", stored) in await sweep.undelivered(500)
    await sweep.delivered("vendor", stored)
    assert ("vendor", stored) not in await sweep.undelivered(500)
    assert (await callbacks.store(ref.tenant_id, "vendor", callback)).delivered


async def test_a_callback_for_another_tenants_or_vendors_verification_is_unknown(
    lending: Any,
) -> None:
    ref = await lending.application()
    request = await lending.begun(ref)
    callbacks = PostgresCallbacks(lending.app)
    callback = VerificationCallback("evt-8", request.verification_id, VendorVerdict.CLEAR)
    for tenant_id, vendor in ((lending.tenant(), "vendor"), (ref.tenant_id, "other")):
        with pytest.raises(NotFound, match="VERIFICATION_UNKNOWN"):
            await callbacks.store(tenant_id, vendor, callback)


async def test_the_same_event_id_of_another_tenant_is_another_event(lending: Any) -> None:
    """Vendors number events as they like; one tenant's must not hide another's."""
    for _ in range(2):
        ref = await lending.application()
        request = await lending.begun(ref)
        callback = VerificationCallback("evt-9", request.verification_id, VendorVerdict.CLEAR)
        stored = await PostgresCallbacks(lending.app).store(ref.tenant_id, "vendor", callback)
        assert stored.person.tenant_id == ref.tenant_id
