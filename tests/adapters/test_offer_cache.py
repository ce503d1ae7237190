"""What lenders answered is remembered for a short time, if it is good and as long as it is."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from adapters.offer_cache import OfferCache
from models.domain.offer import ProviderAnswer, QuoteRequest
from models.domain.offer_search import cache_key
from tests.adapters.lenders import indicative, quote_of

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.passed_s = 0.0

    def monotonic_s(self) -> float:
        return 1_000.0 + self.passed_s

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.passed_s)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def cache(clock: Clock, ttl_s: float = 30, capacity: int = 100) -> OfferCache:
    return OfferCache(ttl_s, capacity, now=clock.now, monotonic_s=clock.monotonic_s)


def criteria() -> QuoteRequest:
    key = cache_key(indicative())
    assert key is not None
    return key


def offered(open_s: float = 3_600, number: int = 0) -> ProviderAnswer:
    until = (NOON + timedelta(seconds=open_s)).isoformat()
    return ProviderAnswer("one", quote_of("one", number, expires_at=until))


def test_an_answer_is_good_for_a_short_time(clock: Clock) -> None:
    kept = cache(clock)
    kept.keep("one", criteria(), (offered(),))
    clock.passed_s = 29.9
    assert kept.get("one", criteria()) == (offered(),)
    clock.passed_s = 30
    assert kept.get("one", criteria()) is None
    assert len(kept) == 0


def test_no_answer_is_shown_beyond_the_first_expiry_of_its_quotes(clock: Clock) -> None:
    kept = cache(clock)
    kept.keep("one", criteria(), (offered(), offered(15, number=1)))
    clock.passed_s = 9.9
    assert kept.get("one", criteria()) is not None
    clock.passed_s = 10.1
    assert kept.get("one", criteria()) is None


@pytest.mark.parametrize(
    "answers",
    [
        (ProviderAnswer("one", None, "DEADLINE_EXCEEDED"),),
        (ProviderAnswer("one", None, "UPSTREAM_BUSY"),),
        (offered(), ProviderAnswer("one", None, "PROVIDER_FAILED")),
        (offered(4),),
    ],
    ids=["late", "busy", "partly-failed", "about-to-expire"],
)
def test_what_is_not_good_is_not_kept(clock: Clock, answers: tuple[ProviderAnswer, ...]) -> None:
    kept = cache(clock)
    kept.keep("one", criteria(), answers)
    assert len(kept) == 0


def test_a_plain_no_is_kept(clock: Clock) -> None:
    kept = cache(clock)
    no = (ProviderAnswer("one", None, "NOT_OFFERED"),)
    kept.keep("one", criteria(), no)
    assert kept.get("one", criteria()) == no


def test_what_was_not_used_for_longest_goes_first(clock: Clock) -> None:
    kept = cache(clock, capacity=2)
    for name in ("one", "two"):
        kept.keep(name, criteria(), (offered(),))
    assert kept.get("one", criteria()) is not None
    kept.keep("three", criteria(), (offered(),))
    assert kept.get("two", criteria()) is None
    assert kept.get("one", criteria()) is not None
    assert len(kept) == 2


@pytest.mark.parametrize(("ttl_s", "capacity"), [(0, 100), (30, 0)])
def test_a_memory_that_is_turned_off_keeps_nothing(
    clock: Clock, ttl_s: float, capacity: int
) -> None:
    kept = cache(clock, ttl_s, capacity)
    kept.keep("one", criteria(), (offered(),))
    assert len(kept) == 0


def test_two_searches_about_the_same_have_one_key_and_an_application_has_none() -> None:
    assert cache_key(indicative()) == cache_key(indicative())
    own = dataclasses.replace(indicative(), application_id="app_" + "1" * 32)
    assert cache_key(own) is None
