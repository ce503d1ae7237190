"""The worker's own choices, apart from what it wires."""

from __future__ import annotations

import pytest
from temporalio.worker import UnsandboxedWorkflowRunner

from settings import TemporalSettings
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
