"""All lenders are asked at once under one deadline; each gives offers or is named with a reason."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from contextlib import aclosing

import pytest

from adapters.offer_cache import OfferCache
from adapters.offer_search import MAX_QUOTES, ConcurrentOfferSearch
from models.domain.errors import InvariantViolated, Permanent, Transient, Unavailable
from models.domain.offer import ProviderAnswer
from models.domain.provider import MissingProvider
from tests.adapters.lenders import (
    CRITERIA,
    Directory,
    FailingLender,
    Lender,
    StubbornLender,
    UnwillingLender,
    binding,
    indicative,
    quote_of,
)

SOON_S = 0.05
LATE_S = 10.0


def reasons(answers: tuple[ProviderAnswer, ...]) -> dict[str, str | None]:
    return {each.provider_id: each.reason for each in answers}


def failing(error: BaseException) -> Callable[[], Lender]:
    return lambda: FailingLender("bad", error)


def under_way() -> set[asyncio.Task[object]]:
    return {each for each in asyncio.all_tasks() if each.get_name().startswith("offers of ")}


@pytest.mark.parametrize(
    ("make", "reason", "passing"),
    [
        (failing(Permanent("PROVIDER_REFUSED", "who?")), "PROVIDER_REFUSED", False),
        (failing(Permanent("QUOTE_EXPIRED")), "QUOTE_EXPIRED", True),
        (failing(Transient("UPSTREAM_BUSY")), "UPSTREAM_BUSY", True),
        (failing(InvariantViolated("TERMS_HASH_WRONG")), "TERMS_HASH_WRONG", False),
        (failing(KeyError("apr")), "PROVIDER_FAILED", False),
        (failing(TimeoutError()), "DEADLINE_EXCEEDED", True),
        (failing(asyncio.CancelledError()), "PROVIDER_FAILED", False),
        (lambda: Lender("bad", held=True), "DEADLINE_EXCEEDED", True),
        (lambda: StubbornLender("bad", held=True), "DEADLINE_EXCEEDED", True),
        (lambda: UnwillingLender("bad"), "NOT_OFFERED", False),
    ],
    ids=[
        "refuses", "repeats-itself", "busy", "deceives", "bug", "its-own-timeout",
        "cancels-itself", "silent", "stubborn", "unwilling",
    ],
)  # fmt: skip
async def test_who_gives_nothing_is_named_and_costs_nobody_the_others_offers(
    make: Callable[[], Lender], reason: str, passing: bool
) -> None:
    bad = make()
    search = ConcurrentOfferSearch(Directory(bad, Lender("good")))
    try:
        answers = await search.search(binding(), SOON_S)
    finally:
        bad.open.set()
    assert answers == (
        ProviderAnswer("bad", None, reason, passing=passing),
        ProviderAnswer("good", quote_of("good")),
    )


async def test_one_deadline_holds_for_all_and_nobody_is_awaited_beyond_it() -> None:
    silent = [Lender(f"silent-{number}", held=True) for number in range(17)]
    stubborn = [StubbornLender(f"stubborn-{number}", held=True) for number in range(3)]
    search = ConcurrentOfferSearch(Directory(*silent, *stubborn))
    async with asyncio.timeout(LATE_S):  # the stubborn ones would never end
        answers = await search.search(binding(), SOON_S)
    assert set(reasons(answers).values()) == {"DEADLINE_EXCEEDED"}
    assert [each.cancelled for each in (*silent, *stubborn)] == [1] * 20
    assert len(under_way()) == 3
    for each in stubborn:
        each.open.set()
    async with asyncio.timeout(LATE_S):
        while under_way():
            await asyncio.sleep(0)


async def test_answers_stand_in_the_directorys_order_with_those_not_asked_at_the_end() -> None:
    paused = MissingProvider("paused", "PROVIDER_INACTIVE")
    lenders = [Lender("slow", held=True), Lender("fast")]
    search = ConcurrentOfferSearch(Directory(*lenders, missing=[paused]))
    searching = asyncio.create_task(search.search(binding(), LATE_S))
    await asyncio.sleep(0.01)
    lenders[0].open.set()
    assert [each.provider_id for each in await searching] == ["slow", "fast", "paused"]


async def test_answers_are_told_as_they_arrive() -> None:
    paused = MissingProvider("paused", "PROVIDER_INACTIVE")
    one, two, never = (Lender(name, held=True) for name in ("one", "two", "never"))
    search = ConcurrentOfferSearch(Directory(one, two, never, missing=[paused]))
    async with aclosing(search.stream(binding(), 0.2)) as answers:
        assert (await anext(answers)).reason == "PROVIDER_INACTIVE"
        assert [len(each.asked) for each in (one, two, never)] == [0, 0, 0]
        two.open.set()
        assert (await anext(answers)).provider_id == "two"
        one.open.set()
        assert (await anext(answers)).provider_id == "one"
        assert await anext(answers) == ProviderAnswer(
            "never", None, "DEADLINE_EXCEEDED", passing=True
        )
        with pytest.raises(StopAsyncIteration):
            await anext(answers)
    assert not under_way()


async def test_a_listener_who_leaves_stops_the_search() -> None:
    one, two = Lender("one"), Lender("two", held=True)
    search = ConcurrentOfferSearch(Directory(one, two))
    async with aclosing(search.stream(indicative(), LATE_S)) as answers:
        assert (await anext(answers)).provider_id == "one"
    assert two.cancelled == 1
    assert not under_way()


async def test_a_cancelled_search_leaves_nothing_behind() -> None:
    lender = Lender("one", held=True)
    search = ConcurrentOfferSearch(Directory(lender))
    searching = asyncio.create_task(search.search(indicative(), LATE_S))
    while not lender.asked:
        await asyncio.sleep(0)
    searching.cancel()
    await asyncio.wait([searching])
    assert lender.cancelled == 1
    assert not under_way()


async def test_repeated_offers_are_one_and_the_first_is_kept() -> None:
    first, second = quote_of("one", 0), quote_of("one", 1)
    renamed = dataclasses.replace(first, quote_id="quote-9")
    other = dataclasses.replace(second, terms_hash="other terms under a known id")
    same_terms = quote_of("two", 5, terms_hash=first.terms_hash)
    search = ConcurrentOfferSearch(
        Directory(
            Lender("one", first, second, first, renamed, other, second), Lender("two", same_terms)
        )
    )
    assert await search.search(binding(), LATE_S) == (
        ProviderAnswer("one", first),
        ProviderAnswer("one", second),
        ProviderAnswer("two", None, "OFFER_REPEATED"),
    )
    streamed = [each async for each in search.stream(binding(), LATE_S)]
    assert len([each for each in streamed if each.quote]) == 2


async def test_a_flood_of_quotes_is_cut() -> None:
    lender = Lender("one", *(quote_of("one", number) for number in range(MAX_QUOTES + 5)))
    answers = await ConcurrentOfferSearch(Directory(lender)).search(binding(), LATE_S)
    assert len(answers) == MAX_QUOTES


async def test_a_directory_that_does_not_answer_is_an_outage_and_no_empty_result() -> None:
    search = ConcurrentOfferSearch(Directory(Lender("one"), held=True))
    with pytest.raises(Unavailable, match="PROVIDERS_UNKNOWN"):
        await search.search(binding(), SOON_S)


async def test_no_lenders_find_nothing() -> None:
    assert await ConcurrentOfferSearch(Directory()).search(binding(), SOON_S) == ()


async def test_a_search_about_the_same_is_answered_from_memory() -> None:
    lenders = [Lender("one"), UnwillingLender("two")]
    search = ConcurrentOfferSearch(Directory(*lenders))
    first = await search.search(indicative(), LATE_S)
    assert await search.search(indicative(), LATE_S) == first
    assert [each async for each in search.stream(indicative(), LATE_S)] == list(first)
    assert [len(each.asked) for each in lenders] == [1, 1]


@pytest.mark.parametrize(
    "other",
    [
        indicative(dataclasses.replace(CRITERIA, amount_minor=500_001)),
        indicative(dataclasses.replace(CRITERIA, term_months=13)),
        indicative(dataclasses.replace(CRITERIA, wallet="0x" + "b" * 40)),
        indicative(tenant_id="tenant-2"),
    ],
    ids=["amount", "term", "wallet", "tenant"],
)
async def test_a_search_about_anything_else_is_not(other: object) -> None:
    lender = Lender("one")
    search = ConcurrentOfferSearch(Directory(lender))
    await search.search(indicative(), LATE_S)
    await search.search(other, LATE_S)  # type: ignore[arg-type]
    assert len(lender.asked) == 2


async def test_an_applications_own_search_is_never_answered_from_memory() -> None:
    lender = Lender("one")
    search = ConcurrentOfferSearch(Directory(lender))
    await search.search(binding(), LATE_S)
    await search.search(binding(), LATE_S)
    assert len(lender.asked) == 2


async def test_only_who_failed_is_asked_again() -> None:
    good, late = Lender("good"), Lender("late", held=True)
    failing = FailingLender("failing", Transient("UPSTREAM_BUSY"))
    search = ConcurrentOfferSearch(Directory(good, late, failing))
    await search.search(indicative(), SOON_S)
    late.open.set()
    answers = await search.search(indicative(), LATE_S)
    assert reasons(answers) == {"good": None, "late": None, "failing": "UPSTREAM_BUSY"}
    assert [len(each.asked) for each in (good, late, failing)] == [1, 2, 2]


async def test_equal_searches_at_once_ask_once() -> None:
    lender = Lender("one", held=True)
    search = ConcurrentOfferSearch(Directory(lender), OfferCache(ttl_s=0))
    many = [asyncio.create_task(search.search(indicative(), LATE_S)) for _ in range(10)]
    while not lender.asked:
        await asyncio.sleep(0)
    lender.open.set()
    assert set(await asyncio.gather(*many)) == {(ProviderAnswer("one", quote_of("one")),)}
    assert len(lender.asked) == 1


async def test_who_leaves_does_not_take_the_answer_from_those_who_wait() -> None:
    lender = Lender("one", held=True)
    search = ConcurrentOfferSearch(Directory(lender))
    hasty = asyncio.create_task(search.search(indicative(), SOON_S))
    while not lender.asked:
        await asyncio.sleep(0)
    patient = asyncio.create_task(search.search(indicative(), LATE_S))
    assert reasons(await hasty) == {"one": "DEADLINE_EXCEEDED"}
    lender.open.set()
    assert reasons(await patient) == {"one": None}
    assert lender.cancelled == 0
    assert len(lender.asked) == 1


async def test_closing_stops_what_is_under_way() -> None:
    lender = Lender("one", held=True)
    search = ConcurrentOfferSearch(Directory(lender))
    searching = asyncio.create_task(search.search(indicative(), LATE_S))
    while not lender.asked:
        await asyncio.sleep(0)
    await search.close()
    assert reasons(await searching) == {"one": "PROVIDER_FAILED"}
