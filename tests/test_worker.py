"""The worker's own choices, apart from what it wires."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator

import pytest
from temporalio.worker import UnsandboxedWorkflowRunner

from settings import ROOT, TemporalSettings
from wiring import Wiring
from worker import SANDBOX, workflow_runner


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


def run_beside_the_workflows() -> Iterator[str]:
    """The activity classes that workflows call on their own worker: locally, or on its queue."""
    for path in sorted((ROOT / "workflows").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            elsewhere = any(keyword.arg == "task_queue" for keyword in node.keywords)
            if node.func.attr == "execute_local_activity_method" or (
                node.func.attr == "execute_activity_method" and not elsewhere
            ):
                called = node.args[0]
                assert isinstance(called, ast.Attribute), f"{path}:{node.lineno}"
                yield ast.unparse(called.value)


def test_whatever_workflows_call_on_their_own_worker_is_there() -> None:
    source = textwrap.dedent(inspect.getsource(Wiring.workflow_activities))
    wired = {
        node.func.id
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    called = set(run_beside_the_workflows())
    assert called
    assert called - wired == set()
