"""Today's workflows continue what yesterday's began: every recorded history replays."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from adapters.correlation import CarriedNames
from adapters.temporal import ENCODING, data_converter
from models.domain.application import State
from settings import ROOT
from tests.histories.line_stories import LINE_STORIES
from tests.histories.stories import PERSONAS, STORIES
from tests.workflows.changed_workflows import (
    ApprovesAlone,
    AsksNobodyAnew,
    BooksWithoutFinality,
    DeclinesForAnOutage,
    GivesUpAtOnce,
    HearsNobody,
    NeverExpires,
    NeverQuotesAnew,
    ScoresBeforeEligibility,
    TellsNobodyWhy,
    WithdrawsUnseen,
)
from tests.workflows.world import TEST_KEYRING
from wiring import LENT_FUNCTIONS
from worker import SANDBOX, WORKFLOWS

FOLDER = Path(__file__).parents[1] / "histories"
PERSONAS_FOLDER = ROOT / "sandbox" / "personas"
RECORDED = sorted(FOLDER.glob("*.json"))


def recorded(path: Path) -> WorkflowHistory:
    document = json.loads(path.read_text("utf-8"))
    return WorkflowHistory.from_json(document.pop("workflow_id"), document)


def replayer(workflows: list[type]) -> Replayer:
    return Replayer(
        workflows=workflows,
        data_converter=data_converter(TEST_KEYRING),
        interceptors=[CarriedNames(), LENT_FUNCTIONS],
        workflow_runner=SANDBOX,
    )


def with_instead(changed: type) -> list[type]:
    """Today's workflows, one of them replaced."""
    return [each for each in WORKFLOWS if not issubclass(changed, each)] + [changed]


def encodings(value: Any) -> set[str]:
    """Every payload encoding in a JSON document."""
    if isinstance(value, list):
        return set().union(*map(encodings, value))
    if not isinstance(value, dict):
        return set()
    found = set().union(*map(encodings, value.values()))
    if isinstance(encoding := value.get("encoding"), str):
        found.add(base64.b64decode(encoding).decode())
    return found


def test_every_story_is_recorded_with_all_its_workflows() -> None:
    parts: dict[str, set[str]] = {}
    for path in RECORDED:
        story, part, _ = path.name.split(".")
        parts.setdefault(story, set()).add(part)
    assert set(parts) == set(STORIES | LINE_STORIES)
    assert all(parts[name] == {"webhook"} for name in LINE_STORIES)
    assert {path.stem for path in PERSONAS_FOLDER.glob("*.json")} == set(PERSONAS)
    for name, story in STORIES.items():
        expected = {"application", "kyc"}
        if story.ends is State.FUNDED:
            expected |= {"risk", "settlement"}
        if story.ends in (State.DECLINED, State.REJECTED, State.BLOCKED):
            expected.add("notice")
        assert parts[name] >= expected, name


def test_the_readme_tells_every_story() -> None:
    readme = (FOLDER / "README.md").read_text("utf-8")
    for name, story in (STORIES | LINE_STORIES).items():
        assert f"| `{name}` | {story.about} |" in readme, name


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
async def test_todays_code_continues_this_history(path: Path) -> None:
    await replayer(WORKFLOWS).replay_workflow(recorded(path))


@pytest.mark.parametrize(
    ("changed", "story"),
    [
        (ScoresBeforeEligibility, "approved.application"),
        (ScoresBeforeEligibility, "declined.application"),
        (NeverExpires, "approved.kyc"),
        (NeverExpires, "expired_verification.kyc"),
        (BooksWithoutFinality, "lost_finality_signal.settlement"),
        (ApprovesAlone, "enhanced_due_diligence.application"),
        (NeverQuotesAnew, "requoted.application"),
        (DeclinesForAnOutage, "lenders_away.application"),
        (AsksNobodyAnew, "document_sent_again.kyc"),
        (WithdrawsUnseen, "withdrawn.application"),
        (WithdrawsUnseen, "withdrawn_while_scoring.application"),
        (WithdrawsUnseen, "cancelled.application"),
        (TellsNobodyWhy, "declined.application"),
        (GivesUpAtOnce, "letter_handed_over.notice"),
        (HearsNobody, "webhook_woken.webhook"),
    ],
)
async def test_a_change_that_breaks_live_workflows_is_noticed(changed: type, story: str) -> None:
    with pytest.raises(NondeterminismError):
        await replayer(with_instead(changed)).replay_workflow(recorded(FOLDER / f"{story}.json"))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_payloads_are_encrypted(path: Path) -> None:
    # Search attributes cannot be: the server has to index them.
    allowed = {ENCODING.decode(), "json/plain"}
    document = json.loads(path.read_text("utf-8"))
    assert ENCODING.decode() in encodings(document) <= allowed
    for event in document["events"]:
        for attributes in event.values():
            if isinstance(attributes, dict):
                attributes.pop("searchAttributes", None)
    # In the clear are the SDK's own bookkeeping of local activities, ids only, and the server's
    # word for an attempt that was cancelled before it began.
    plain = [event for event in document["events"] if "json/plain" in encodings(event)]
    for event in plain:
        if cancelled := event.get("activityTaskCanceledEventAttributes"):
            [said] = cancelled["details"]["payloads"]
            assert base64.b64decode(said["data"]) == b'"ACTIVITY_ID_NOT_STARTED"'
        else:
            assert event["eventType"] == "EVENT_TYPE_MARKER_RECORDED"


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_histories_do_not_tell_who_recorded_them(path: Path) -> None:
    document = json.loads(path.read_text("utf-8"))
    for event in document["events"]:
        for attributes in event.values():
            if isinstance(attributes, dict):
                assert "@" not in attributes.get("identity", ""), event["eventType"]
                assert "stackTrace" not in attributes.get("failure", {}), event["eventType"]
