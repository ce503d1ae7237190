"""Reading a workflow's history: which steps it took, and which workflow task a step follows from.

Pure functions. Steps are found by the names of activities, children and messages, never by the
numbers of events: those differ from application to application.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from models.domain.operations import Checkpoint
from models.domain.routing import RISK_WORKFLOW, SETTLEMENT_WORKFLOW


class StepKind(StrEnum):
    """What a step of a workflow is."""

    LOCAL = "local activity"
    ACTIVITY = "activity"
    CHILD = "child workflow"
    MESSAGE = "message"


@dataclass(frozen=True, slots=True)
class Step:
    """A step a workflow took; `task_id` is the workflow task (its completion) that took it."""

    event_id: int
    task_id: int
    kind: StepKind
    name: str
    at: datetime
    workflow_id: str = ""  # of a child


@dataclass(frozen=True, slots=True)
class OpenTimer:
    """A timer that has neither fired nor been cancelled."""

    event_id: int
    due_at: datetime


# The step with which each stage begins.
_BEGINS_WITH: Final = {
    Checkpoint.IDENTITY: (StepKind.LOCAL, "join_verification"),
    Checkpoint.ELIGIBILITY: (StepKind.LOCAL, "check_eligibility"),
    Checkpoint.SCORING: (StepKind.CHILD, RISK_WORKFLOW),
    Checkpoint.OFFERS: (StepKind.ACTIVITY, "collect_offers"),
    Checkpoint.SETTLEMENT: (StepKind.CHILD, SETTLEMENT_WORKFLOW),
}

_TASK_DONE: Final = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
_TASK_BEGUN: Final = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
_FAILED_OF_ACTIVITY: Final = (
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT,
)
_FAILED_OF_CHILD: Final = (
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED,
)


def steps_of(events: Iterable[HistoryEvent]) -> tuple[Step, ...]:
    """Every step in a history, in order."""
    steps, task_id = [], 0
    for event in events:
        if event.event_type == _TASK_DONE:
            task_id = event.event_id
        named = _named(event)
        if named is not None:
            kind, name, workflow_id = named
            at = event.event_time.ToDatetime(tzinfo=UTC)
            steps.append(Step(event.event_id, task_id, kind, name, at, workflow_id))
    return tuple(steps)


def _named(event: HistoryEvent) -> tuple[StepKind, str, str] | None:
    match event.event_type:
        case EventType.EVENT_TYPE_MARKER_RECORDED:
            name = _local_activity(event)
            return (StepKind.LOCAL, name, "") if name else None
        case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            asked = event.activity_task_scheduled_event_attributes
            return StepKind.ACTIVITY, asked.activity_type.name, ""
        case EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
            child = event.start_child_workflow_execution_initiated_event_attributes
            return StepKind.CHILD, child.workflow_type.name, child.workflow_id
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            return (
                StepKind.MESSAGE,
                event.workflow_execution_signaled_event_attributes.signal_name,
                "",
            )
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
            accepted = event.workflow_execution_update_accepted_event_attributes
            return StepKind.MESSAGE, accepted.accepted_request.input.name, ""
    return None


def _local_activity(event: HistoryEvent) -> str | None:
    """The name of the local activity whose result a marker keeps: the SDK notes it in the clear."""
    kept = event.marker_recorded_event_attributes
    if kept.marker_name != "core_local_activity":
        return None
    noted = json.loads(kept.details["data"].payloads[0].data)
    return str(noted["activity_type"])


def task_of(checkpoint: Checkpoint, events: Sequence[HistoryEvent]) -> int | None:
    """The workflow task with which a stage began last; None if it was never reached.

    The wait for an acceptance begins with the first task after the offers had come.
    """
    if checkpoint is Checkpoint.ACCEPTANCE:
        return _task_after_offers(events)
    kind, name = _BEGINS_WITH[checkpoint]
    found = [step for step in steps_of(events) if (step.kind, step.name) == (kind, name)]
    return found[-1].task_id if found else None


def _task_after_offers(events: Sequence[HistoryEvent]) -> int | None:
    kind, name = _BEGINS_WITH[Checkpoint.OFFERS]
    asked = [step.event_id for step in steps_of(events) if (step.kind, step.name) == (kind, name)]
    if not asked:
        return None
    answered = 0
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            if event.activity_task_completed_event_attributes.scheduled_event_id == asked[-1]:
                answered = event.event_id
        elif event.event_type == _TASK_DONE and answered:
            return event.event_id
    return None


def task_before_failure(events: Sequence[HistoryEvent]) -> int:
    """The last workflow task from which a broken workflow can go on otherwise than it did.

    A failed step is scheduled again, so the task that asked for it is meant. A workflow that no
    task has completed goes on from its first.
    """
    done = [event.event_id for event in events if event.event_type == _TASK_DONE]
    if not done:
        begun = [event.event_id for event in events if event.event_type == _TASK_BEGUN]
        # Without even a beginning, the event after the first scheduled task stands for it.
        return begun[-1] if begun else 3
    asked_at = [at for event in events if (at := _asked_at(event, after=done[-2:][0])) is not None]
    return max(task for task in done if task < asked_at[0]) if asked_at else done[-1]


def _asked_at(event: HistoryEvent, *, after: int) -> int | None:
    """Where a step that failed after this event was asked for."""
    if event.event_id < after:
        return None
    if event.event_type == _FAILED_OF_ACTIVITY[0]:
        return event.activity_task_failed_event_attributes.scheduled_event_id
    if event.event_type == _FAILED_OF_ACTIVITY[1]:
        return event.activity_task_timed_out_event_attributes.scheduled_event_id
    if event.event_type in _FAILED_OF_CHILD:
        which = event.WhichOneof("attributes") or ""
        return int(getattr(event, which).initiated_event_id)
    return None


def open_timers(events: Iterable[HistoryEvent]) -> tuple[OpenTimer, ...]:
    """Timers that are still to fire, soonest first."""
    waiting: dict[int, OpenTimer] = {}
    for event in events:
        match event.event_type:
            case EventType.EVENT_TYPE_TIMER_STARTED:
                lasts = event.timer_started_event_attributes.start_to_fire_timeout
                length = timedelta(seconds=lasts.seconds, microseconds=lasts.nanos // 1000)
                due_at = event.event_time.ToDatetime(tzinfo=UTC) + length
                waiting[event.event_id] = OpenTimer(event.event_id, due_at)
            case EventType.EVENT_TYPE_TIMER_FIRED:
                waiting.pop(event.timer_fired_event_attributes.started_event_id, None)
            case EventType.EVENT_TYPE_TIMER_CANCELED:
                waiting.pop(event.timer_canceled_event_attributes.started_event_id, None)
            case _:
                pass
    return tuple(sorted(waiting.values(), key=lambda timer: timer.due_at))
