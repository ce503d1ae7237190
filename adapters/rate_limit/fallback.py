"""What counts while the store is away: this process's memory, until the store answers again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from adapters.rate_limit.memory import MemoryTokenStore
from models.domain.errors import Unavailable
from models.domain.quota import Grant, TokenStore, Want

log = structlog.get_logger()

# One request in so long waits for a store that is away; the others do not.
TRY_AGAIN_S: Final = 5.0


class FallbackTokenStore:
    """Satisfies `TokenStore` whatever happens to the store behind it.

    While that is away each process counts by itself, from full buckets: callers may be given up to
    a window's tokens by every process. Nobody is refused because nobody counts, and nothing that
    protects money depends on this (idempotency and nonces are in the database).
    """

    def __init__(
        self,
        store: TokenStore,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        try_again_s: float = TRY_AGAIN_S,
    ) -> None:
        self._store = store
        self._memory = MemoryTokenStore()
        self._clock_s = clock_s
        self._try_again_s = try_again_s
        self._away_until_s: float | None = None

    async def take(self, tenant_id: str, wants: Sequence[Want]) -> list[Grant]:
        if self._away_until_s is not None:
            if self._clock_s() < self._away_until_s:
                return await self._memory.take(tenant_id, wants)
            # Set before asking, so that one request alone finds out.
            self._away_until_s = self._clock_s() + self._try_again_s
        try:
            grants = await self._store.take(tenant_id, wants)
        except Unavailable as error:
            if self._away_until_s is None:
                log.warning("rate_limits_counted_alone", code=error.code)
            self._away_until_s = self._clock_s() + self._try_again_s
            return await self._memory.take(tenant_id, wants)
        if self._away_until_s is not None:
            self._away_until_s = None
            log.info("rate_limits_counted_together")
        return grants

    async def ready(self) -> bool:
        return await self._store.ready()
