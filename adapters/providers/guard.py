"""What is put around every lender's adapter, so that none of it is in any of them.

    a total deadline for each call of the contract, all its requests and its waiting together
    so many calls at a time, and so many requests a second (pacing.py)
    a circuit breaker (breaker.py)
    what the lender answered, held against what was asked (answer_check.py)
    the manifest's error map, metrics, and logs without content

Whatever goes wrong leaves it as Permanent itself, which Temporal knows by its name as final, or as
some Transient. It never repeats a call. The codes that are its own:

    Transient   CIRCUIT_OPEN       the lender is left alone for now
    Transient   RATE_LIMITED       no request may be sent within the call's time
    Transient   PROVIDER_BUSY      as many calls as allowed are under way
    Unavailable DEADLINE_EXCEEDED  the lender did not answer in time
    Permanent   PROVIDER_NEEDS_PERSON  by the error map: a person has to look at it
    PROVIDER_FAILED                the adapter itself broke: Permanent, but Transient for an
                                   acceptance, of which nobody knows whether it was heard
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from adapters.http import RetryLater
from adapters.providers.answer_check import PROVIDER_FAILED, checked_confirmation, checked_quotes
from adapters.providers.breaker import DEFAULT_POLICY, Breaker, BreakerPolicy, BreakerState, Verdict
from adapters.providers.lender import CREDENTIALS_REFUSED
from adapters.providers.pacing import RATE_LIMITED, TURN, Pace, Turn
from adapters.providers.provider_metrics import ProviderMetrics
from adapters.providers.quote_check import MALFORMED_RESPONSE, LenderRefused
from models.domain.errors import CreditError, Permanent, Transient, Unavailable
from models.domain.offer import Acceptance, LenderConfirmation, LoanTerms, Quote, QuoteRequest
from models.domain.provider import ErrorClass, Manifest, ProviderStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from activities.ports.credit_provider import CreditProvider

CIRCUIT_OPEN: Final = "CIRCUIT_OPEN"
PROVIDER_BUSY: Final = "PROVIDER_BUSY"
DEADLINE_EXCEEDED: Final = "DEADLINE_EXCEEDED"
NEEDS_PERSON: Final = "PROVIDER_NEEDS_PERSON"

# What goes wrong between us and the lender, and says nothing of its health: as it is counted.
_NOT_THE_LENDERS: Final = {
    RATE_LIMITED: "rate_limited",
    CREDENTIALS_REFUSED: "credentials_refused",
    PROVIDER_FAILED: "failed",
}
# Whoever gives a call up after less than this has learnt nothing about the lender.
UNANSWERED_S: Final = 0.25
# A health question is no business: it waits for nobody and holds nobody up.
_STATUS_DEADLINE_S: Final = 3.0

T = TypeVar("T")

_log = structlog.get_logger("adapters.providers.guard")


@dataclass(slots=True)
class _Call:
    """One call of the contract, from its admission to its outcome."""

    name: str
    turn: Turn
    started_at: float
    asked_at: float | None = None  # when the adapter was called
    outcome: str = "ok"
    verdict: Verdict = Verdict.GOOD


class Guarded:
    """Satisfies `CreditProvider` around any adapter that does. Not for several threads."""

    def __init__(
        self,
        adapter: CreditProvider,
        manifest: Manifest,
        pace: Pace,
        terms_hash: Callable[[LoanTerms], str],
        metrics: ProviderMetrics,
        *,
        policy: BreakerPolicy = DEFAULT_POLICY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`pace` is also the gate the adapter's requests pass; `clock` is the one it goes by."""
        self.provider_id = adapter.provider_id
        self.manifest = manifest
        self.limits = manifest.limits
        self._adapter = adapter
        self._pace = pace
        self._terms_hash = terms_hash
        self._metrics = metrics
        self._clock = clock
        self._places = asyncio.Semaphore(self.limits.concurrency)
        self._breaker = Breaker(policy, clock, self._breaker_changed)
        metrics.breaker(self.provider_id, BreakerState.CLOSED)

    @property
    def breaker_state(self) -> BreakerState:
        """Whether calls pass now."""
        return self._breaker.state

    @property
    def breaker_since_s(self) -> float:
        """For how long the breaker has been closed, or has not been."""
        return self._breaker.since_s

    async def connect(self) -> None:
        """As the adapter's; raises Permanent or Transient."""
        await self._called("connect", self._adapter.connect)

    async def disconnect(self) -> None:
        """As the adapter's; never raises."""
        try:
            async with asyncio.timeout(self.limits.deadline_s):
                await self._adapter.disconnect()
        except Exception as error:
            self._broke("disconnect", error)

    async def get_offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        """The lender's quotes, each once, each for what was asked; raises as the contract says."""

        async def ask() -> tuple[Quote, ...]:
            quotes = await self._adapter.get_offers(request)
            return checked_quotes(quotes, request, self.provider_id, self._terms_hash)

        return await self._called("get_offers", ask)

    async def accept_offer(
        self, tenant_id: str, application_id: str, quote: Quote, acceptance: Acceptance
    ) -> LenderConfirmation:
        """The lender's confirmation of exactly this quote; raises as the contract says.

        An open breaker does not hold it up: the applicant is bound to this lender, there is no
        other to ask instead, and Temporal decides when it is tried again.
        """

        async def ask() -> LenderConfirmation:
            confirmation = await self._adapter.accept_offer(
                tenant_id, application_id, quote, acceptance
            )
            return checked_confirmation(confirmation, quote)

        return await self._called("accept_offer", ask, binding=True)

    async def get_status(self) -> ProviderStatus:
        """As the adapter's, past limits and breaker; INACTIVE for whatever goes wrong."""
        held = TURN.set(Turn(ends_at=self._clock() + _STATUS_DEADLINE_S, paid=float("inf")))
        try:
            async with asyncio.timeout(_STATUS_DEADLINE_S):
                return ProviderStatus(await self._adapter.get_status())
        except (CreditError, TimeoutError):
            return ProviderStatus.INACTIVE
        except Exception as error:
            self._broke("get_status", error)
            return ProviderStatus.INACTIVE
        finally:
            TURN.reset(held)

    async def _called(
        self, name: str, ask: Callable[[], Awaitable[T]], *, binding: bool = False
    ) -> T:
        admitted = self._breaker.admit()
        if admitted is None and not binding:
            self._metrics.called(self.provider_id, name, "circuit_open", 0.0)
            raise Transient(CIRCUIT_OPEN, self.provider_id)
        now = self._clock()
        call = _Call(name, Turn(now + self.limits.deadline_s), now)
        held = TURN.set(call.turn)
        try:
            with self._judged(call, binding=binding):
                async with asyncio.timeout(self.limits.deadline_s), self._places:
                    await self._pace.take(call.turn.ends_at)
                    call.turn.paid = 1
                    call.asked_at = self._clock()
                    return await ask()
        finally:
            TURN.reset(held)
            if admitted is not None:
                self._breaker.settle(admitted, call.verdict)
            elapsed_s = self._clock() - call.started_at
            self._metrics.called(self.provider_id, name, call.outcome, elapsed_s)
        raise AssertionError("a call returns or raises")

    @contextmanager
    def _judged(self, call: _Call, *, binding: bool) -> Iterator[None]:
        """What an outcome says of the lender, and as which error it goes on."""
        try:
            yield
        except asyncio.CancelledError:
            unanswered = self._clock() - (call.asked_at or self._clock()) >= UNANSWERED_S
            call.verdict = Verdict.BAD if unanswered else Verdict.NEUTRAL
            call.outcome = "given_up"
            raise
        except TimeoutError as error:
            raise self._late(call) from error
        except CreditError as error:
            raised = self._translated(error)
            call.outcome, call.verdict = _judgement(error, raised)
            self._tell(call, raised)
            if raised is error:
                raise  # an error that is its own cause could not be told to Temporal
            raise raised from error
        except Exception as error:
            self._broke(call.name, error)
            # A bug says nothing of the lender's health.
            call.outcome, call.verdict = "failed", Verdict.NEUTRAL
            kind = Transient if binding else Permanent
            raise kind(PROVIDER_FAILED, type(error).__name__) from error

    def _late(self, call: _Call) -> Transient:
        if call.asked_at is None:
            call.outcome, call.verdict = "busy", Verdict.NEUTRAL
            return Transient(PROVIDER_BUSY, f"{self.limits.concurrency} calls are under way")
        call.outcome, call.verdict = "timeout", Verdict.BAD
        late = Unavailable(DEADLINE_EXCEEDED, f"no answer within {self.limits.deadline_s:g} s")
        self._tell(call, late)
        return late

    def _translated(self, error: CreditError) -> CreditError:
        """The error by the manifest's map, as one of the classes Temporal knows."""
        if isinstance(error, LenderRefused):
            taken = self.manifest.error_map.get(error.lender_code)
            if taken is ErrorClass.RETRY:
                return Transient(error.code, error.detail)
            if taken is ErrorClass.PERSON:
                return Permanent(NEEDS_PERSON, error.detail)
            return Permanent(error.code, error.detail)
        if isinstance(error, Transient | Permanent):
            return error
        # Of the domain's other errors an adapter has none to raise.
        return Permanent(PROVIDER_FAILED, str(error))

    def _tell(self, call: _Call, error: CreditError) -> None:
        elapsed_ms = round((self._clock() - call.started_at) * 1000)
        _log.warning(
            "provider_call",
            provider=self.provider_id,
            call=call.name,
            outcome=call.outcome,
            code=error.code,
            elapsed_ms=elapsed_ms,
        )

    def _broke(self, name: str, error: Exception) -> None:
        _log.error("provider_bug", provider=self.provider_id, call=name, exc_info=error)

    def _breaker_changed(self, state: BreakerState) -> None:
        self._metrics.breaker(self.provider_id, state)
        _log.warning("provider_breaker", provider=self.provider_id, outcome=state.value)


def _judgement(error: CreditError, raised: CreditError) -> tuple[str, Verdict]:
    """One of a few words for an error, and whether it speaks against the lender's health.

    A refusal is an answer, and speaks for it; wrong credentials and too many requests are our own.
    """
    if error.code in _NOT_THE_LENDERS:
        return _NOT_THE_LENDERS[error.code], Verdict.NEUTRAL
    if isinstance(error, RetryLater) and error.status == 429:
        return "too_many_requests", Verdict.NEUTRAL
    if error.code == MALFORMED_RESPONSE:
        return "malformed", Verdict.BAD
    if isinstance(raised, Transient) and not isinstance(error, LenderRefused):
        return "unreachable" if isinstance(raised, Unavailable) else "unavailable", Verdict.BAD
    return "refused", Verdict.GOOD
