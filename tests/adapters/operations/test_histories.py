"""Steps, checkpoints and timers are found in recorded histories by what they are called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from adapters.operations.histories import (
    open_timers,
    steps_of,
    task_before_failure,
    task_of,
)
from models.domain.operations import Checkpoint

FOLDER = Path(__file__).parents[2] / "histories"


def recorded(name: str) -> list[HistoryEvent]:
    document = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return list(WorkflowHistory.from_json(document.pop("workflow_id"), document).events)


def kinds(events: list[HistoryEvent], task_id: int) -> str:
    return EventType.Name(events[task_id - 1].event_type)


@pytest.mark.parametrize("checkpoint", list(Checkpoint))
def test_every_checkpoint_of_a_funded_application_is_a_workflow_task(
    checkpoint: Checkpoint,
) -> None:
    events = recorded("approved.application")
    task_id = task_of(checkpoint, events)
    assert task_id is not None
    assert kinds(events, task_id) == "EVENT_TYPE_WORKFLOW_TASK_COMPLETED"


def test_checkpoints_come_in_the_order_of_a_loan() -> None:
    events = recorded("approved.application")
    tasks = [task_of(checkpoint, events) or 0 for checkpoint in Checkpoint]
    assert tasks == sorted(tasks)


@pytest.mark.parametrize(
    ("checkpoint", "first_step"),
    [
        (Checkpoint.IDENTITY, "join_verification"),
        (Checkpoint.SCORING, "RiskScoringWorkflow"),
        (Checkpoint.OFFERS, "collect_offers"),
        (Checkpoint.SETTLEMENT, "SettlementWorkflow"),
    ],
)
def test_the_step_of_a_checkpoint_comes_after_its_task(
    checkpoint: Checkpoint, first_step: str
) -> None:
    events = recorded("approved.application")
    task_id = task_of(checkpoint, events)
    assert task_id is not None
    again = [step.name for step in steps_of(events) if step.event_id > task_id]
    before = [step.name for step in steps_of(events) if step.event_id < task_id]
    assert first_step in again
    assert first_step not in before


@pytest.mark.parametrize(
    "checkpoint", [Checkpoint.OFFERS, Checkpoint.ACCEPTANCE, Checkpoint.SETTLEMENT]
)
def test_a_declined_application_has_not_come_to(checkpoint: Checkpoint) -> None:
    assert task_of(checkpoint, recorded("declined.application")) is None


def test_a_failed_step_is_asked_for_again() -> None:
    """Cut where the settlement's child would have failed, the task that started it is meant."""
    events = recorded("approved.application")
    started = next(event for event in events if _child(event) == "SettlementWorkflow")
    ended = next(
        event
        for event in events
        if event.HasField("child_workflow_execution_completed_event_attributes")
        and event.child_workflow_execution_completed_event_attributes.initiated_event_id
        == started.event_id
    )
    failed = HistoryEvent(
        event_id=ended.event_id,
        event_type=EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED,
    )
    failed.child_workflow_execution_failed_event_attributes.initiated_event_id = started.event_id
    history = [*events[: ended.event_id - 1], failed, *events[ended.event_id :]]
    task_id = task_before_failure(history)
    assert task_id < started.event_id
    assert task_id == task_of(Checkpoint.SETTLEMENT, events)


def test_a_terminated_workflow_goes_on_from_its_last_task() -> None:
    events = recorded("approved.application")[:-1]
    done = [e.event_id for e in events if kinds(events, e.event_id).endswith("TASK_COMPLETED")]
    tasks = [
        event_id
        for event_id in done
        if kinds(events, event_id) == "EVENT_TYPE_WORKFLOW_TASK_COMPLETED"
    ]
    assert task_before_failure(events) == tasks[-1]


def test_a_workflow_no_task_has_completed_goes_on_from_its_first() -> None:
    events = recorded("approved.application")
    assert task_before_failure(events[:3]) == 3  # begun
    assert task_before_failure(events[:2]) == 3  # only scheduled: the event that would follow


def test_timers_that_still_run() -> None:
    events = recorded("expired_offer.application")
    timers = [e for e in events if e.event_type == EventType.EVENT_TYPE_TIMER_STARTED]
    until_then = [e for e in events if e.event_id <= timers[0].event_id]
    assert [timer.event_id for timer in open_timers(until_then)] == [timers[0].event_id]
    assert open_timers(events) == ()


def _child(event: HistoryEvent) -> str:
    if not event.HasField("start_child_workflow_execution_initiated_event_attributes"):
        return ""
    started = event.start_child_workflow_execution_initiated_event_attributes
    return str(started.workflow_type.name)
