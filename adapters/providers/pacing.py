"""How fast a lender is asked: a token bucket, and a pause where the lender itself asked for one.

Every call of the contract takes a token, and every request beyond its first another one, so that a
search in five pages counts as five. Who would have to wait longer than its call may last is told so
at once: waiting for nothing would only hold a place.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from adapters.http import RetryLater
from models.domain.errors import Transient

RATE_LIMITED: Final = "RATE_LIMITED"


@dataclass(slots=True)
class Turn:
    """The call of the contract this task is in: its end, and the requests already paid for."""

    ends_at: float
    paid: float = 0


TURN: ContextVar[Turn | None] = ContextVar("turn", default=None)


class Pace:
    """One lender's token bucket; satisfies `Gate` of adapters/http.py. Not for several threads."""

    def __init__(
        self,
        requests_per_s: float,
        burst: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._per_s = requests_per_s
        self._burst = burst
        self._clock = clock
        self._sleep = sleep
        self._tokens = float(burst)  # negative: so many are waiting
        self._filled_at = clock()
        self._paused_until = 0.0

    async def take(self, ends_at: float) -> None:
        """One token, waited for until `ends_at` (of the same clock) at most.

        Those who wait are served in their order. Raises Transient RATE_LIMITED.
        """
        now = self._clock()
        wait_s = max(self._wait_s(now), self._paused_until - now)
        if wait_s > 0 and now + wait_s >= ends_at:
            raise Transient(RATE_LIMITED, f"no request within {ends_at - now:.1f} s")
        self._tokens -= 1
        if wait_s > 0:
            try:
                await self._sleep(wait_s)
            except asyncio.CancelledError:
                self._tokens += 1
                raise

    async def before(self) -> None:
        """Before a request: a token, unless the call it belongs to has paid for it."""
        turn = TURN.get()
        if turn is None:
            return
        if turn.paid > 0:
            turn.paid -= 1
        else:
            await self.take(turn.ends_at)

    def told(self, later: RetryLater) -> None:
        """The lender said "not now": nobody asks before the moment it named."""
        if later.retry_after_s is not None:
            self._paused_until = max(self._paused_until, self._clock() + later.retry_after_s)

    def _wait_s(self, now: float) -> float:
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_s)
        self._filled_at = now
        return (1 - self._tokens) / self._per_s if self._tokens < 1 else 0.0
