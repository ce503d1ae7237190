"""Around any adapter: a deadline, limits, a breaker, one vocabulary of errors, counts and logs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from adapters.chain.eip712 import terms_hash
from adapters.http import RetryLater
from adapters.providers import provider_metrics
from adapters.providers.breaker import BreakerPolicy, BreakerState
from adapters.providers.guard import Guarded
from adapters.providers.pacing import Pace
from adapters.providers.provider_metrics import ProviderMetrics
from adapters.providers.quote_check import LenderRefused
from models.domain.errors import CreditError, NotFound, Permanent, Transient, Unavailable
from models.domain.offer import Acceptance, LenderConfirmation, LoanTerms, Quote
from models.domain.provider import (
    ErrorClass,
    Limits,
    Manifest,
    ProviderStatus,
    ProviderType,
)
from tests.adapters.providers.borrowing import BORROWER, LENDER, REQUEST, TOKEN

Answer = Callable[[], Awaitable[Any]]

LIMITS = Limits(requests_per_s=1_000, burst=1_000, concurrency=2, deadline_s=0.2)
MANIFEST = Manifest(
    adapter="fake",
    version="1",
    type=ProviderType.FINTECH,
    about="",
    limits=LIMITS,
    error_map={
        "COME_BACK": ErrorClass.RETRY,
        "CALL_US": ErrorClass.PERSON,
        "NEVER": ErrorClass.PERMANENT,
    },
)
TERMS = LoanTerms(
    loan_reference=REQUEST.loan_reference,
    lender=LENDER,
    borrower=BORROWER,
    token=TOKEN,
    principal=15_000_000_000,
    total_repayable=16_884_000_000,
    apr_bps=812,
    term_months=36,
    nonce=1,
    deadline=4_000_000_000,
)
QUOTE = Quote(
    provider_id="fake",
    quote_id="q1",
    amount_minor=1_500_000,
    currency="USD",
    term_months=36,
    nominal_rate_bps=700,
    fee_minor=0,
    monthly_payment_minor=46_900,
    total_repayable_minor=1_688_400,
    apr_bps=812,
    expires_at="2096-01-01T00:00:00+00:00",
    terms=TERMS,
    terms_hash=terms_hash(TERMS),
)
ACCEPTANCE = Acceptance(QUOTE.terms_hash, BORROWER, 1, 4_000_000_000, "0x" + "ab" * 65)
CONFIRMATION = LenderConfirmation("q1", QUOTE.terms_hash, "0x" + "cd" * 65)


class Adapter:
    """Answers every call with the answer it was given last."""

    provider_id = "fake"

    def __init__(self) -> None:
        self.answer: Answer = returning((QUOTE,))
        self.calls = 0
        self.under_way = self.most_under_way = 0

    async def _called(self) -> Any:
        self.calls += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            return await self.answer()
        finally:
            self.under_way -= 1

    async def connect(self) -> None:
        await self._called()

    async def disconnect(self) -> None:
        await self._called()

    async def get_offers(self, request: Any) -> Any:
        return await self._called()

    async def accept_offer(self, *_: Any) -> Any:
        return await self._called()

    async def get_status(self) -> Any:
        return await self._called()


def returning(value: Any) -> Answer:
    async def answer() -> Any:
        return value

    return answer


def raising(error: BaseException) -> Answer:
    async def answer() -> Any:
        raise error

    return answer


async def hanging() -> Any:
    await asyncio.Event().wait()


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """An adapter, the guard around it, and what was counted."""

    def __init__(self, **limits: Any) -> None:
        self.adapter, self.clock, self.metrics = Adapter(), Clock(), ProviderMetrics()
        manifest = replace(MANIFEST, limits=replace(LIMITS, **limits))
        pace = Pace(manifest.limits.requests_per_s, manifest.limits.burst, self.clock, self._sleep)
        policy = BreakerPolicy(failures_in_a_row=3, open_s=10)
        self.slept: list[float] = []
        self.guard = Guarded(
            self.adapter, manifest, pace, terms_hash, self.metrics, policy=policy, clock=self.clock
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.clock.now += seconds

    async def offers(self) -> tuple[Quote, ...]:
        return await self.guard.get_offers(REQUEST)

    async def accept(self) -> LenderConfirmation:
        return await self.guard.accept_offer("acme", "app_1", QUOTE, ACCEPTANCE)

    async def fails(self, error: BaseException | Answer) -> CreditError:
        """What the guard makes of this failure of the adapter."""
        self.adapter.answer = raising(error) if isinstance(error, BaseException) else error
        with pytest.raises(CreditError) as raised:
            await self.offers()
        return raised.value

    def counted(self, call: str, outcome: str) -> float:
        labels = {"provider": "fake", "call": call, "outcome": outcome}
        return self.metrics.registry.get_sample_value("provider_calls_total", labels) or 0.0


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Without it every bug's frames are printed in colours, a second each."""
    with capture_logs():
        yield


async def test_a_good_answer_passes(bench: Bench) -> None:
    assert await bench.offers() == (QUOTE,)
    bench.adapter.answer = returning(CONFIRMATION)
    assert await bench.accept() == CONFIRMATION
    assert (bench.counted("get_offers", "ok"), bench.counted("accept_offer", "ok")) == (1, 1)


async def test_the_deadline_covers_the_whole_call(bench: Bench) -> None:
    error = await bench.fails(hanging)
    assert (type(error), error.code) == (Unavailable, "DEADLINE_EXCEEDED")
    assert bench.counted("get_offers", "timeout") == 1
    assert bench.adapter.under_way == 0  # it was cancelled, not forgotten


@pytest.mark.parametrize(
    ("raised", "kind", "code"),
    [
        (Permanent("TERMS_INVALID", "x"), Permanent, "TERMS_INVALID"),
        (Transient("ANY", "x"), Transient, "ANY"),
        (Unavailable("UPSTREAM_UNREACHABLE"), Unavailable, "UPSTREAM_UNREACHABLE"),
        (LenderRefused("PROVIDER_REFUSED", "", "ELSE"), Permanent, "PROVIDER_REFUSED"),
        (LenderRefused("QUOTE_EXPIRED", "", "NEVER"), Permanent, "QUOTE_EXPIRED"),
        (LenderRefused("PROVIDER_REFUSED", "", "COME_BACK"), Transient, "PROVIDER_REFUSED"),
        (LenderRefused("PROVIDER_REFUSED", "", "CALL_US"), Permanent, "PROVIDER_NEEDS_PERSON"),
        (NotFound("ANY"), Permanent, "PROVIDER_FAILED"),
        (ZeroDivisionError("secret"), Permanent, "PROVIDER_FAILED"),
    ],
)
async def test_errors_leave_as_those_temporal_knows_by_name(bench, raised, kind, code) -> None:
    error = await bench.fails(raised)
    assert (type(error), error.code) == (kind, code)
    assert "secret" not in str(error)
    assert bench.adapter.calls == 1  # nothing is repeated


async def test_a_bug_leaves_it_open_whether_an_acceptance_was_heard(bench: Bench) -> None:
    bench.adapter.answer = raising(KeyError("secret"))
    with pytest.raises(Transient) as raised:
        await bench.accept()
    assert (raised.value.code, raised.value.detail) == ("PROVIDER_FAILED", "KeyError")


async def test_so_many_calls_at_a_time_and_the_others_wait() -> None:
    async def slow() -> Any:
        for _ in range(5):
            await asyncio.sleep(0)
        return (QUOTE,)

    bench = Bench(deadline_s=60.0)
    bench.adapter.answer = slow
    await asyncio.gather(*(bench.offers() for _ in range(6)))
    assert (bench.adapter.calls, bench.adapter.most_under_way) == (6, 2)


async def test_who_never_gets_a_place_says_nothing_of_the_lender(bench: Bench) -> None:
    for _ in range(LIMITS.concurrency):
        await bench.guard._places.acquire()
    for _ in range(3):
        error = await bench.fails(hanging)
        assert (type(error), error.code) == (Transient, "PROVIDER_BUSY")
    assert bench.adapter.calls == 0
    assert bench.guard.breaker_state is BreakerState.CLOSED


async def test_requests_are_paced_within_the_deadline() -> None:
    bench = Bench(requests_per_s=0.01, burst=1, deadline_s=150)
    await bench.offers()
    await bench.offers()
    assert bench.slept == [100]
    bench.guard._pace.told(RetryLater("UPSTREAM_BUSY", "", 600, 429))
    error = await bench.fails(hanging)
    assert (type(error), error.code) == (Transient, "RATE_LIMITED")
    assert bench.adapter.calls == 2
    assert bench.counted("get_offers", "rate_limited") == 1


INFRASTRUCTURE = [
    Unavailable("UPSTREAM_UNREACHABLE"),
    RetryLater("UPSTREAM_BUSY", "", None, 503),
    Permanent("MALFORMED_RESPONSE"),
]
NOT_INFRASTRUCTURE = [
    Permanent("TERMS_INVALID"),
    LenderRefused("PROVIDER_REFUSED", "", "X"),
    LenderRefused("PROVIDER_REFUSED", "", "COME_BACK"),
    RetryLater("UPSTREAM_BUSY", "", 1, 429),
    Transient("CREDENTIALS_REFUSED"),
    ZeroDivisionError(),
]


@pytest.mark.parametrize("error", INFRASTRUCTURE, ids=lambda error: error.code)
async def test_failing_infrastructure_opens_the_breaker(bench: Bench, error) -> None:
    for _ in range(3):
        assert bench.guard.breaker_state is BreakerState.CLOSED
        await bench.fails(error)
    assert bench.guard.breaker_state is BreakerState.OPEN
    refused = await bench.fails(hanging)
    assert (type(refused), refused.code) == (Transient, "CIRCUIT_OPEN")
    assert bench.adapter.calls == 3
    bench.clock.now += 10
    bench.adapter.answer = returning((QUOTE,))
    await bench.offers()
    await bench.offers()
    assert bench.guard.breaker_state is BreakerState.CLOSED


@pytest.mark.parametrize("error", NOT_INFRASTRUCTURE, ids=str)
async def test_other_failures_do_not(bench: Bench, error) -> None:
    for _ in range(20):
        await bench.fails(error)
    assert bench.guard.breaker_state is BreakerState.CLOSED


async def test_a_lender_that_hangs_is_found_out_by_those_who_give_up(bench: Bench) -> None:
    bench.adapter.answer = hanging
    for _ in range(3):
        task = asyncio.create_task(bench.offers())
        await asyncio.sleep(0)
        bench.clock.now += 0.5
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert bench.guard.breaker_state is BreakerState.OPEN


async def test_a_caller_in_a_hurry_proves_nothing(bench: Bench) -> None:
    bench.adapter.answer = hanging
    for _ in range(20):
        task = asyncio.create_task(bench.offers())
        await asyncio.sleep(0)
        bench.clock.now += 0.2
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert bench.guard.breaker_state is BreakerState.CLOSED


async def test_an_acceptance_passes_an_open_breaker(bench: Bench) -> None:
    for _ in range(3):
        await bench.fails(Unavailable("UPSTREAM_UNREACHABLE"))
    bench.adapter.answer = returning(CONFIRMATION)
    assert await bench.accept() == CONFIRMATION
    assert bench.guard.breaker_state is BreakerState.OPEN  # one success proves little


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (returning(ProviderStatus.MAINTENANCE), ProviderStatus.MAINTENANCE),
        (returning("ACTIVE"), ProviderStatus.ACTIVE),
        (returning("FINE"), ProviderStatus.INACTIVE),
        (raising(Unavailable("X")), ProviderStatus.INACTIVE),
        (raising(ZeroDivisionError()), ProviderStatus.INACTIVE),
    ],
)
async def test_the_status_is_asked_past_the_breaker_and_never_raises(
    bench: Bench, answer, status
) -> None:
    for _ in range(3):
        await bench.fails(Unavailable("UPSTREAM_UNREACHABLE"))
    bench.adapter.answer = answer
    assert await bench.guard.get_status() is status


async def test_disconnecting_never_raises(bench: Bench) -> None:
    bench.adapter.answer = raising(ZeroDivisionError())
    await bench.guard.disconnect()


OTHER = replace(QUOTE, quote_id="q2")
BOUND = replace(TERMS, nonce=2)


def quote_with(**changes: Any) -> Quote:
    """The quote with other terms, hashed as they are."""
    terms = replace(TERMS, **changes)
    return replace(QUOTE, terms=terms, terms_hash=terms_hash(terms))


@pytest.mark.parametrize(
    ("quotes", "code", "detail"),
    [
        ([QUOTE], "PROVIDER_FAILED", "it returned no tuple of quotes"),
        (None, "PROVIDER_FAILED", "it returned no tuple of quotes"),
        ((QUOTE, None), "PROVIDER_FAILED", "it returned no tuple of quotes"),
        ((QUOTE,) * 51, "MALFORMED_RESPONSE", "over 50 quotes"),
        ((QUOTE, OTHER), "TERMS_INVALID", "terms_hash"),
        ((QUOTE, replace(QUOTE, apr_bps=1)), "TERMS_INVALID", "quote_id"),
        ((replace(QUOTE, provider_id="other"),), "TERMS_INVALID", "provider_id"),
        ((replace(QUOTE, currency="EUR"),), "TERMS_INVALID", "currency"),
        ((replace(QUOTE, amount_minor=1),), "TERMS_INVALID", "amount_minor"),
        ((replace(QUOTE, term_months=12),), "TERMS_INVALID", "term_months"),
        ((replace(QUOTE, apr_bps=811),), "TERMS_INVALID", "terms.apr_bps"),
        ((quote_with(borrower=LENDER),), "TERMS_INVALID", "terms.borrower"),
        ((quote_with(token=LENDER),), "TERMS_INVALID", "terms.token"),
        ((quote_with(principal=1),), "TERMS_INVALID", "terms.principal"),
        ((quote_with(total_repayable=1),), "TERMS_INVALID", "terms.total_repayable"),
        ((quote_with(loan_reference="0x" + "00" * 32),), "TERMS_INVALID", "terms.loan_reference"),
        ((replace(QUOTE, terms=BOUND),), "TERMS_INVALID", "terms_hash"),
    ],
)
async def test_no_quote_leaves_that_is_not_what_was_asked(bench, quotes, code, detail) -> None:
    error = await bench.fails(returning(quotes))
    assert (type(error), error.code, error.detail) == (Permanent, code, detail)


async def test_the_same_quote_again_is_one(bench: Bench) -> None:
    bench.adapter.answer = returning((QUOTE, QUOTE))
    assert await bench.offers() == (QUOTE,)


@pytest.mark.parametrize(
    ("confirmation", "code"),
    [
        (None, "PROVIDER_FAILED"),
        (replace(CONFIRMATION, quote_id="q2"), "TERMS_CHANGED"),
        (replace(CONFIRMATION, terms_hash="0x" + "00" * 32), "TERMS_CHANGED"),
        (replace(CONFIRMATION, lender_signature="0x12"), "MALFORMED_RESPONSE"),
    ],
)
async def test_no_confirmation_leaves_that_is_of_other_terms(bench, confirmation, code) -> None:
    bench.adapter.answer = returning(confirmation)
    with pytest.raises(Permanent) as raised:
        await bench.accept()
    assert raised.value.code == code


async def test_calls_are_timed_and_the_breaker_is_shown(bench: Bench) -> None:
    for _ in range(3):
        await bench.fails(Unavailable("UPSTREAM_UNREACHABLE"))
    sample = bench.metrics.registry.get_sample_value
    labels = {"provider": "fake", "call": "get_offers"}
    assert sample("provider_call_duration_seconds_count", labels) == 3
    assert sample("provider_circuit_breaker", {"provider": "fake"}) == 2


def test_tenants_own_lenders_do_not_fill_the_memory(monkeypatch) -> None:
    monkeypatch.setattr(provider_metrics, "MAX_PROVIDERS", 2)
    metrics = ProviderMetrics()
    for number in range(5):
        metrics.called(f"lender-{number}", "get_offers", "ok", 0.1)
        metrics.breaker(f"lender-{number}", BreakerState.OPEN)
    labels = {"provider": "others", "call": "get_offers", "outcome": "ok"}
    assert metrics.registry.get_sample_value("provider_calls_total", labels) == 3
    assert (
        metrics.registry.get_sample_value("provider_circuit_breaker", {"provider": "others"})
        is None
    )


async def test_logs_say_who_failed_how_and_nothing_that_was_sent(bench: Bench) -> None:
    with capture_logs() as logs:
        await bench.fails(Permanent("TERMS_INVALID", "apr_bps"))
        await bench.fails(ValueError("Zelda's wallet"))
    told = json.dumps([{**line, "exc_info": ""} for line in logs])
    assert logs[0] == {
        "event": "provider_call",
        "log_level": "warning",
        "provider": "fake",
        "call": "get_offers",
        "outcome": "refused",
        "code": "TERMS_INVALID",
        "elapsed_ms": 0,
    }
    assert logs[1]["event"] == "provider_bug"
    assert "Zelda" not in told
    assert BORROWER not in told
