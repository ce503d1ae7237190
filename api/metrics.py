"""What is counted about the front door, for Prometheus: by route template, never by id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
# Seconds; the objectives of issue and specification are at 25, 60 and 100 ms.
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.06, 0.1, 0.25, 1.0, 5.0, 30.0)
# Paths nobody serves are one line: whoever scans for paths must not fill the memory.
UNMATCHED: Final = "unmatched"


class FrontDoorMetrics:
    """The counters of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.more: Callable[[], bytes] = bytes  # what others in this process count
        self._requests = Counter(
            "service_request",
            "Answers given, by route template and status.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "service_request_duration_seconds",
            "From a request's head to its answer's last byte, by route template.",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._limits = Counter(
            "gateway_limit_hits",
            "Requests that met a limit, by its problem code.",
            ["limit"],
            registry=self.registry,
        )
        self._active = Gauge(
            "gateway_requests_active", "Requests being worked on.", registry=self.registry
        )
        self._pool = Gauge(
            "database_connection_pool_size",
            "Connections to PostgreSQL, by what they do.",
            ["state"],
            registry=self.registry,
        )
        # Looking a labelled counter up costs more than counting.
        self._counted: dict[tuple[str, str, int], Callable[[], None]] = {}
        self._timed: dict[tuple[str, str], Callable[[float], None]] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answer was given."""
        count = self._counted.get((method, route, status))
        if count is None:
            count = self._requests.labels(method, route, str(status)).inc
            self._counted[method, route, status] = count
            self._timed[method, route] = self._seconds.labels(method, route).observe
        count()
        self._timed[method, route](seconds)

    def limited(self, code: str) -> None:
        """A request met a limit."""
        self._limits.labels(code).inc()

    def watch(self, active: Callable[[], int]) -> None:
        """Ask for the number of requests under way whenever somebody reads."""
        self._active.set_function(active)

    def watch_pool(self, size: Callable[[], int], idle: Callable[[], int]) -> None:
        """Ask for the pool's connections whenever somebody reads."""
        self._pool.labels("idle").set_function(idle)
        self._pool.labels("in_use").set_function(lambda: size() - idle())

    def text(self) -> bytes:
        """Everything, in Prometheus's text format."""
        return generate_latest(self.registry) + self.more()
