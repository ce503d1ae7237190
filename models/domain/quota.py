"""Token buckets: how much may be asked in a window, whoever keeps the count.

A bucket of `capacity` tokens fills evenly, one token each `interval_us`. Its whole state is one
number, the moment at which it will be full (generic cell rate algorithm): a bucket that nobody
keeps is full. All in whole microseconds and tokens, so that every store counts alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Quota:
    """So many tokens a window; `name` is what callers read in the answer's headers."""

    name: str
    capacity: int  # tokens, at least 1
    window_s: int

    @property
    def interval_us(self) -> int:
        """How long one token takes to come back, rounded up: in our favour, by a microsecond."""
        return -(-self.window_s * 1_000_000 // self.capacity)


@dataclass(frozen=True, slots=True)
class Want:
    """Tokens wanted of one bucket: `least` or none, and up to `most` if they are there."""

    key: str
    quota: Quota
    least: int
    most: int

    def granted_by(self, ahead_us: int) -> int:
        """Tokens a bucket gives that will be full in `ahead_us`; 0: refused."""
        free = self.free_at(ahead_us)
        return min(free, self.most) if free >= self.least else 0

    def free_at(self, ahead_us: int) -> int:
        """Tokens in a bucket that will be full in `ahead_us`."""
        interval = self.quota.interval_us
        return max(0, (self.quota.capacity * interval - ahead_us) // interval)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a bucket gave, and how it stands after that."""

    tokens: int  # 0: refused, and nothing was taken
    ahead_us: int  # in how many microseconds the bucket will be full

    def left(self, want: Want) -> int:
        """Tokens still in the bucket."""
        return want.free_at(self.ahead_us)

    def wait_us(self, want: Want) -> int:
        """How long until the bucket could give `least`; 0 if it could now."""
        interval = want.quota.interval_us
        return max(0, self.ahead_us + (want.least - want.quota.capacity) * interval)


class TokenStore(Protocol):
    """Keeps buckets. All wants of one call are of one tenant, and answered in their order."""

    async def take(self, tenant_id: str, wants: Sequence[Want]) -> list[Grant]:
        """Take from each bucket what it can give. Raises Unavailable when the store is away."""
        ...

    async def ready(self) -> bool:
        """Whether the store answers."""
        ...
