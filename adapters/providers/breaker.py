"""A circuit breaker: who keeps failing is left alone for a while, and believed again step by step.

    closed     everything passes; opens after some failures in a row, or too many among the last
    open       nothing passes for a while, longer each time it opens again
    half-open  one call at a time; enough successes close it, one failure opens it

Closing takes more than one success and opening lasts longer each time, so that a lender that works
now and then is not switched on and off with it. Results of calls that were admitted before the last
change of state change nothing any more. It is told the outcome of every call it admitted.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final


class BreakerState(StrEnum):
    """Whether calls pass."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Verdict(Enum):
    """What a call says about the lender's health; NEUTRAL: nothing."""

    GOOD = "good"
    BAD = "bad"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When it opens, for how long, and what closes it."""

    failures_in_a_row: int = 5
    window: int = 20  # the last calls that are looked at together ...
    least_in_window: int = 10  # ... once there are so many of them
    failure_ratio: float = 0.5
    open_s: float = 5.0
    longest_open_s: float = 120.0
    successes_to_close: int = 2


DEFAULT_POLICY: Final = BreakerPolicy()


class Breaker:
    """One lender's. Not for several threads; `told` hears of every change of state."""

    def __init__(
        self,
        policy: BreakerPolicy = DEFAULT_POLICY,
        clock: Callable[[], float] = time.monotonic,
        told: Callable[[BreakerState], None] = lambda _: None,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._told = told
        self._state = BreakerState.CLOSED
        self._since = clock()
        self._period = 0  # counts changes of state: what was admitted in an earlier one is ignored
        self._last: deque[bool] = deque(maxlen=policy.window)  # True: failed
        self._failed_in_a_row = 0
        self._successes = 0  # since it was closed, or half-opened
        self._probing = False
        self._openings = 0  # without a calm time in between
        self._open_until = 0.0

    @property
    def state(self) -> BreakerState:
        """As of now: an open one whose time is up is half-open, even if nobody has called."""
        if self._state is BreakerState.OPEN and self._clock() >= self._open_until:
            return BreakerState.HALF_OPEN
        return self._state

    @property
    def since_s(self) -> float:
        """For how long it has been closed, or not been closed."""
        return self._clock() - self._since

    def admit(self) -> int | None:
        """A number to settle the call with; None if it must not be made."""
        if self.state is BreakerState.OPEN:
            return None
        if self.state is BreakerState.HALF_OPEN:
            if self._state is BreakerState.OPEN:
                self._change(BreakerState.HALF_OPEN)
            if self._probing:
                return None
            self._probing = True
        return self._period

    def settle(self, admitted: int, verdict: Verdict) -> None:
        """The outcome of an admitted call; each is settled exactly once."""
        if admitted != self._period:
            return
        if self._state is BreakerState.HALF_OPEN:
            self._settle_probe(verdict)
        elif verdict is not Verdict.NEUTRAL:
            self._settle_closed(failed=verdict is Verdict.BAD)

    def _settle_probe(self, verdict: Verdict) -> None:
        self._probing = False
        if verdict is Verdict.BAD:
            self._open()
        elif verdict is Verdict.GOOD:
            self._successes += 1
            if self._successes >= self._policy.successes_to_close:
                self._change(BreakerState.CLOSED)

    def _settle_closed(self, *, failed: bool) -> None:
        policy = self._policy
        self._last.append(failed)
        self._failed_in_a_row = self._failed_in_a_row + 1 if failed else 0
        if not failed:
            self._successes += 1
            if self._successes >= policy.window:
                self._openings = 0
            return
        enough = len(self._last) >= policy.least_in_window
        too_many = enough and sum(self._last) >= policy.failure_ratio * len(self._last)
        if self._failed_in_a_row >= policy.failures_in_a_row or too_many:
            self._open()

    def _open(self) -> None:
        policy = self._policy
        # 2**64 times the shortest time is beyond any longest one: the exponent needs no more.
        lasting = policy.open_s * 2.0 ** min(self._openings, 64)
        self._openings += 1
        self._open_until = self._clock() + min(lasting, policy.longest_open_s)
        self._change(BreakerState.OPEN)

    def _change(self, state: BreakerState) -> None:
        if (state is BreakerState.CLOSED) != (self._state is BreakerState.CLOSED):
            self._since = self._clock()
        self._state = state
        self._period += 1
        self._last.clear()
        self._failed_in_a_row = self._successes = 0
        self._probing = False
        self._told(state)
