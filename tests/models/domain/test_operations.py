"""What counts as stuck, and what a retry must have been followed by: case tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.domain.application import ApplicationRef, Stage, State
from models.domain.errors import Invalid
from models.domain.operations import (
    ApplicationStanding,
    Command,
    Condition,
    Failure,
    PendingStep,
    Trouble,
    WorkflowStanding,
    WorkflowStatus,
    since,
    troubles,
    workflows_of,
)
from models.domain.recovery import why_not

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LONG_AGO, JUST_NOW = NOW - timedelta(hours=1), NOW - timedelta(seconds=5)
REF = ApplicationRef("acme", "app_" + "1" * 32, "user-1")
OWN = f"credit-application/acme/{REF.application_id}"
KYC, RISK = "kyc/acme/user-1", f"risk-scoring/acme/{REF.application_id}"
SETTLEMENT = f"settlement/acme/{REF.application_id}"
BUSY = Failure("UPSTREAM_BUSY", "UPSTREAM_BUSY: status 503")

RUNNING, FAILED = WorkflowStatus.RUNNING, WorkflowStatus.FAILED
ABSENT, COMPLETED = WorkflowStatus.ABSENT, WorkflowStatus.COMPLETED
TERMINATED = WorkflowStatus.TERMINATED


def row(stage: Stage = Stage.IDENTITY, state: State = State.PROCESSING, **more: Any) -> Any:
    standing = ApplicationStanding(
        REF, stage, state, (), 1, LONG_AGO, LONG_AGO, intended_at=None, unanswered=False
    )
    return replace(standing, **more)


def workflow(workflow_id: str, status: WorkflowStatus = RUNNING, **more: Any) -> Any:
    return replace(WorkflowStanding(workflow_id, "run-1", status), **more)


def step(attempt: int = 1, failure: Failure | None = BUSY, **more: Any) -> PendingStep:
    at = PendingStep("7", "submit_verification", attempt, paused=False, running=False)
    failed_at = {"failed_at": NOW if failure else None}
    return replace(at, failure=failure, **{**failed_at, **more})


STUCK = Trouble(Condition.STEP_FAILING, KYC, "has failed 3 times", "run-1", step(4), BUSY)
BROKEN = Trouble(Condition.WORKFLOW_BROKEN, OWN, "is failed", "run-1")
UNSTARTED = Trouble(Condition.NOT_STARTED, OWN, "not started")


@pytest.mark.parametrize(
    ("standing", "workflows", "found"),
    [
        # Nothing keeps these from going on.
        (row(), [workflow(OWN), workflow(KYC)], []),
        (row(), [workflow(OWN), workflow(KYC, steps=(step(1, None),))], []),
        (row(), [workflow(OWN), workflow(KYC, steps=(step(3),))], []),
        (row(created_at=JUST_NOW), [workflow(OWN, ABSENT), workflow(KYC, ABSENT)], []),
        (row(intended_at=JUST_NOW), [workflow(OWN, ABSENT), workflow(KYC, ABSENT)], []),
        (row(), [workflow(OWN, task_since=JUST_NOW, task_attempt=1), workflow(KYC)], []),
        (row(unanswered=True), [workflow(OWN), workflow(KYC)], []),
        (row(unanswered=False), [workflow(OWN), workflow(KYC, TERMINATED)], []),
        (row(Stage.CLOSED, State.DECLINED), [], []),
        # The chain has not decided yet: asking for the hundredth time is no trouble.
        (
            row(Stage.SETTLEMENT, State.SETTLING),
            [workflow(OWN), workflow(SETTLEMENT, steps=(step(100, Failure("NOT_FINAL_YET")),))],
            [],
        ),
        # These are stuck.
        (row(), [workflow(OWN, ABSENT), workflow(KYC, ABSENT)], [Condition.NOT_STARTED]),
        (
            row(intended_at=LONG_AGO),
            [workflow(OWN, ABSENT), workflow(KYC, ABSENT)],
            [Condition.NOT_STARTED],
        ),
        (
            row(),
            [workflow(OWN), workflow(KYC, steps=(step(4),))],
            [Condition.STEP_FAILING],
        ),
        (
            row(),
            [workflow(OWN), workflow(KYC, steps=(step(1, None, paused=True),))],
            [Condition.STEP_PAUSED],
        ),
        (row(), [workflow(OWN, task_attempt=4), workflow(KYC)], [Condition.TASK_FAILING]),
        (
            row(),
            [workflow(OWN, task_since=LONG_AGO, task_attempt=1), workflow(KYC)],
            [Condition.OWN_STEP_FAILING],
        ),
        (row(), [workflow(OWN, FAILED), workflow(KYC)], [Condition.WORKFLOW_BROKEN]),
        (row(), [workflow(OWN, COMPLETED), workflow(KYC)], [Condition.WORKFLOW_BROKEN]),
        (
            row(),
            [workflow(OWN, FAILED), workflow(KYC, steps=(step(4),))],
            [Condition.WORKFLOW_BROKEN, Condition.STEP_FAILING],
        ),
        (
            row(unanswered=True),
            [workflow(OWN), workflow(KYC, TERMINATED)],
            [Condition.VERIFICATION_BROKEN],
        ),
        (
            row(unanswered=True),
            [workflow(OWN), workflow(KYC, ABSENT)],
            [Condition.VERIFICATION_BROKEN],
        ),
        (
            row(Stage.SETTLEMENT, State.SETTLING),
            [workflow(OWN), workflow(SETTLEMENT, TERMINATED)],
            [Condition.WORKFLOW_BROKEN],
        ),
    ],
)
def test_what_counts_as_stuck(
    standing: ApplicationStanding, workflows: list[WorkflowStanding], found: list[Condition]
) -> None:
    by_id = {each.workflow_id: each for each in workflows}
    assert [each.condition for each in troubles(standing, by_id, NOW)] == found


@pytest.mark.parametrize(
    ("stage", "looked_at"),
    [
        (Stage.IDENTITY, (OWN, KYC)),
        (Stage.ELIGIBILITY, (OWN,)),
        (Stage.RISK, (OWN, RISK)),
        (Stage.SETTLEMENT, (OWN, SETTLEMENT)),
    ],
)
def test_the_workflows_of_a_stage_are_looked_at(stage: Stage, looked_at: tuple[str, ...]) -> None:
    assert workflows_of(row(stage)) == looked_at


@pytest.mark.parametrize(
    ("trouble", "standing", "workflows", "words", "final"),
    [
        # Over: the step is gone, the workflow has ended or waits, the stage is another one.
        (STUCK, row(), [workflow(OWN), workflow(KYC)], None, None),
        (STUCK, row(Stage.RISK), [workflow(OWN)], None, None),
        (BROKEN, row(), [workflow(OWN, run_id="run-2"), workflow(KYC)], None, None),
        (BROKEN, row(), [workflow(OWN, COMPLETED, run_id="run-2"), workflow(KYC)], None, None),
        (UNSTARTED, row(), [workflow(OWN), workflow(KYC)], None, None),
        # Not over yet.
        (STUCK, row(), [workflow(KYC, steps=(step(4),))], "has not come to an end", False),
        (
            STUCK,
            row(),
            [workflow(KYC, steps=(step(2, failed_at=NOW + timedelta(seconds=1)),))],
            "fails again: UPSTREAM_BUSY",
            False,
        ),
        (BROKEN, row(), [workflow(OWN, FAILED, failure=BUSY)], "UPSTREAM_BUSY", False),
        (BROKEN, row(), [workflow(OWN, run_id="run-2", task_since=NOW)], "still at it", False),
        (
            BROKEN,
            row(),
            [workflow(OWN, run_id="run-2"), workflow(KYC, steps=(step(1, None),))],
            "has not come to an end",
            False,
        ),
        (UNSTARTED, row(), [workflow(OWN, ABSENT)], "has not begun", False),
        (UNSTARTED, row(intended_at=NOW), [workflow(OWN)], "has not begun", False),
        # Back.
        (
            STUCK,
            row(),
            [workflow(KYC, steps=(step(4, failed_at=NOW + timedelta(seconds=3)),))],
            "fails again: UPSTREAM_BUSY",
            True,
        ),
        (STUCK, row(), [workflow(KYC, TERMINATED, failure=BUSY)], "kyc is terminated", True),
        (BROKEN, row(), [workflow(OWN, FAILED, run_id="run-2", failure=BUSY)], "BUSY", True),
    ],
)
def test_when_a_trouble_is_over(
    trouble: Trouble,
    standing: ApplicationStanding,
    workflows: list[WorkflowStanding],
    words: str | None,
    final: bool | None,
) -> None:
    found = why_not(trouble, standing, {each.workflow_id: each for each in workflows})
    if words is None:
        assert found is None
    else:
        assert found is not None
        assert words in found.words
        assert found.final is final


@pytest.mark.parametrize(
    ("operator", "reason", "code"),
    [
        ("", "because", "OPERATOR_NEEDED"),
        ("ada lovelace", "because", "OPERATOR_NEEDED"),
        ("ada", "", "REASON_NEEDED"),
        ("ada", " \n", "REASON_NEEDED"),
        ("ada", "x" * 501, "REASON_NEEDED"),
    ],
)
def test_a_command_needs_a_name_and_a_reason(operator: str, reason: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        Command(operator, reason)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90m", NOW - timedelta(minutes=90)),
        ("12h", NOW - timedelta(hours=12)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T10:00:00+02:00", datetime(2026, 11, 1, 8, tzinfo=UTC)),
    ],
)
def test_since(text: str, moment: datetime) -> None:
    assert since(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "soon", "0d", "-3h", "1w", "123456h", "2026-13-01"])
def test_since_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"isoformat|month|out of range"):
        since(text, NOW)
