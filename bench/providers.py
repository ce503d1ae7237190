"""The search for offers over twenty banks in processes of their own, three of which hang, two fail.

The client has one core to itself and the banks the other, so that neither is measured in the
other's time; where it is allowed, whatever else the machine does comes after them. Every search is
about another loan, nothing is remembered, and breakers never open: what they would spare is part of
every figure.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final

import uvloop

from activities.ports.credit_provider import Asked, CreditProvider
from adapters import telemetry
from adapters.chain import eip712
from adapters.http import BUSY, HTTPCaller, new_client
from adapters.offer_cache import OfferCache
from adapters.offer_search import ConcurrentOfferSearch
from adapters.providers.bank import PLUGIN
from adapters.providers.breaker import BreakerPolicy
from adapters.providers.opening import Surroundings, open_provider
from bench.figure import Figure
from bench.lenders import CLIENT_ID, CLIENT_SECRET, Bank
from models.domain.ids import new_id
from models.domain.offer import ProviderAnswer, Quote, QuoteRequest, SettlementVenue
from models.domain.offer_search import DEADLINE_EXCEEDED, SearchCriteria
from models.domain.provider import Limits
from settings import ROOT

DEADLINE_S: Final = 0.5
BANKS: Final = 20
HANGING: Final = 3
FAILING: Final = 2
GOOD: Final = BANKS - HANGING - FAILING
# What lenders that answer in time take for a quote: 10 to 150 ms.
DELAYS_MS: Final = tuple(10 + 10 * number for number in range(GOOD))

LATENCY_SEARCHES: Final = 200
LATENCY_AT_ONCE: Final = 4
OVERHEAD_SEARCHES: Final = 100
RATE_S: Final = 10.0
RATE_AT_ONCE: Final = 30

_VENUE: Final = SettlementVenue(31337, "0x" + "44" * 20, "0x" + "33" * 20, 6)
_WALLET: Final = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"
# Nobody is held back here: what is measured is the search.
_LIMITS: Final = Limits(requests_per_s=100_000.0, burst=100_000, concurrency=10_000)
# A breaker that opened would spare us the lenders that hang: it stays cold throughout.
_PATIENT: Final = BreakerPolicy(failures_in_a_row=10**9, least_in_window=10**9)


@dataclass(frozen=True, slots=True)
class Searched:
    """One search: how long it took and what came of it."""

    elapsed_ms: float
    answers: tuple[ProviderAnswer, ...]


class TimedProvider:
    """A lender that notes what each of its quotes cost beyond what the lender took for it."""

    def __init__(self, provider: CreditProvider, overheads_ms: list[float]) -> None:
        self.provider_id = provider.provider_id
        self._provider = provider
        self._overheads_ms = overheads_ms

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    async def get_offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        """The quotes, with the time they took noted."""
        began = time.perf_counter()
        quotes = await self._provider.get_offers(request)
        elapsed_ms = (time.perf_counter() - began) * 1_000
        for quote in quotes:
            self._overheads_ms.append(elapsed_ms - int(quote.quote_id.split("-")[1]) / 1_000)
        return quotes


@dataclass(frozen=True, slots=True)
class Everybody:
    """A directory that names the same lenders for every loan."""

    providers: tuple[CreditProvider, ...]

    async def eligible(self, request: QuoteRequest) -> Asked:
        """All of them."""
        del request
        return Asked(self.providers)

    async def find(self, tenant_id: str, provider_id: str) -> CreditProvider | None:
        """One of them."""
        del tenant_id
        return next((each for each in self.providers if each.provider_id == provider_id), None)


async def measure() -> list[Figure]:
    """What the client measures, in a process of its own with the product's event loop."""
    cores = sorted(os.sched_getaffinity(0))
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.providers", stdout=asyncio.subprocess.PIPE, cwd=ROOT,
        env={**os.environ, "CLIENT_CORE": str(cores[0]), "BANKS_CORE": str(cores[-1])},
    )  # fmt: skip
    told, _ = await client.communicate()
    if client.returncode:
        raise RuntimeError("the search's client failed")
    return [Figure(**each) for each in json.loads(told)]


async def _measured() -> list[Figure]:
    """Latency, overhead and rate; a search is whole with fifteen offers and five reasons."""
    telemetry.configure("CRITICAL")
    os.sched_setaffinity(0, {int(os.environ["CLIENT_CORE"])})
    _come_first()
    async with _banks({int(os.environ["BANKS_CORE"])}) as ports:
        latency = await _latency(ports)
        overhead = await _overhead(ports)
        rate, share = await _rate(ports)
    elapsed_ms = [each.elapsed_ms for each in latency]
    _tell(f"{len(latency)} searches, p50 {statistics.median(elapsed_ms):.0f} ms")
    _tell(f"reasons of each: {dict(_reasons(latency[0].answers))}")
    _tell(f"overhead p50 {statistics.median(overhead):.1f} ms; client {share:.0%} of a core")
    return [
        Figure("offers.search_p99_ms", _p99(elapsed_ms), "ms"),
        Figure("offers.search_whole", sum(map(_whole, latency)) / len(latency), "of searches"),
        Figure("offers.overhead_p99_ms", _p99(overhead), "ms"),
        Figure("offers.search_rate", round(rate, 1), "searches/s"),
    ]


async def _latency(ports: Sequence[int]) -> list[Searched]:
    """A few searches at a time over all lenders."""
    found: list[Searched] = []
    async with _searching(ports) as search:
        while len(found) < LATENCY_SEARCHES:
            found += await asyncio.gather(
                *(_searched(search, len(found) + n) for n in range(LATENCY_AT_ONCE))
            )
    return found


async def _overhead(ports: Sequence[int]) -> list[float]:
    """One search at a time over the lenders that answer."""
    overheads_ms: list[float] = []
    async with _searching(ports[:GOOD], overheads_ms) as search:
        await _searched(search, 0)  # connections and tokens are there from now on
        overheads_ms.clear()
        for number in range(OVERHEAD_SEARCHES):
            await _searched(search, number + 1)
    return overheads_ms


async def _rate(ports: Sequence[int]) -> tuple[float, float]:
    """Whole searches a second with many at a time, and the share of its core the client took."""
    numbers = iter(range(1_000_000))
    found: list[Searched] = []
    async with _searching(ports) as search:
        began, began_cpu = time.monotonic(), time.process_time()

        async def one_after_the_other(place: int) -> None:
            # Clients do not come all at once.
            await asyncio.sleep(place * DEADLINE_S / RATE_AT_ONCE)
            while time.monotonic() < began + RATE_S:
                found.append(await _searched(search, next(numbers)))

        await asyncio.gather(*(one_after_the_other(place) for place in range(RATE_AT_ONCE)))
        elapsed_s = time.monotonic() - began
        share = (time.process_time() - began_cpu) / elapsed_s
    whole = [each for each in found if _whole(each)]
    _tell(f"{len(found)} searches in {elapsed_s:.1f} s, {len(whole)} with all {GOOD} offers")
    _tell(f"reasons of all: {dict(_reasons([one for each in found for one in each.answers]))}")
    return len(whole) / elapsed_s, share


async def _searched(search: ConcurrentOfferSearch, number: int) -> Searched:
    criteria = SearchCriteria(500_000 + number, "USD", 12 + number % 24, "US", _WALLET)
    search_id = new_id("srch")
    asked = criteria.request("acme", search_id, eip712.loan_reference("acme", search_id), _VENUE)
    began = time.perf_counter()
    answers = await search.search(asked, DEADLINE_S)
    return Searched((time.perf_counter() - began) * 1_000, answers)


def _whole(searched: Searched) -> bool:
    """Fifteen offers, and the true reason for each of the five others."""
    reasons = _reasons(searched.answers)
    truly = reasons[DEADLINE_EXCEEDED] == HANGING and reasons[BUSY] == FAILING
    return truly and _found(searched) == GOOD


def _found(searched: Searched) -> int:
    return sum(each.quote is not None for each in searched.answers)


def _reasons(answers: Sequence[ProviderAnswer]) -> Counter[str]:
    return Counter(each.reason for each in answers if each.reason is not None)


@asynccontextmanager
async def _searching(
    ports: Sequence[int], overheads_ms: list[float] | None = None
) -> AsyncIterator[ConcurrentOfferSearch]:
    """A search over newly opened adapters that have their tokens."""
    async with _callers() as caller:
        around = Surroundings(caller, _no_chain, eip712.terms_hash, breaker=_PATIENT)
        plugin = dataclasses.replace(
            PLUGIN, manifest=dataclasses.replace(PLUGIN.manifest, limits=_LIMITS)
        )
        providers: dict[str, CreditProvider] = {}
        for bank, port in zip(plan(), ports, strict=False):
            provider = open_provider(
                plugin,
                f"bank-{bank.number:02}",
                f"http://127.0.0.1:{port}",
                {"lender_address": bank.lender_address},
                {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
                around,
            )
            if overheads_ms is not None:
                provider = TimedProvider(provider, overheads_ms)
            providers[provider.provider_id] = provider
        await asyncio.gather(*(each.connect() for each in providers.values()))
        search = ConcurrentOfferSearch(Everybody(tuple(providers.values())), OfferCache(ttl_s=0))
        yield search
        await search.close()


@asynccontextmanager
async def _callers() -> AsyncIterator[Any]:
    client = new_client(max_connections=10_000)
    try:
        yield lambda url, deadline_s, max_bytes: HTTPCaller(client, url, deadline_s, max_bytes)
    finally:
        await client.aclose()


def _no_chain() -> Any:
    raise AssertionError("banks read no chain")


def plan() -> list[Bank]:
    """The banks: those that answer first."""
    modes = ["good"] * GOOD + ["hang"] * HANGING + ["fail"] * FAILING
    delays = (*DELAYS_MS, *[0] * (HANGING + FAILING))
    return [
        Bank(number, mode, delay)
        for number, (mode, delay) in enumerate(zip(modes, delays, strict=True))
    ]


@asynccontextmanager
async def _banks(cores: set[int]) -> AsyncIterator[list[int]]:
    """The banks' ports; they run on these cores, and end when this does."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.lenders",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    os.sched_setaffinity(process.pid, cores)
    try:
        process.stdin.write(json.dumps([asdict(each) for each in plan()]).encode() + b"\n")
        await process.stdin.drain()
        yield json.loads(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()


def _come_first() -> None:
    """Ask to be run before other work of the machine; the banks inherit it."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        load = " ".join(f"{each:.1f}" for each in os.getloadavg())
        _tell(f"measured beside whatever else runs; load average {load}")


def _p99(values: Sequence[float]) -> float:
    return round(statistics.quantiles(values, n=100)[98], 1)


def _tell(line: str) -> None:
    print(f"providers: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps([asdict(each) for each in runner.run(_measured())]))
