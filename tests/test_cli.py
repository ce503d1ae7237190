"""The command line is thin: what is wrong is said in one line, and nothing starts before that."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import app
from tests.workflows.world import TEST_KEYRING

FUNDED = Path(__file__).parent / "histories" / "approved.application.json"
KEYS = json.dumps({"v1": "A" * 43 + "="})
RECORDED_UNDER = json.dumps(
    {version: base64.b64encode(key).decode() for version, key in TEST_KEYRING.masters.items()}
)


def said(*arguments: str, **environment: str) -> tuple[int, str]:
    """How a command ends, and everything it says."""
    result = CliRunner().invoke(app, list(arguments), env=environment)
    return result.exit_code, result.output


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the caller's own gets through."""
    for name in ("CAAS_MASTER_KEYS", "CAAS_OPERATOR", "CAAS_DATABASE__APP_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["retry", "app_1"], "OPERATOR_NEEDED: say who you are: --operator NAME or CAAS_OPERATOR"),
        (["retry", "app_1", "--operator", "ada"], "REASON_NEEDED: say why: --reason"),
        (["retry", "app_1", "--operator", "a b", "--reason", "x"], "OPERATOR_NEEDED"),
        (["retry", "--operator", "ada", "--reason", "x"], "WHICH_APPLICATION: say one"),
        (
            ["retry", "app_1", "--all-stuck", "--operator", "ada", "--reason", "x"],
            "WHICH_APPLICATION: say one",
        ),
        (["reset", "app_1", "--to", "scoring", "--yes"], "OPERATOR_NEEDED"),
        (["reset", "app_1", "--to", "scoring", "--yes", "--operator", "ada"], "REASON_NEEDED"),
        (["list", "--since", "yesterday"], "SINCE_MALFORMED: say 90m, 12h, 7d"),
        (["replay"], "WHICH_HISTORY: say one application, or --file"),
        (["replay", "app_1", "--file", "x.json"], "WHICH_HISTORY: say one application"),
        (["replay", "--file", "no-such-file.json"], "HISTORY_UNREADABLE: no-such-file.json"),
        (["show", "app_1"], "CAAS_MASTER_KEYS: Field required"),
        (["list"], "CAAS_MASTER_KEYS: Field required"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments: list[str], line: str) -> None:
    code, told = said("applications", *arguments)
    assert code == 1
    assert told.startswith(line)
    assert told.count("\n") == 1


def test_an_operator_may_be_named_by_the_environment() -> None:
    code, told = said("applications", "retry", "app_1", CAAS_OPERATOR="ada")
    assert code == 1
    assert told.startswith("REASON_NEEDED")


def test_a_database_that_is_not_told_is_named() -> None:
    code, told = said("applications", "show", "app_1", CAAS_MASTER_KEYS=KEYS)
    assert code == 1
    assert "CAAS_DATABASE__APP_URL: needed by applications" in told


@pytest.mark.parametrize("state", ["funded-ish", "FUNDED!"])
def test_only_states_there_are_can_be_searched_for(state: str) -> None:
    code, told = said("applications", "list", "--state", state)
    assert code == 2
    assert "funded" in told


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A history that was kept, and may be changed."""
    path = tmp_path / "kept.json"
    shutil.copy(FUNDED, path)
    return path


def replayed(path: Path, keys: str) -> tuple[int, str]:
    return said("applications", "replay", "--file", str(path), CAAS_MASTER_KEYS=keys)


def test_a_history_replays_from_its_file_alone(kept: Path) -> None:
    code, told = replayed(kept, RECORDED_UNDER)
    assert code == 0
    assert told.startswith("credit-application/")
    assert told.endswith(": OK\n")


def test_a_history_that_other_code_has_written_is_caught(kept: Path) -> None:
    kept.write_text(kept.read_text("utf-8").replace("collect_offers", "collect_quotes"))
    code, told = replayed(kept, RECORDED_UNDER)
    assert code == 1
    assert "today's code takes another way than this history: " in told


def test_a_history_that_cannot_be_read_is_no_ok(kept: Path) -> None:
    code, told = replayed(kept, KEYS)
    assert code == 1
    assert "today's code fails on this history: " in told


def test_the_other_commands_are_where_they_were() -> None:
    code, told = said("check-settings", CAAS_MASTER_KEYS=KEYS)
    assert (code, told) == (0, "The settings are well-formed.\n")
    code, told = said("migrate")
    assert code == 1
    assert "CAAS_DATABASE__OWNER_URL" in told
