"""How long work stood still after a worker was killed, from the outside and from the histories."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from temporalio.api.enums.v1 import EventType

from bench.chaos.supervisor import Death
from bench.invariants.evidence import Execution

_STARTED: Final = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
_TIMED_OUT: Final = EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds from a kill: until the successor polled, and until interrupted tasks were resumed."""

    polled_s: tuple[float, ...]
    resumed_s: tuple[float, ...]

    def figures(self) -> dict[str, float | int | None]:
        """Medians and 99th percentiles (nearest rank)."""
        return {
            "kills": len(self.polled_s),
            "polled_p50_s": percentile(self.polled_s, 0.5),
            "polled_p99_s": percentile(self.polled_s, 0.99),
            "interrupted_tasks": len(self.resumed_s),
            "resumed_p50_s": percentile(self.resumed_s, 0.5),
            "resumed_p99_s": percentile(self.resumed_s, 0.99),
        }


def percentile(values: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile; None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 2)


def recovery_of(deaths: Iterable[Death], executions: Iterable[Execution]) -> Recovery:
    """Of every worker that was killed."""
    workers = [death for death in deaths if death.name.startswith("worker-")]
    by_pid = {death.pid: death for death in workers}
    resumed = [
        gap for each in executions if each.history for gap in _gaps(each.history.events, by_pid)
    ]
    polled = [death.away_s for death in workers if death.away_s is not None]
    return Recovery(tuple(polled), tuple(resumed))


def _gaps(events: Sequence[Any], by_pid: dict[int, Death]) -> Iterable[float]:
    """For each task that a killed worker held: from its death until somebody took the task up."""
    holder: Death | None = None
    waiting: Death | None = None
    for event in events:
        if event.event_type == _STARTED:
            at = event.event_time.ToMicroseconds() / 1e6
            if waiting is not None:
                yield max(0.0, at - waiting.killed_at)
                waiting = None
            pid = event.workflow_task_started_event_attributes.identity.partition("@")[0]
            holder = by_pid.get(int(pid)) if pid.isdigit() else None
        elif event.event_type == _TIMED_OUT:
            waiting, holder = holder, None
        elif event.HasField("activity_task_started_event_attributes"):
            yield from _taken_up(event, by_pid)


def _taken_up(event: Any, by_pid: dict[int, Death]) -> Iterable[float]:
    """An activity's last attempt, if the one before died with its worker (its heartbeat ended)."""
    started = event.activity_task_started_event_attributes
    if not started.last_failure.HasField("timeout_failure_info"):
        return
    at = event.event_time.ToMicroseconds() / 1e6
    before = [death.killed_at for death in by_pid.values() if death.killed_at < at]
    if before:
        yield at - max(before)
