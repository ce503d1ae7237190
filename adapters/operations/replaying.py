"""Whether today's workflows would have written a history: a replay, told in plain words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from google.protobuf.json_format import ParseError
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from models.domain.errors import Invalid


async def replay(replayer: Replayer, history: WorkflowHistory) -> str | None:
    """None if the workflows continue this history; else what is wrong, in a line."""
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    error = result.replay_failure
    if error is None:
        return None
    if isinstance(error, NondeterminismError):
        said = " ".join(str(error).split())
        return f"today's code takes another way than this history: {said}"
    return f"today's code fails on this history: {type(error).__name__}"


def read_history(path: Path) -> WorkflowHistory:
    """A history from a file as `--save`, the Web UI or the Temporal CLI write it.

    Raises Invalid HISTORY_UNREADABLE.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text("utf-8"))
        workflow_id = document.pop("workflow_id", "") or path.stem
        history = WorkflowHistory.from_json(workflow_id, document)
        first = next(iter(history.events), None)
        if first is None or first.event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
            raise ValueError("a history begins with its workflow")
    except (OSError, ValueError, AttributeError, TypeError, KeyError, ParseError) as error:
        raise Invalid("HISTORY_UNREADABLE", f"{path}: {type(error).__name__}") from error
    return history


def write_histories(folder: Path, histories: Sequence[WorkflowHistory]) -> list[Path]:
    """Keep histories as they came from the server: payloads stay encrypted."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for history in histories:
        document = {"workflow_id": history.workflow_id, **history.to_json_dict()}
        path = folder / f"{history.workflow_id.replace('/', '.')}.json"
        path.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
        written.append(path)
    return written
