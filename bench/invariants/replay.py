"""I19: every history Temporal keeps replays on today's code."""

from __future__ import annotations

import base64

from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from adapters.temporal import data_converter
from adapters.vault import Keyring
from bench.invariants.evidence import Evidence, Tally
from sandbox.access import Access
from wiring import LENT_FUNCTIONS
from worker import WORKFLOWS


async def replayed(evidence: Evidence, access: Access, tally: Tally) -> None:
    """Replay all of them; a history that leads elsewhere is a violation."""
    keyring = Keyring(
        {version: base64.b64decode(key) for version, key in access.master_keys.items()}
    )
    replayer = Replayer(
        workflows=WORKFLOWS,
        data_converter=data_converter(keyring),
        interceptors=[LENT_FUNCTIONS],
        # The sandbox loads the workflows anew for each history; whether a history leads where the
        # code does is the same without it.
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    for each in evidence.executions:
        if each.history is None:
            continue
        result = await replayer.replay_workflow(each.history, raise_on_replay_failure=False)
        failure = result.replay_failure
        tally.expect(failure is None, "does not replay:", each.workflow_id, type(failure).__name__)
