"""How long work stood still after a worker was killed, from the outside and from the histories."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from temporalio.api.enums.v1 import EventType

from bench.chaos.supervisor import SERVICES, Death
from bench.invariants.evidence import Execution

_STARTED: Final = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
_TIMED_OUT: Final = EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT


@dataclass(frozen=True, slots=True)
class Gap:
    """So long nothing went on after a worker's death; `beside` an outage of what all depends on."""

    seconds: float
    beside_an_outage: bool


@dataclass(frozen=True, slots=True)
class Recovery:
    """From a kill: until the successor polled, and until interrupted tasks were taken up again."""

    polled: tuple[Gap, ...]
    resumed: tuple[Gap, ...]

    def figures(self) -> dict[str, float | int | None]:
        """Medians and 99th percentiles (nearest rank), of all and of those beside no outage.

        While PostgreSQL, Temporal or the chain is itself away nobody can recover.
        """
        shown: dict[str, float | int | None] = {}
        for name, gaps in (("polled", self.polled), ("resumed", self.resumed)):
            every = [gap.seconds for gap in gaps]
            alone = [gap.seconds for gap in gaps if not gap.beside_an_outage]
            shown |= {
                f"{name}": len(alone),
                f"{name}_p50_s": percentile(alone, 0.5),
                f"{name}_p99_s": percentile(alone, 0.99),
                f"{name}_all": len(every),
                f"{name}_all_p99_s": percentile(every, 0.99),
            }
        return shown


def percentile(values: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile; None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 2)


def recovery_of(deaths: Sequence[Death], executions: Iterable[Execution]) -> Recovery:
    """Of every worker that was killed."""
    workers = [death for death in deaths if death.name.startswith("worker-")]
    outages = [death for death in deaths if death.name in SERVICES]
    by_pid = {death.pid: death for death in workers}
    resumed = [
        _gap(death, at, outages)
        for each in executions
        if each.history
        for death, at in _taken_up(each.history.events, by_pid)
    ]
    polled = [_gap(death, death.back_at, outages) for death in workers if death.back_at is not None]
    return Recovery(tuple(polled), tuple(resumed))


def _gap(death: Death, at: float, outages: Iterable[Death]) -> Gap:
    beside = any(
        outage.killed_at <= at and (outage.back_at is None or outage.back_at >= death.killed_at)
        for outage in outages
    )
    return Gap(max(0.0, at - death.killed_at), beside)


def _taken_up(events: Sequence[Any], by_pid: dict[int, Death]) -> Iterable[tuple[Death, float]]:
    """For each task that a killed worker held: its death, and when somebody took the task up."""
    holder: Death | None = None
    waiting: Death | None = None
    scheduled = {
        event.event_id: event.event_time.ToMicroseconds() / 1e6
        for event in events
        if event.HasField("activity_task_scheduled_event_attributes")
    }
    for event in events:
        at = event.event_time.ToMicroseconds() / 1e6
        if event.event_type == _STARTED:
            if waiting is not None:
                yield waiting, at
                waiting = None
            pid = event.workflow_task_started_event_attributes.identity.partition("@")[0]
            holder = by_pid.get(int(pid)) if pid.isdigit() else None
        elif event.event_type == _TIMED_OUT:
            # One that stood still may lose a task, too, and be killed much later.
            died = holder is not None and holder.killed_at <= at
            waiting, holder = (holder if died else None), None
        elif event.HasField("activity_task_started_event_attributes"):
            # Of an activity only the last attempt is written down. If the one before died with its
            # worker, its heartbeat ended: that was the latest death before.
            started = event.activity_task_started_event_attributes
            since = scheduled.get(started.scheduled_event_id, at)
            before = [death for death in by_pid.values() if since <= death.killed_at < at]
            if started.last_failure.HasField("timeout_failure_info") and before:
                yield max(before, key=lambda death: death.killed_at), at
