"""A lender is asked no faster than it may be, and not at all before the moment it named."""

from __future__ import annotations

import asyncio

import pytest

from adapters.http import RetryLater
from adapters.providers.pacing import TURN, Pace, Turn
from models.domain.errors import Transient


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 50.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    return Pace(2.0, 3, clock, clock.sleep)


async def test_a_burst_passes_and_then_one_at_a_time(pace: Pace, clock: Clock) -> None:
    for _ in range(3):
        await pace.take(clock.now)
    assert clock.slept == []
    for _ in range(3):
        await pace.take(clock.now + 10)
    assert clock.slept == [0.5, 0.5, 0.5]


async def test_the_bucket_holds_no_more_than_a_burst(pace: Pace, clock: Clock) -> None:
    clock.now += 3_600
    for _ in range(4):
        await pace.take(clock.now + 10)
    assert clock.slept == [0.5]


async def test_who_cannot_be_served_in_time_is_told_at_once(pace: Pace, clock: Clock) -> None:
    for _ in range(3):
        await pace.take(clock.now)
    with pytest.raises(Transient, match="RATE_LIMITED"):
        await pace.take(clock.now + 0.5)
    assert clock.slept == []
    await pace.take(clock.now + 0.51)  # the refused one took nothing
    assert clock.slept == [0.5]


async def test_those_who_wait_are_served_in_their_order(clock: Clock) -> None:
    waits: list[float] = []
    gate = asyncio.Event()

    async def sleep(seconds: float) -> None:
        waits.append(round(seconds, 6))
        await gate.wait()

    pace = Pace(2.0, 1, clock, sleep)
    await pace.take(clock.now)
    tasks = [asyncio.create_task(pace.take(clock.now + 10)) for _ in range(3)]
    await asyncio.sleep(0)
    assert waits == [0.5, 1.0, 1.5]
    tasks[2].cancel()  # who gives up leaves the token to others
    await asyncio.gather(*tasks[2:], return_exceptions=True)
    tasks.append(asyncio.create_task(pace.take(clock.now + 10)))
    await asyncio.sleep(0)
    assert waits == [0.5, 1.0, 1.5, 1.5]
    gate.set()
    await asyncio.gather(*tasks[:2], tasks[3])


async def test_the_lender_s_own_advice_is_kept_to(pace: Pace, clock: Clock) -> None:
    pace.told(RetryLater("UPSTREAM_BUSY", "", 7, 429))
    pace.told(RetryLater("UPSTREAM_BUSY", "", 2, 429))
    pace.told(RetryLater("UPSTREAM_BUSY", "", None, 503))
    with pytest.raises(Transient, match="RATE_LIMITED"):
        await pace.take(clock.now + 7)
    await pace.take(clock.now + 8)
    assert clock.slept == [7]


async def test_requests_beyond_what_a_call_has_paid_for_take_tokens(
    pace: Pace, clock: Clock
) -> None:
    TURN.set(Turn(ends_at=clock.now + 10, paid=1))
    for _ in range(5):
        await pace.before()
    assert clock.slept == [0.5]
    TURN.set(None)
    await pace.before()  # nobody's call: as a token fetched while nobody waits
    assert clock.slept == [0.5]
