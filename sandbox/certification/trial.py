"""One row's trial: an adapter opened as in production, a line to break, a borrower who signs."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Generic, NoReturn, TypeVar

from activities.ports.credit_provider import CreditProvider
from adapters.chain import eip712
from adapters.chain.rpc import JSONRPCProvider
from adapters.http import HTTPCaller, new_client
from adapters.providers.opening import Surroundings, open_provider
from adapters.providers.plugin import Opening, Plugin
from adapters.providers.provider_metrics import ProviderMetrics
from models.domain.errors import CreditError
from models.domain.offer import Acceptance, Quote, QuoteRequest
from sandbox.certification.faults import rewritten
from sandbox.certification.rehearsal import Document, Rehearsal, Stage, Step
from sandbox.certification.tapping import Own, Tapped
from sandbox.certification.wire import Fault, Line, Reply, Wire

T = TypeVar("T")

PROVIDER_ID: Final = "candidate"
TENANT: Final = "acme"
_BORROWER_KEY: Final = "0x" + "3c" * 32
BORROWER: Final = eip712.address_of(_BORROWER_KEY)
_ACCEPTANCE_VALID_S: Final = 3600


@dataclass(frozen=True, slots=True)
class Options:
    """How long things take in a rehearsal, and how large they are.

    `deadline_s` is the adapter's deadline where the lender does not answer; `patience_s` wherever
    it does, so that a busy machine fails nobody. An answer is late `grace_s` after the deadline.
    """

    deadline_s: float = 1.0
    patience_s: float = 15.0
    grace_s: float = 1.5
    huge_bytes: int = 100_000_000
    at_once: int = 8

    @property
    def fault_s(self) -> float:
        """How long a lender that does not answer is silent: longer than anybody should wait."""
        return 2 * (self.deadline_s + self.grace_s)


class Unmet(Exception):
    """What happened is not what was expected; the text says what happened."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What all rows of a certification share."""

    plugin: Plugin
    rehearsal: Rehearsal
    stage: Stage
    counterparty_url: str
    journal: Path
    wire: Wire
    options: Options
    metrics: ProviderMetrics = field(default_factory=ProviderMetrics)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What became of a call: its answer or its error, and how long it took."""

    answer: T | None
    error: BaseException | None
    elapsed_s: float
    own: tuple[Own, ...]  # of the adapter itself, before its guard

    def told(self) -> str:
        """In one line, without what an error says of secrets."""
        took = f"after {self.elapsed_s * 1000:.0f} ms"
        if isinstance(self.error, CreditError):
            return f"{type(self.error).__name__} {self.error.code} {took}"
        if self.error is not None:
            return f"raised {type(self.error).__name__} {took}"
        if isinstance(self.answer, tuple):
            return f"answered with {len(self.answer)} offers {took}"
        return f"answered {took}"


class Trial:
    """What one row works with; everything it opens is closed with it."""

    def __init__(self, ground: Ground, stack: AsyncExitStack) -> None:
        self.ground = ground
        self.options = ground.options
        self.line = ground.wire.line(ground.counterparty_url)
        self.lines: list[Line] = [self.line]
        self.errors: list[BaseException] = []
        self._own: list[Own] = []
        self._stack = stack
        self.request = self.another_request()

    def another_request(self) -> QuoteRequest:
        """The loan the lender wants, for an application of its own."""
        application_id = "app_" + secrets.token_hex(16)
        return QuoteRequest(
            **{
                "tenant_id": TENANT,
                "application_id": application_id,
                "loan_reference": eip712.loan_reference(TENANT, application_id),
                "borrower": BORROWER,
                "amount_minor": 1_500_000,
                "currency": "USD",
                "term_months": 36,
                "jurisdiction": "US",
                "score": 720,
                "pd": 0.0125,
                "venue": self.ground.stage.venue,
                **self.ground.rehearsal.loan,
            }
        )

    def open(
        self,
        *,
        deadline_s: float | None = None,
        credentials: Mapping[str, str] | None = None,
        line: Line | None = None,
    ) -> CreditProvider:
        """Another adapter of the same lender, guarded as in production: as after a restart."""
        plugin, stage = self.ground.plugin, self.ground.stage
        limits = replace(
            plugin.manifest.limits,
            deadline_s=self.options.patience_s if deadline_s is None else deadline_s,
        )
        hurried = replace(
            plugin, manifest=replace(plugin.manifest, limits=limits), open=self._opened
        )
        return open_provider(
            hurried,
            PROVIDER_ID,
            (line or self.line).url,
            stage.config,
            stage.credentials if credentials is None else credentials,
            Surroundings(self._caller, self._rpc, eip712.terms_hash, metrics=self.ground.metrics),
        )

    async def quoted(self) -> tuple[CreditProvider, Quote]:
        """A connected adapter and the first quote it gives while all is well."""
        provider = self.open()
        await provider.connect()
        quotes = await provider.get_offers(self.request)
        if not quotes:
            raise Unmet("no offer for a loan the lender wants")
        return provider, quotes[0]

    def acceptance(self, quote: Quote) -> Acceptance:
        """The borrower's acceptance of a quote, signed."""
        venue = self.ground.stage.venue
        fields: dict[str, Any] = {
            "terms_hash": quote.terms_hash,
            "borrower": BORROWER,
            "nonce": quote.terms.nonce,
            "deadline": int(time.time()) + _ACCEPTANCE_VALID_S,
        }
        signature = eip712.sign_acceptance(
            **fields,
            chain_id=venue.chain_id,
            aggregator=venue.aggregator,
            private_key=_BORROWER_KEY,
        )
        return Acceptance(**fields, signature=signature)

    def break_at(self, step: Step, fault: Fault) -> None:
        """From now on, this fault at requests of this step."""
        step_of = self.ground.rehearsal.step_of
        self.line.break_with(fault, lambda asked: step_of(asked) is step)

    def rewrite_at(self, step: Step, change: Callable[[Document], bytes | None]) -> None:
        """From now on, answers of this step as `change` leaves them, or the bytes it returns."""

        def written(reply: Reply) -> Reply:
            if reply.status >= 400:
                return reply
            document = self.ground.rehearsal.opened(reply.body)
            raw = change(document)
            return replace(reply, body=document.encoded() if raw is None else raw)

        self.break_at(step, rewritten(written))

    async def watch(self, call: Awaitable[T], within_s: float | None = None) -> Outcome[T]:
        """What becomes of a call; Unmet if it takes much longer than it may."""
        limit_s = (self.options.patience_s if within_s is None else within_s) + self.options.grace_s
        heard, started = len(self._own), time.monotonic()
        task = asyncio.ensure_future(call)
        done, _ = await asyncio.wait({task}, timeout=limit_s)
        elapsed_s = time.monotonic() - started
        if not done:
            task.cancel()
            await asyncio.wait({task}, timeout=1.0)
            raise Unmet(f"no answer after {elapsed_s:.1f} s")
        error = task.exception() if not task.cancelled() else asyncio.CancelledError()
        if error is not None:
            self.errors.append(error)
        if elapsed_s > limit_s:
            raise Unmet(f"an answer only after {elapsed_s:.1f} s")
        own = tuple(self._own[heard:])
        self.errors += [each.error for each in own if each.error is not None]
        _require_of_the_contract(own)
        return Outcome(None if error else task.result(), error, elapsed_s, own)

    async def refused(
        self,
        call: Awaitable[Any],
        kind: type[CreditError],
        codes: frozenset[str] = frozenset(),
        within_s: float | None = None,
    ) -> Outcome[Any]:
        """The call fails in this way, with one of these codes if any are named; else Unmet."""
        outcome = await self.watch(call, within_s)
        if not _is(outcome.error, kind, codes):
            raise Unmet(outcome.told())
        for own in outcome.own:
            if not _is(own.error, kind, codes):
                raise Unmet(f"{_told(own)}; its guard made it {outcome.told()}")
        return outcome

    async def given(self, call: Awaitable[T]) -> T:
        """The call's answer; Unmet if it fails."""
        outcome = await self.watch(call)
        if outcome.error is not None:
            raise Unmet(outcome.told())
        return outcome.answer  # type: ignore[return-value]  # without an error there is an answer

    def effects(self) -> int:
        """How many loans the lender signed for this application, by its own journal."""
        lines = map(json.loads, self.ground.journal.read_text("utf-8").splitlines())
        return sum(
            line["kind"] == "effect"
            and line.get("effect") == self.ground.rehearsal.effect
            and line.get("loan_reference") == self.request.loan_reference
            for line in lines
        )

    def secrets(self) -> set[str]:
        """What must be read in no log and in no error: credentials, and the tokens they gave."""
        passed = (asked.headers.get("authorization", "") for asked in self.all_asked())
        tokens = {value.partition(" ")[2] for value in passed}
        return {*self.ground.stage.credentials.values(), *tokens} - {""}

    def all_asked(self) -> list[Any]:
        """Every request of this row."""
        return [asked for line in self.lines for asked in line.asked]

    def another_line(self) -> Line:
        """A second way to the same lender."""
        self.lines.append(self.ground.wire.line(self.ground.counterparty_url))
        return self.lines[-1]

    def _opened(self, opening: Opening) -> CreditProvider:
        return Tapped(self.ground.plugin.open(opening), self._own)

    def _caller(self, url: str, deadline_s: float, max_bytes: int) -> HTTPCaller:
        client = new_client()
        self._stack.push_async_callback(client.aclose)
        return HTTPCaller(client, url, deadline_s, max_bytes)

    def _rpc(self) -> JSONRPCProvider:
        url = self.ground.stage.rpc_url
        if url is None:
            raise Unmet("it asks for a chain, and its rehearsal has none")
        rpc = JSONRPCProvider(url)
        self._stack.push_async_callback(rpc.close)
        return rpc


def _require_of_the_contract(own: tuple[Own, ...]) -> None:
    """Unmet if the adapter itself raised what its contract does not know."""
    for each in own:
        never = each.call in ("get_status", "disconnect")
        if each.error is not None and (never or not isinstance(each.error, CreditError)):
            raise Unmet(f"{_told(each)}, caught by its guard")


def _is(error: object, kind: type[CreditError], codes: frozenset[str]) -> bool:
    return isinstance(error, kind) and (not codes or error.code in codes)


def _told(own: Own) -> str:
    """What the adapter itself did, in one line."""
    if isinstance(own.error, CreditError):
        return f"{own.call} raised {type(own.error).__name__} {own.error.code}"
    if own.error is not None:
        return f"{own.call} raised {type(own.error).__name__}"
    count = f" {len(own.answer)} offers" if isinstance(own.answer, tuple) else ""
    return f"{own.call} answered{count}"


def require(condition: bool, happened: str) -> None:
    """Unmet with what happened unless the condition holds."""
    if not condition:
        unmet(happened)


def unmet(happened: str) -> NoReturn:
    """The row's expectation is not met."""
    raise Unmet(happened)
