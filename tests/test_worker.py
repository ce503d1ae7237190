"""The worker's own choices, apart from what it wires."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator

import pytest
from temporalio.worker import UnsandboxedWorkflowRunner

from models.domain.routing import SCORING_QUEUE, WORKFLOWS_QUEUE
from settings import ROOT, TemporalSettings
from wiring import Wiring
from worker import SANDBOX, WORKFLOWS_OF, workflow_runner


@pytest.mark.parametrize(
    ("settings", "sandboxed"),
    [
        (TemporalSettings(), True),
        (TemporalSettings(workflow_sandbox=True), True),
        (TemporalSettings(workflow_sandbox=False), False),
    ],
)
def test_only_a_setting_does_without_the_sandbox(
    settings: TemporalSettings, sandboxed: bool
) -> None:
    runner = workflow_runner(settings)
    assert (runner is SANDBOX) is sandboxed
    assert isinstance(runner, UnsandboxedWorkflowRunner) is not sandboxed


WIRED_FOR = {
    WORKFLOWS_QUEUE: Wiring.workflow_activities,
    SCORING_QUEUE: Wiring.scoring_activities,
}


# What several workflows share runs where the application's workflow does.
SHARED = {"workflows.children", "workflows.offering", "workflows.review"}


def modules_of(queue: str) -> set[str]:
    """The files of the workflows of a queue."""
    own = {workflow.__module__ for workflow in WORKFLOWS_OF[queue]}
    return own | SHARED if queue == WORKFLOWS_QUEUE else own


def run_beside(module: str) -> Iterator[str]:
    """The activity classes a file calls on its workflow's own worker: locally, or on its queue."""
    for node in ast.walk(ast.parse(inspect.getsource(sys.modules[module]))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        elsewhere = any(keyword.arg == "task_queue" for keyword in node.keywords)
        if node.func.attr == "execute_local_activity_method" or (
            node.func.attr == "execute_activity_method" and not elsewhere
        ):
            called = node.args[0]
            assert isinstance(called, ast.Attribute), f"{module}:{node.lineno}"
            yield ast.unparse(called.value)


@pytest.mark.parametrize("queue", sorted(WIRED_FOR))
def test_whatever_workflows_call_on_their_own_worker_is_there(queue: str) -> None:
    source = textwrap.dedent(inspect.getsource(WIRED_FOR[queue]))
    wired = {
        node.func.id
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    called = {each for module in modules_of(queue) for each in run_beside(module)}
    assert called
    assert called - wired == set()


def test_every_file_that_calls_an_activity_is_looked_at() -> None:
    calling = {
        f"workflows.{path.stem}"
        for path in (ROOT / "workflows").glob("*.py")
        if "activity_method(" in path.read_text("utf-8")
    }
    assert calling == {module for queue in WIRED_FOR for module in modules_of(queue)}
