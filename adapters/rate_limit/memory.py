"""Token buckets of this process alone."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from models.domain.quota import Grant, Want

# About 150 bytes each. Beyond it the bucket that was asked longest ago is forgotten, and full.
MAX_BUCKETS: Final = 100_000

Clock = Callable[[], int]
"""Microseconds since some fixed moment."""


def monotonic_us() -> int:
    """This process's own clock, which nobody sets back."""
    return time.monotonic_ns() // 1_000


class MemoryTokenStore:
    """Satisfies `TokenStore` without anything outside this process."""

    def __init__(self, clock: Clock = monotonic_us, max_buckets: int = MAX_BUCKETS) -> None:
        self._clock = clock
        self._max_buckets = max_buckets
        self._full_at_us: OrderedDict[tuple[str, str], int] = OrderedDict()

    async def take(self, tenant_id: str, wants: Sequence[Want]) -> list[Grant]:
        now = self._clock()
        return [self._take(tenant_id, want, now) for want in wants]

    async def ready(self) -> bool:
        return True

    def _take(self, tenant_id: str, want: Want, now_us: int) -> Grant:
        bucket = (tenant_id, want.key)
        full_at_us = max(self._full_at_us.get(bucket, 0), now_us)
        tokens = want.granted_by(full_at_us - now_us)
        if tokens:
            full_at_us += tokens * want.quota.interval_us
            self._full_at_us[bucket] = full_at_us
            self._full_at_us.move_to_end(bucket)
            if len(self._full_at_us) > self._max_buckets:
                self._full_at_us.popitem(last=False)
        return Grant(tokens, full_at_us - now_us)
