"""A history that today's code would have written otherwise is said to be one, in plain words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from temporalio.worker import Replayer

from adapters.operations.replaying import read_history, replay, write_histories
from adapters.temporal import data_converter
from models.domain.errors import Invalid
from tests.workflows.changed_workflows import ScoresBeforeEligibility
from tests.workflows.world import TEST_KEYRING
from wiring import LENT_FUNCTIONS
from worker import SANDBOX, WORKFLOWS

FUNDED = Path(__file__).parents[2] / "histories" / "approved.application.json"


def replayer(workflows: list[type]) -> Replayer:
    return Replayer(
        workflows=workflows,
        data_converter=data_converter(TEST_KEYRING),
        interceptors=[LENT_FUNCTIONS],
        workflow_runner=SANDBOX,
    )


async def test_todays_code_continues_it() -> None:
    assert await replay(replayer(WORKFLOWS), read_history(FUNDED)) is None


async def test_a_changed_workflow_is_caught() -> None:
    changed = [each for each in WORKFLOWS if not issubclass(ScoresBeforeEligibility, each)]
    wrong = await replay(replayer([*changed, ScoresBeforeEligibility]), read_history(FUNDED))
    assert wrong is not None
    assert wrong.startswith("today's code takes another way than this history: ")
    assert "\n" not in wrong


def test_what_was_kept_reads_the_same(tmp_path: Path) -> None:
    history = read_history(FUNDED)
    [path] = write_histories(tmp_path / "kept", [history])
    again = read_history(path)
    assert (again.workflow_id, again.events) == (history.workflow_id, history.events)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"events": 5}', '{"events": [{"x": 1}]}'])
def test_what_is_no_history_is_refused_in_a_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "odd.json"
    path.write_text(content)
    with pytest.raises(Invalid, match="HISTORY_UNREADABLE"):
        read_history(path)
    with pytest.raises(Invalid, match="HISTORY_UNREADABLE"):
        read_history(tmp_path / "absent.json")


def test_a_history_of_the_temporal_cli_names_no_workflow(tmp_path: Path) -> None:
    document = json.loads(FUNDED.read_text("utf-8"))
    del document["workflow_id"]
    path = tmp_path / "downloaded.json"
    path.write_text(json.dumps(document))
    assert read_history(path).workflow_id == "downloaded"
