"""Searching offers: every eligible lender at once, under one deadline; satisfies `OfferSearch`.

Late lenders are named and left behind, failing ones named with their reason; neither costs the
applicant the others' offers. Searches about the same criteria share what is under way and, for a
short time, what came of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

import structlog

from activities.ports.credit_provider import Asked, CreditProvider, ProviderDirectory
from adapters.offer_cache import OfferCache
from models.domain.errors import CreditError, Transient, Unavailable
from models.domain.offer import ProviderAnswer, QuoteRequest
from models.domain.offer_search import (
    DEADLINE_EXCEEDED,
    NOT_OFFERED,
    PROVIDER_FAILED,
    QUOTE_EXPIRED,
    OffersSeen,
    cache_key,
    each_once,
)

# What cancelled calls get to give their connections back; who needs longer is left to itself.
_GRACE_S: Final = 0.02
# Of one lender in one search: more choices are no help, and a flood of them is a mistake.
MAX_QUOTES: Final = 20

_log = structlog.get_logger("adapters.offer_search")

Answers = tuple[ProviderAnswer, ...]


@dataclass(slots=True)
class _Call:
    """One lender being asked, and how many searches wait for it."""

    task: asyncio.Task[Answers]
    waiting: int = 0


@dataclass(slots=True)
class _FanOut:
    """One search's calls under way by provider, and those that answered, in order of arrival."""

    calls: dict[str, _Call] = field(default_factory=dict)
    arrived: asyncio.Queue[str] = field(default_factory=asyncio.Queue)


class ConcurrentOfferSearch:
    """Asks all eligible lenders at once."""

    def __init__(self, directory: ProviderDirectory, cache: OfferCache | None = None) -> None:
        self._directory = directory
        self._cache = cache if cache is not None else OfferCache()
        self._shared: dict[tuple[str, QuoteRequest], _Call] = {}
        self._lingering: set[asyncio.Task[Answers]] = set()

    async def search(self, request: QuoteRequest, deadline_s: float) -> Answers:
        """A quote or a reason from every lender, in the directory's order.

        Raises Unavailable when the directory does not say in time whom to ask.
        """
        given: dict[str, Answers] = {}
        order: dict[str, int] = {}
        async with aclosing(self._answers(request, deadline_s, order)) as answers:
            async for several in answers:
                given[several[0].provider_id] = several
        # Merged in the directory's order, so that the same answers give the same offers.
        return each_once(given[each] for each in sorted(given, key=lambda each: order[each]))

    async def stream(
        self, request: QuoteRequest, deadline_s: float
    ) -> AsyncGenerator[ProviderAnswer, None]:
        """The same as it arrives; close it to stop asking. Raises like `search`, before any."""
        seen = OffersSeen()
        async with aclosing(self._answers(request, deadline_s, {})) as answers:
            async for several in answers:
                for answer in seen.merged(several):
                    yield answer

    async def close(self) -> None:
        """Stop what is under way."""
        tasks = {call.task for call in self._shared.values()} | self._lingering
        await _stopped(tasks)

    async def _answers(
        self, request: QuoteRequest, deadline_s: float, order: dict[str, int]
    ) -> AsyncGenerator[Answers, None]:
        """Each provider's answers once, as they arrive; `order` is told where each one stands."""
        deadline_at = asyncio.get_running_loop().time() + deadline_s
        try:
            async with asyncio.timeout_at(deadline_at):
                asked = await self._directory.eligible(request)
        except TimeoutError as error:
            raise Unavailable("PROVIDERS_UNKNOWN", "the directory did not answer") from error
        names = [each.provider_id for each in asked.providers]
        names += [each.provider_id for each in asked.missing]
        order.update({name: place for place, name in enumerate(names)})
        fan_out = _FanOut()
        try:
            # Lenders are asked before anything is told: who reads slowly must not hold them up.
            known = self._begin(fan_out, asked, request)
            for several in known:
                yield several
            async with aclosing(self._collected(fan_out, deadline_at)) as arriving:
                async for several in arriving:
                    yield several
        finally:
            await self._leave(fan_out)

    def _begin(self, fan_out: _FanOut, asked: Asked, request: QuoteRequest) -> list[Answers]:
        """Ask whoever has to be asked; returns what is known without asking."""
        known: list[Answers] = [(each.answer(),) for each in asked.missing]
        criteria = cache_key(request)
        for provider in {each.provider_id: each for each in asked.providers}.values():
            kept = self._cache.get(provider.provider_id, criteria) if criteria else None
            if kept is not None:
                known.append(kept)
            else:
                self._ask(fan_out, provider, request, criteria)
        return known

    async def _collected(
        self, fan_out: _FanOut, deadline_at: float
    ) -> AsyncGenerator[Answers, None]:
        outstanding = dict.fromkeys(fan_out.calls)
        while outstanding:
            try:
                async with asyncio.timeout_at(deadline_at):
                    name = await fan_out.arrived.get()
            except TimeoutError:
                break
            del outstanding[name]
            yield _result(name, fan_out.calls[name].task)
        for name in outstanding:
            # It may have answered in the very moment the time was up.
            task = fan_out.calls[name].task
            yield _result(name, task) if task.done() else _late(name)

    def _ask(
        self,
        fan_out: _FanOut,
        provider: CreditProvider,
        request: QuoteRequest,
        criteria: QuoteRequest | None,
    ) -> None:
        """Join the call that is under way for these criteria, or start one."""
        name = provider.provider_id
        call = self._shared.get((name, criteria)) if criteria else None
        if call is None:
            call = _Call(asyncio.create_task(_asked(provider, request), name=f"offers of {name}"))
            if criteria is not None:
                self._share(name, criteria, call)
        call.waiting += 1
        fan_out.calls[name] = call
        call.task.add_done_callback(lambda _: fan_out.arrived.put_nowait(name))

    def _share(self, name: str, criteria: QuoteRequest, call: _Call) -> None:
        self._shared[name, criteria] = call

        def conclude(task: asyncio.Task[Answers]) -> None:
            if self._shared.get((name, criteria)) is call:
                del self._shared[name, criteria]
            if not task.cancelled():
                self._cache.keep(name, criteria, task.result())

        call.task.add_done_callback(conclude)

    async def _leave(self, fan_out: _FanOut) -> None:
        """Cancel what nobody waits for any more; never wait for it beyond a moment."""
        cancelled = set()
        for call in fan_out.calls.values():
            call.waiting -= 1
            if not call.waiting and not call.task.done():
                cancelled.add(call.task)
        for key in [key for key, call in self._shared.items() if call.task in cancelled]:
            # Whoever asks from now on starts afresh.
            del self._shared[key]
        for task in await _stopped(cancelled):
            self._lingering.add(task)
            task.add_done_callback(self._lingering.discard)
            _log.warning("provider_lingers", name=task.get_name())


async def _asked(provider: CreditProvider, request: QuoteRequest) -> Answers:
    """What one lender says: its quotes or one reason; it raises nothing but its cancellation."""
    name = provider.provider_id
    try:
        quotes = await provider.get_offers(request)
        answers = tuple(ProviderAnswer(name, quote) for quote in quotes[:MAX_QUOTES])
    except TimeoutError:
        return _late(name)
    except CreditError as error:  # the guard around the adapter has told it to the log
        passing = isinstance(error, Transient) or error.code == QUOTE_EXPIRED
        return _missing(name, error.code, passing=passing)
    except Exception as error:
        # One lender's adapter must not cost the applicant the others' offers.
        _log.exception("provider_bug", provider=name, exc_info=error)
        return _missing(name, PROVIDER_FAILED)
    return answers or _missing(name, NOT_OFFERED)


async def _stopped(tasks: set[asyncio.Task[Answers]]) -> set[asyncio.Task[Answers]]:
    """Cancel these; returns those that do not end within a moment."""
    for task in tasks:
        task.cancel()
    if not tasks:
        return set()
    _, running = await asyncio.wait(tasks, timeout=_GRACE_S)
    return running


def _result(name: str, task: asyncio.Task[Answers]) -> Answers:
    # An adapter that cancels itself has a bug of its own.
    return _missing(name, PROVIDER_FAILED) if task.cancelled() else task.result()


def _late(name: str) -> Answers:
    return _missing(name, DEADLINE_EXCEEDED, passing=True)


def _missing(name: str, reason: str, *, passing: bool = False) -> Answers:
    return (ProviderAnswer(name, None, reason, passing),)
