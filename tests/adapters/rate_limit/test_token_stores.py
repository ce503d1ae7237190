"""One suite for all three stores: whoever keeps the buckets, callers meet the same limits."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from adapters.postgres.database import Database
from adapters.rate_limit.memory import MemoryTokenStore
from adapters.rate_limit.postgres import _SWEEP_EVERY, PostgresTokenStore
from adapters.rate_limit.valkey import ValkeyTokenStore
from models.domain.errors import Unavailable
from models.domain.quota import Grant, Quota, TokenStore, Want
from sandbox.services.ports import free_port
from sandbox.services.valkey import Valkey
from tests.adapters.rate_limit.conftest import STORES, Clock

pytestmark = pytest.mark.stack

QUOTA = Quota("caller", capacity=10, window_s=60)  # a token every six seconds
EACH = pytest.mark.parametrize("store", STORES, indirect=True)


@pytest.fixture
def tenant() -> str:
    return f"t{uuid4().hex[:12]}"


def want(least: int = 1, most: int = 0, *, key: str = "zelda", quota: Quota = QUOTA) -> Want:
    return Want(key, quota, least, max(least, most))


async def take(store: TokenStore, tenant: str, *wants: Want) -> list[Grant]:
    return await store.take(tenant, wants)


async def one(store: TokenStore, tenant: str, wanted: Want) -> Grant:
    return (await store.take(tenant, [wanted]))[0]


@EACH
async def test_a_bucket_nobody_kept_is_full(store: TokenStore, tenant: str) -> None:
    wanted = want(10)
    grant = await one(store, tenant, wanted)
    assert (grant.tokens, grant.left(wanted)) == (10, 0)
    assert grant.ahead_us == 60_000_000


@EACH
async def test_an_empty_bucket_refuses_and_says_how_long(store: TokenStore, tenant: str) -> None:
    await one(store, tenant, want(10))
    wanted = want(3)
    refused = await one(store, tenant, wanted)
    assert (refused.tokens, refused.wait_us(wanted)) == (0, 18_000_000)
    assert await one(store, tenant, wanted) == refused  # a refusal takes nothing


@EACH
async def test_tokens_come_back_evenly(store: TokenStore, tenant: str, clock: Clock) -> None:
    await one(store, tenant, want(10))
    clock.pass_s(5.999_999)
    assert (await one(store, tenant, want())).tokens == 0
    clock.pass_s(0.000_001)
    assert (await one(store, tenant, want())).tokens == 1
    assert (await one(store, tenant, want())).tokens == 0
    clock.pass_s(30)
    assert (await one(store, tenant, want(6))).tokens == 0
    assert (await one(store, tenant, want(5))).tokens == 5


@EACH
async def test_a_bucket_never_holds_more_than_a_window(
    store: TokenStore, tenant: str, clock: Clock
) -> None:
    await one(store, tenant, want())
    clock.pass_s(86_400)
    assert (await one(store, tenant, want(10, 50))).tokens == 10
    assert (await one(store, tenant, want())).tokens == 0


@EACH
async def test_what_is_wanted_in_advance_is_given_as_far_as_it_goes(
    store: TokenStore, tenant: str
) -> None:
    assert (await one(store, tenant, want(1, 7))).tokens == 7
    wanted = want(1, 7)
    rest = await one(store, tenant, wanted)
    assert (rest.tokens, rest.left(wanted)) == (3, 0)
    assert (await one(store, tenant, want(1, 7))).tokens == 0


@EACH
async def test_buckets_of_one_call_stand_for_themselves(store: TokenStore, tenant: str) -> None:
    await one(store, tenant, want(10, key="empty"))
    wide = Quota("tenant", 1_000, 60)
    grants = await take(
        store, tenant, want(2, key="zz"), want(1, key="empty"), want(2, key="aa", quota=wide)
    )
    assert [grant.tokens for grant in grants] == [2, 0, 2]


@EACH
async def test_tenants_and_callers_do_not_share(store: TokenStore, tenant: str) -> None:
    await one(store, tenant, want(10))
    assert (await one(store, tenant, want(key="yorick"))).tokens == 1
    assert (await one(store, f"{tenant}2", want())).tokens == 1
    assert (await one(store, tenant, want())).tokens == 0


@EACH
@pytest.mark.parametrize("key", ["{evil} key\r\n", "a:b", "'; DROP TABLE rate_limits --", "ü" * 90])
async def test_a_key_is_only_a_name(store: TokenStore, tenant: str, key: str) -> None:
    assert (await one(store, tenant, want(10, key=key))).tokens == 10
    assert (await one(store, tenant, want(key=key))).tokens == 0


@EACH
async def test_a_clock_that_goes_back_gives_nothing_away(
    store: TokenStore, tenant: str, clock: Clock
) -> None:
    await one(store, tenant, want(10))
    clock.pass_s(-30)
    wanted = want()
    refused = await one(store, tenant, wanted)
    assert (refused.tokens, refused.left(wanted)) == (0, 0)


@EACH
async def test_a_window_that_divides_unevenly_is_in_our_favour(
    store: TokenStore, tenant: str, clock: Clock
) -> None:
    quota = Quota("caller", 7, 1)  # 142,857.14 µs
    await one(store, tenant, want(7, quota=quota))
    clock.pass_s(0.142_857)
    assert (await one(store, tenant, want(quota=quota))).tokens == 0
    clock.pass_s(0.000_001)
    assert (await one(store, tenant, want(quota=quota))).tokens == 1


@EACH
async def test_callers_at_once_get_no_more_than_there_is(store: TokenStore, tenant: str) -> None:
    quota = Quota("caller", 50, 3_600)
    calls = [take(store, tenant, want(quota=quota), want(key="b", quota=quota)) for _ in range(80)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    grants = [each for each in answers if not isinstance(each, BaseException)]
    assert sum(first.tokens for first, _ in grants) <= 50
    if len(grants) == len(answers):  # nobody was turned away for want of a connection
        assert sum(first.tokens for first, _ in grants) == 50


async def test_all_three_answer_the_same_story_alike(
    valkey: Valkey, buckets: Database, tenant: str, clock: Clock
) -> None:
    stores: list[Any] = [
        MemoryTokenStore(clock),
        PostgresTokenStore(buckets, timeout_s=5, clock=clock),
        ValkeyTokenStore(valkey.url, timeout_s=5, clock=clock),
    ]
    seen = []
    for step in range(120):
        clock.pass_s((step * 7_919 % 97) / 10)
        wants = [
            want(1 + step * 31 % 5, step * 17 % 9, key=f"k{step % 3}"),
            want(1 + step % 2, quota=Quota("tenant", 13, 17)),
        ]
        answers = [await store.take(tenant, wants) for store in stores]
        assert answers[0] == answers[1] == answers[2], step
        seen.append(answers[0][0].tokens)
    assert {0, 1, 2, 3} <= set(seen)
    await stores[2].close()


async def test_by_their_own_clocks_they_count_too(
    valkey: Valkey, buckets: Database, tenant: str
) -> None:
    quota = Quota("caller", 5, 3_600)
    kept = ValkeyTokenStore(valkey.url, timeout_s=5)
    for store in (MemoryTokenStore(), PostgresTokenStore(buckets, timeout_s=5), kept):
        assert await store.ready()
        assert (await one(store, tenant, want(5, quota=quota))).tokens == 5
        assert (await one(store, tenant, want(quota=quota))).tokens == 0
    await kept.close()


async def test_memory_forgets_who_came_longest_ago() -> None:
    store = MemoryTokenStore(lambda: 1, max_buckets=2)
    for key in ("a", "b", "c"):
        await one(store, "acme", want(10, key=key))
    assert (await one(store, "acme", want(key="c"))).tokens == 0
    assert (await one(store, "acme", want(key="a"))).tokens == 1


async def test_full_buckets_are_not_kept_for_ever(
    valkey: Valkey, buckets: Database, tenant: str, clock: Clock
) -> None:
    store = PostgresTokenStore(buckets, timeout_s=5, clock=clock)
    for number in range(_SWEEP_EVERY - 1):
        await one(store, tenant, want(key=f"k{number % 5}"))
    clock.pass_s(3_600)
    await one(store, tenant, want(key="last"))
    async with buckets.transaction(tenant) as tx:
        assert [row["key"] for row in await tx.rows("SELECT key FROM rate_limits")] == ["last"]
    kept = ValkeyTokenStore(valkey.url, timeout_s=5)
    await one(kept, tenant, want(3))
    lives_ms = await kept._client.pttl(f"caas:quota:{{{tenant}}}:zelda")
    assert 0 < lives_ms <= 18_001
    await kept.close()


async def test_a_cache_that_is_away_is_said_to_be(tenant: str) -> None:
    store = ValkeyTokenStore(f"redis://127.0.0.1:{free_port()}/0", timeout_s=0.5)
    with pytest.raises(Unavailable, match="CACHE_UNAVAILABLE"):
        await one(store, tenant, want())
    assert not await store.ready()
    await store.close()
