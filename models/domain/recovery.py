"""Whether a stuck application that was treated goes on: by what was seen, not by what was done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from models.domain.operations import (
    BROKEN_STATUSES,
    NOT_YET,
    ApplicationStanding,
    PendingStep,
    Trouble,
    WorkflowStanding,
    WorkflowStatus,
)


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Why a retried application has not got over a trouble; `final` once it has come back."""

    words: str
    final: bool = False


# So many failures since a retry (about three seconds), and the trouble is back rather than late.
_FAILURES_THAT_DECIDE: Final = 3


def why_not(
    trouble: Trouble, application: ApplicationStanding, workflows: Mapping[str, WorkflowStanding]
) -> WhyNot | None:
    """Why a trouble that was treated is not over; None once work has gone on beyond it.

    Not being in trouble is not enough: a step that was begun again must have been completed.
    """
    now = workflows.get(trouble.workflow_id)
    if now is None:  # the application has gone on to a stage where this workflow no longer matters
        return None
    if trouble.step is not None:
        return _why_not_the_step(trouble, trouble.step, now)
    if now.status is WorkflowStatus.COMPLETED:
        return None
    if now.status in BROKEN_STATUSES:
        words = f"{now.kind} is {now.status}: {now.failure or 'without a failure'}"
        return WhyNot(words, final=now.run_id != trouble.run_id)
    if application.intended_at is not None or now.status is WorkflowStatus.ABSENT:
        return WhyNot("its workflow has not begun")
    at_work = [now]
    if now.workflow_id == application.workflow_id:  # what it began in others counts as well
        at_work += [each for each in workflows.values() if each.status is WorkflowStatus.RUNNING]
    return next((why for each in at_work if (why := _why_not_quiet(each)) is not None), None)


def _why_not_the_step(
    trouble: Trouble, before: PendingStep, workflow: WorkflowStanding
) -> WhyNot | None:
    if workflow.status in BROKEN_STATUSES:
        return WhyNot(f"{workflow.kind} is {workflow.status}: {workflow.failure}", final=True)
    pending = [step for step in workflow.steps if step.activity_id == before.activity_id]
    if workflow.run_id != trouble.run_id or not pending:
        return None
    step = pending[0]
    if step.failure is None or step.failed_at == before.failed_at:
        return WhyNot(f"{step.name} has not come to an end")
    failed_again = step.attempt - 1 >= _FAILURES_THAT_DECIDE
    return WhyNot(f"{step.name} fails again: {step.failure}", final=failed_again)


def _why_not_quiet(workflow: WorkflowStanding) -> WhyNot | None:
    """A running workflow has got over its trouble when what it began is done and it waits."""
    for step in workflow.steps:
        if step.failure is not None and step.failure.code in NOT_YET:
            continue
        if step.failed:
            again = step.attempt - 1 >= _FAILURES_THAT_DECIDE
            return WhyNot(f"{step.name} fails: {step.failure}", final=again)
        return WhyNot(f"{step.name} has not come to an end")
    if workflow.task_since is not None:
        return WhyNot(f"{workflow.kind} is still at it since {workflow.task_since:%F %T}")
    return None
