"""What is counted about lenders, for Prometheus: by provider, call and outcome, never by loan."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from adapters.providers.breaker import BreakerState

# Seconds; a search waits half of one, and a lender may take a few for an acceptance.
_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# Tenants bring their own lenders: beyond so many, all others are one line.
MAX_PROVIDERS: Final = 200
OTHERS: Final = "others"

_OPENNESS: Final = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


class ProviderMetrics:
    """The counters of one process, in a registry of their own unless one is given."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = CollectorRegistry() if registry is None else registry
        self._calls = Counter(
            "provider_calls",
            "Calls of lenders by outcome.",
            ["provider", "call", "outcome"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "provider_call_duration_seconds",
            "From a call's beginning, waiting included, to its outcome.",
            ["provider", "call"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._breaker = Gauge(
            "provider_circuit_breaker",
            "0: closed, 1: half-open, 2: open.",
            ["provider"],
            registry=self.registry,
        )
        self._named: set[str] = set()

    def called(self, provider_id: str, call: str, outcome: str, seconds: float) -> None:
        """One call ended; `outcome` is one of the guard's few words."""
        name = self._name(provider_id)
        self._calls.labels(name, call, outcome).inc()
        self._seconds.labels(name, call).observe(seconds)

    def breaker(self, provider_id: str, state: BreakerState) -> None:
        """A breaker changed its state."""
        name = self._name(provider_id)
        if name != OTHERS:
            self._breaker.labels(name).set(_OPENNESS[state])

    def text(self) -> bytes:
        """Everything, in Prometheus's text format."""
        return generate_latest(self.registry)

    def _name(self, provider_id: str) -> str:
        if provider_id in self._named:
            return provider_id
        if len(self._named) >= MAX_PROVIDERS:
            return OTHERS
        self._named.add(provider_id)
        return provider_id
