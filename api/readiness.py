"""What the API needs, asked at most once a second and never for long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Final

# One look serves everybody who asks within this time: probes come from every node.
KEPT_S: Final = 1.0
# Who has not answered by then is away, whatever the reason.
PATIENCE_S: Final = 2.0

Ask = Callable[[], Awaitable[bool]]


class Standing(StrEnum):
    """How a dependency stands."""

    UP = "up"
    AWAY = "away"
    NOT_CONFIGURED = "not_configured"


class Readiness:
    """Asks each dependency whether it answers; remembers what it heard for a moment."""

    def __init__(
        self,
        asked: Mapping[str, Ask | None],
        *,
        kept_s: float = KEPT_S,
        patience_s: float = PATIENCE_S,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._asked = asked
        self._kept_s = kept_s
        self._patience_s = patience_s
        self._clock_s = clock_s
        self._seen: dict[str, Standing] = {}
        self._seen_at_s: float | None = None
        self._looking = asyncio.Lock()

    async def now(self) -> dict[str, Standing]:
        """How each dependency stands, by name."""
        async with self._looking:
            if self._seen_at_s is None or self._clock_s() - self._seen_at_s >= self._kept_s:
                standings = await asyncio.gather(*map(self._ask, self._asked.values()))
                self._seen = dict(zip(self._asked, standings, strict=True))
                self._seen_at_s = self._clock_s()
            return self._seen

    async def _ask(self, answers: Ask | None) -> Standing:
        if answers is None:
            return Standing.NOT_CONFIGURED
        try:
            async with asyncio.timeout(self._patience_s):
                return Standing.UP if await answers() else Standing.AWAY
        except Exception:
            # Whatever it is, nobody can count on it; what it says of itself is not for callers.
            return Standing.AWAY
