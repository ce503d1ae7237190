"""While the store is away, this process counts; the store is tried again, by one request alone."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.rate_limit.fallback import FallbackTokenStore
from models.domain.errors import Unavailable
from models.domain.quota import Grant, Quota, Want

WANT = Want("zelda", Quota("caller", 3, 3_600), 1, 1)


class Flaky:
    """A store that answers or not, and counts who asks."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0

    async def take(self, tenant_id: str, wants: Sequence[Want]) -> list[Grant]:
        self.asked += 1
        if self.away:
            raise Unavailable("CACHE_UNAVAILABLE")
        return [Grant(1, 42) for _ in wants]

    async def ready(self) -> bool:
        return not self.away


async def test_an_absent_store_is_stood_in_for_and_found_again() -> None:
    store, now_s = Flaky(), 100.0
    counting = FallbackTokenStore(store, clock_s=lambda: now_s, try_again_s=5)
    assert await counting.take("acme", [WANT]) == [Grant(1, 42)]
    store.away = True
    tokens = [(await counting.take("acme", [WANT]))[0].tokens for _ in range(5)]
    assert tokens == [1, 1, 1, 0, 0]  # limited all the same
    assert store.asked == 2  # the first to find out, and nobody after that
    assert not await counting.ready()
    now_s += 5
    await counting.take("acme", [WANT])
    assert store.asked == 3
    store.away = False
    await counting.take("acme", [WANT])
    assert store.asked == 3
    now_s += 5
    assert await counting.take("acme", [WANT]) == [Grant(1, 42)]
    assert await counting.take("acme", [WANT]) == [Grant(1, 42)]
    assert store.asked == 5
    assert await counting.ready()
