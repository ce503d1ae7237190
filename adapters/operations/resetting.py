"""Taking an application's workflow back to a checkpoint: what it would mean, and doing it.

A reset never undoes anything. Steps run again, find their records and follow them: decisions and
offers stand, and what was signed is never signed again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from temporalio.api.history.v1 import HistoryEvent

from adapters.operations.examining import Examined, Examiner
from adapters.operations.histories import Step, StepKind, steps_of, task_of
from adapters.operations.workflows import TemporalDesk
from adapters.postgres.operations import PostgresOperations
from models.domain.application import ApplicationRef
from models.domain.errors import Conflict, NotFound
from models.domain.operations import Checkpoint, Command, WorkflowStanding, WorkflowStatus
from models.domain.routing import (
    ACCEPT_OFFER,
    DECIDE_REVIEW,
    IDENTITY_CONCLUDED,
    RISK_WORKFLOW,
    SETTLEMENT_WORKFLOW,
)

Records = Mapping[str, Sequence[Mapping[str, Any]]]

# An acceptance belongs to the offers: with one on record they are read together.
_AFTER_ACCEPTANCE: Final = (Checkpoint.ACCEPTANCE, Checkpoint.SETTLEMENT)


@dataclass(frozen=True, slots=True)
class Again:
    """A step that would run again; `skipped` where a record takes the place of its effect."""

    name: str
    words: str
    skipped: bool


@dataclass(frozen=True, slots=True)
class ResetPlan:
    """What a reset to a checkpoint means for one application."""

    ref: ApplicationRef
    checkpoint: Checkpoint
    workflow_id: str
    run_id: str
    task_id: int
    back_to: datetime
    again: tuple[Again, ...]
    children: tuple[str, ...]
    notes: tuple[str, ...]


class Resetter:
    """Plans resets, and carries them out in the name of an operator."""

    def __init__(self, examiner: Examiner, records: PostgresOperations, desk: TemporalDesk) -> None:
        self._examiner = examiner
        self._records = records
        self._desk = desk

    async def plan(self, ref: ApplicationRef, checkpoint: Checkpoint) -> ResetPlan:
        """What would happen; nothing is changed.

        Raises Conflict CHECKPOINT_NOT_REACHED, NotFound HISTORY_GONE.
        """
        examined = await self._examiner.examine(ref)
        records = await self._records.records(ref)
        own = await self._desk.standing(examined.application.workflow_id)
        if own.status is WorkflowStatus.ABSENT:
            raise NotFound("HISTORY_GONE", "Temporal has no history of this application")
        events = list((await self._desk.history(own.workflow_id, own.run_id)).events)
        task_id = _task(checkpoint, events, records)
        if task_id is None:
            stage = examined.application.stage
            raise Conflict(
                "CHECKPOINT_NOT_REACHED", f"it has not come to {checkpoint}, only {stage}"
            )
        return ResetPlan(
            ref=ref,
            checkpoint=checkpoint,
            workflow_id=own.workflow_id,
            run_id=own.run_id,
            task_id=task_id,
            back_to=_moment_of(task_id, events),
            again=_again(task_id, steps_of(events), records),
            children=tuple(_child(each, records) for each in own.children),
            notes=_notes(examined, own, checkpoint, records),
        )

    async def carry_out(self, plan: ResetPlan, command: Command) -> str:
        """Reset as planned; returns the new run's id."""
        detail = {"checkpoint": plan.checkpoint, "event_id": plan.task_id, "run_id": plan.run_id}
        await self._records.audit(plan.ref, command, "operations.reset", detail)
        why = f"{command.operator}: {command.reason}"
        run_id = await self._desk.take_back(plan.workflow_id, plan.run_id, plan.task_id, why)
        done = {"checkpoint": plan.checkpoint, "new_run_id": run_id}
        await self._records.audit(plan.ref, command, "operations.reset_done", done)
        return run_id


def _task(checkpoint: Checkpoint, events: Sequence[HistoryEvent], records: Records) -> int | None:
    task_id = task_of(checkpoint, events)
    if task_id is not None and checkpoint in _AFTER_ACCEPTANCE and _accepted(records):
        return task_of(Checkpoint.OFFERS, events)
    return task_id


def _accepted(records: Records) -> bool:
    return any(offer["status"] == "accepted" for offer in records.get("offers", ()))


def _moment_of(event_id: int, events: Sequence[HistoryEvent]) -> datetime:
    moment: datetime = events[event_id - 1].event_time.ToDatetime()
    return moment


def _again(task_id: int, steps: Sequence[Step], records: Records) -> tuple[Again, ...]:
    """What the steps from a task on mean when they are taken once more."""
    found: dict[str, Again] = {}
    for step in steps:
        if step.event_id > task_id and step.name not in found:
            say = _MEANING.get(step.name, _message if step.kind is StepKind.MESSAGE else _other)
            words, skipped = say(records)
            found[step.name] = Again(step.name, words, skipped)
    return tuple(found.values())


# Each says what its step does when it runs again, and whether a record takes its place.
_Meaning = Callable[[Records], tuple[str, bool]]


def _identity(records: Records) -> tuple[str, bool]:
    status = next((row["status"] for row in records.get("identity", ())), "unknown")
    return f"asks how the person's identity stands ({status}); an answer on record is kept", True


def _decision(phase: str) -> _Meaning:
    def say(records: Records) -> tuple[str, bool]:
        for row in records.get("decisions", ()):
            if row["phase"] == phase:
                return f"the {phase} decision on record stands: {row['outcome']}", True
        return f"decides on {phase}", False

    return say


def _scoring(records: Records) -> tuple[str, bool]:
    for row in records.get("assessment", ()):
        return f"the assessment on record stands ({row['outcome']}); no report is bought", True
    return "buys a report and scores", False


def _offers(records: Records) -> tuple[str, bool]:
    if offers := records.get("offers"):
        return f"{len(offers)} offer(s) on record stand; no lender is asked again", True
    return "asks lenders for offers", False


def _acceptance(records: Records) -> tuple[str, bool]:
    if _accepted(records):
        return "the acceptance on record stands and is followed", True
    return "is delivered again", False


def _settlement(records: Records) -> tuple[str, bool]:
    for row in records.get("settlement", ()):
        return (
            f"never signed again: settlement {row['settlement_id']} is {row['state']},"
            " and its record is followed",
            True,
        )
    return "settles on chain, once", False


def _closing(_: Records) -> tuple[str, bool]:
    return "an ending on record stands", True


def _review(records: Records) -> tuple[str, bool]:
    decided = any(row["decided_by"] for row in records.get("reviews", ()))
    words = "the decision on record stands" if decided else "the open review is kept"
    return words, True


def _message(_: Records) -> tuple[str, bool]:
    return "is delivered to the new run again", False


def _other(_: Records) -> tuple[str, bool]:
    return "runs again; it has no effect twice", False


_MEANING: Final[Mapping[str, _Meaning]] = {
    "join_verification": _identity,
    "check_eligibility": _decision("eligibility"),
    RISK_WORKFLOW: _scoring,
    "decide_credit": _decision("credit"),
    "collect_offers": _offers,
    "record_acceptance": _acceptance,
    ACCEPT_OFFER: _acceptance,
    SETTLEMENT_WORKFLOW: _settlement,
    "open_review": _review,
    "close_review": _review,
    DECIDE_REVIEW: _review,
    IDENTITY_CONCLUDED: _message,
    "close_application": _closing,
}


def _child(workflow_id: str, records: Records) -> str:
    """How a child workflow that is open now is treated."""
    if workflow_id.startswith("settlement/"):
        return f"{workflow_id} stays open and untouched; the new run follows its record"
    return f"{workflow_id} belongs to the run that ends; {_scoring(records)[0]}"


def _notes(
    examined: Examined, own: WorkflowStanding, checkpoint: Checkpoint, records: Records
) -> tuple[str, ...]:
    notes = []
    if examined.application.ended:
        notes.append(
            f"The application has ended as {examined.application.state}: that stands. Its workflow"
            " only finds the way to this ending again, from the records."
        )
    elif own.status is WorkflowStatus.RUNNING:
        notes.append("The run that is under way now is ended and replaced.")
    if checkpoint in _AFTER_ACCEPTANCE and _accepted(records):
        notes.append("An offer is accepted: it is read again together with the offers.")
    return tuple(notes)
