"""What support staff ask of an application: where it stands, whether it is stuck, and since what.

Nothing here names a person: rows, workflows and steps by their ids, failures by their codes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from models.domain.application import TERMINAL_STATES, ApplicationRef, Stage, State
from models.domain.errors import Invalid
from models.domain.ids import (
    application_workflow_id,
    is_name,
    kyc_workflow_id,
    risk_workflow_id,
    settlement_workflow_id,
)

LONGEST_REASON: Final = 500


class Checkpoint(StrEnum):
    """Where a workflow can be taken back to, in the order of a loan."""

    IDENTITY = "identity"
    ELIGIBILITY = "eligibility"
    SCORING = "scoring"
    OFFERS = "offers"
    ACCEPTANCE = "acceptance"
    SETTLEMENT = "settlement"


@dataclass(frozen=True, slots=True)
class Command:
    """Who wants something done with an application, and why; both are kept in the audit trail.

    Raises Invalid OPERATOR_NEEDED or REASON_NEEDED.
    """

    operator: str
    reason: str

    def __post_init__(self) -> None:
        if not is_name(self.operator):
            raise Invalid("OPERATOR_NEEDED", "say who you are: --operator NAME or CAAS_OPERATOR")
        if not self.reason.strip() or len(self.reason) > LONGEST_REASON:
            raise Invalid("REASON_NEEDED", f"say why: --reason, up to {LONGEST_REASON} characters")


class WorkflowStatus(StrEnum):
    """How Temporal sees a workflow; `absent` when it knows of none."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"
    CONTINUED = "continued_as_new"
    ABSENT = "absent"


# How steps say that the chain has not decided yet: they ask again, and nothing is wrong.
NOT_YET: Final = frozenset({"NOT_FINAL_YET", "NOT_DECIDED_YET", "NOT_SETTLED_YET"})

# Ended, and not as the workflow itself meant to end.
BROKEN_STATUSES: Final = frozenset(
    {
        WorkflowStatus.FAILED,
        WorkflowStatus.CANCELED,
        WorkflowStatus.TERMINATED,
        WorkflowStatus.TIMED_OUT,
    }
)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something failed: a published code, or the kind of error without its words."""

    code: str
    words: str = ""

    def __str__(self) -> str:
        return self.words or self.code


@dataclass(frozen=True, slots=True)
class PendingStep:
    """An activity that is scheduled, running or waits for its next attempt (counted from 1)."""

    activity_id: str
    name: str
    attempt: int
    paused: bool
    running: bool
    failure: Failure | None = None
    failed_at: datetime | None = None
    next_attempt_at: datetime | None = None

    @property
    def failed(self) -> bool:
        """Whether its last attempt failed, other than by finding out that it is too early."""
        return self.failure is not None and self.failure.code not in NOT_YET


@dataclass(frozen=True, slots=True)
class WorkflowStanding:
    """One workflow as it stands; `task_*` tell of the workflow task that is under way, if any."""

    workflow_id: str
    run_id: str
    status: WorkflowStatus
    events: int = 0
    started_at: datetime | None = None
    closed_at: datetime | None = None
    steps: tuple[PendingStep, ...] = ()
    children: tuple[str, ...] = ()
    task_attempt: int = 0
    task_since: datetime | None = None
    failure: Failure | None = None

    @property
    def kind(self) -> str:
        """The part of the workflow id that says what it does."""
        return self.workflow_id.partition("/")[0]


@dataclass(frozen=True, slots=True)
class ApplicationStanding:
    """An application's row, with what its workflow should have begun with."""

    ref: ApplicationRef
    stage: Stage
    state: State
    reasons: tuple[str, ...]
    version: int
    created_at: datetime
    updated_at: datetime
    intended_at: datetime | None  # a start intent that no workflow has taken up
    unanswered: bool  # it waits for its person's verification

    @property
    def ended(self) -> bool:
        """Whether the row has one of the six endings."""
        return self.state in TERMINAL_STATES

    @property
    def workflow_id(self) -> str:
        """The application's own workflow."""
        return application_workflow_id(self.ref.tenant_id, self.ref.application_id)


class Condition(StrEnum):
    """In which way an application is stuck."""

    NOT_STARTED = "not_started"
    WORKFLOW_BROKEN = "workflow_broken"
    VERIFICATION_BROKEN = "verification_broken"
    STEP_PAUSED = "step_paused"
    STEP_FAILING = "step_failing"
    OWN_STEP_FAILING = "own_step_failing"
    TASK_FAILING = "task_failing"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that keeps an application from going on."""

    condition: Condition
    workflow_id: str
    words: str
    run_id: str = ""
    step: PendingStep | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """From when on something counts as stuck rather than as slow.

    Three failed attempts are about four seconds of retrying. The sweeper starts what was left
    unstarted within seconds; a workflow task takes milliseconds, and one that goes on for longer
    repeats a step on our own database that fails.
    """

    failed_attempts: int = 3
    start_within: timedelta = timedelta(seconds=15)
    task_within: timedelta = timedelta(seconds=15)


USUAL: Final = Bounds()


def workflows_of(application: ApplicationStanding) -> tuple[str, ...]:
    """The workflow ids to look at to tell whether an application is stuck, its own first."""
    ref = application.ref
    at_work = {
        Stage.IDENTITY: kyc_workflow_id(ref.tenant_id, ref.user_id),
        Stage.RISK: risk_workflow_id(ref.tenant_id, ref.application_id),
        Stage.SETTLEMENT: settlement_workflow_id(ref.tenant_id, ref.application_id),
    }
    beside = at_work.get(application.stage)
    return (application.workflow_id, *((beside,) if beside else ()))


def troubles(
    application: ApplicationStanding,
    workflows: Mapping[str, WorkflowStanding],
    now: datetime,
    bounds: Bounds = USUAL,
) -> tuple[Trouble, ...]:
    """Everything that keeps an application from going on; empty if nothing does.

    Waiting for a person, an applicant or a vendor's answer is not being stuck.
    """
    if application.ended:
        return ()
    own = workflows[application.workflow_id]
    if own.status is WorkflowStatus.ABSENT:
        return _unstarted(application, own, now, bounds)
    found = list(_broken_beside(application, workflows))
    if own.status is not WorkflowStatus.RUNNING:
        words = f"its workflow is {own.status}, and the application is still {application.state}"
        found.append(
            Trouble(
                Condition.WORKFLOW_BROKEN, own.workflow_id, words, own.run_id, None, own.failure
            )
        )
    for each in workflows.values():
        if each.status is WorkflowStatus.RUNNING:
            found += _within(each, now, bounds)
    return tuple(found)


def _unstarted(
    application: ApplicationStanding, own: WorkflowStanding, now: datetime, bounds: Bounds
) -> tuple[Trouble, ...]:
    since = application.intended_at or application.created_at
    if now - since < bounds.start_within:
        return ()
    return (Trouble(Condition.NOT_STARTED, own.workflow_id, f"not started since {since:%F %T}"),)


def _broken_beside(
    application: ApplicationStanding, workflows: Mapping[str, WorkflowStanding]
) -> Sequence[Trouble]:
    """Broken workflows of others that the application waits for.

    Risk scoring is not among them: it is a child whose end its parent always hears of.
    """
    found = []
    for each in workflows.values():
        if each.kind == "kyc" and application.unanswered:
            if each.status not in (WorkflowStatus.RUNNING, WorkflowStatus.COMPLETED):
                condition, what = Condition.VERIFICATION_BROKEN, "the person's verification"
                found.append((condition, what, each))
        elif each.kind == "settlement" and each.status in BROKEN_STATUSES:
            found.append((Condition.WORKFLOW_BROKEN, "the settlement's workflow", each))
    return [
        Trouble(
            condition, each.workflow_id, f"{what} is {each.status}", each.run_id, None, each.failure
        )
        for condition, what, each in found
    ]


def _within(workflow: WorkflowStanding, now: datetime, bounds: Bounds) -> Sequence[Trouble]:
    """What is wrong inside a running workflow."""
    found = []
    for step in workflow.steps:
        at = (workflow.workflow_id, f"{step.name} of {workflow.kind}")
        if step.paused:
            words = f"{at[1]} is paused"
            found.append(Trouble(Condition.STEP_PAUSED, at[0], words, workflow.run_id, step))
        elif step.failed and step.attempt > bounds.failed_attempts:
            words = f"{at[1]} has failed {step.attempt - 1} times"
            found.append(
                Trouble(Condition.STEP_FAILING, at[0], words, workflow.run_id, step, step.failure)
            )
    if workflow.task_attempt > bounds.failed_attempts:
        words = f"its workflow task has failed {workflow.task_attempt - 1} times"
        found.append(Trouble(Condition.TASK_FAILING, workflow.workflow_id, words, workflow.run_id))
    elif workflow.task_since is not None and now - workflow.task_since > bounds.task_within:
        words = (
            f"a step of {workflow.kind} on our own database fails and is repeated since"
            f" {workflow.task_since:%F %T}, or no worker takes it"
        )
        found.append(
            Trouble(Condition.OWN_STEP_FAILING, workflow.workflow_id, words, workflow.run_id)
        )
    return found


_SINCE: Final = re.compile(r"([1-9][0-9]{0,4})([mhd])")
_UNIT: Final = {"m": "minutes", "h": "hours", "d": "days"}


def since(text: str, now: datetime) -> datetime:
    """A moment from `90m`, `12h`, `7d`, or an ISO 8601 day or moment (UTC unless it says so).

    Raises ValueError for anything else.
    """
    if (age := _SINCE.fullmatch(text)) is not None:
        return now - timedelta(**{_UNIT[age[2]]: int(age[1])})
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
