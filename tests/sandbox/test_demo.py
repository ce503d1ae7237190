"""`make demo` says in one line what the reader can mend, and never disturbs a demo that runs."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sandbox import demo
from sandbox.narration import Narrator
from sandbox.persona import Ending, read_persona
from sandbox.services import linux
from sandbox.services.state_dir import Record, hold

EARLIER_RUN = "an-earlier-run"


@pytest.fixture
def running() -> Iterator[subprocess.Popen[bytes]]:
    """A process that a demo which runs now has started."""
    with subprocess.Popen(["sleep", "600"], env={"CAAS_RUN_ID": EARLIER_RUN}) as process:
        yield process
        process.kill()


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the demo keeps its state, here."""
    monkeypatch.setattr(demo, "STATE_DIR", tmp_path / "demo")
    for name in ("PERSONA", "ONCE", "CAAS_API_PORT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "demo"


def refusal() -> str:
    with pytest.raises(SystemExit) as ended:
        demo.main()
    return str(ended.value)


def test_a_second_demo_is_refused_and_the_first_goes_on(state_dir: Path, running) -> None:
    seen = linux.seen(running.pid)
    assert seen is not None
    with hold(state_dir):
        Record("api", running.pid, seen.start_ticks, EARLIER_RUN).write(state_dir)
        assert "another run (pid" in refusal()
        assert running.poll() is None
        assert (state_dir / "processes/api.json").exists()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("PERSONA", "nobody", "there is no persona 'nobody'; there are: approved,"),
        ("PERSONA", "../counterparties/bureau_files", "there is no persona"),
        ("CAAS_API_PORT", "abc", "CAAS_API_PORT: 'abc' is not a port"),
        ("CAAS_API_PORT", "70000", "CAAS_API_PORT: '70000' is not a port"),
    ],
)
def test_a_wrong_word_in_the_environment_is_told_in_one_line(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, expected: str
) -> None:
    monkeypatch.setenv(name, text)
    told = refusal()
    assert told.startswith(f"demo: {expected}")
    assert len(told.splitlines()) == 1
    assert not state_dir.exists()


def test_a_file_in_the_place_of_the_state_directory_is_told_in_one_line(state_dir: Path) -> None:
    state_dir.write_text("")
    assert refusal().startswith(f"demo: {state_dir} cannot be used: File exists")
    assert state_dir.read_text() == ""


@pytest.mark.parametrize(
    ("state", "codes", "wrong"),
    [
        ("declined", ["SCORE_TOO_LOW", "PD_TOO_HIGH"], None),
        ("funded", [], "but ended funded"),
        ("declined", ["PD_TOO_HIGH", "SCORE_TOO_LOW"], "ended declined (PD_TOO_HIGH, SCORE_TOO"),
        ("declined", ["SCORE_TOO_LOW"], "but ended declined (SCORE_TOO_LOW)"),
    ],
)
def test_another_ending_than_the_personas_is_told(
    state: str, codes: list[str], wrong: str | None
) -> None:
    ending = Ending(state="declined", reasons=("SCORE_TOO_LOW", "PD_TOO_HIGH"))
    persona = read_persona("declined").model_copy(update={"ends_in": ending})
    view = {"state": state, "reasons": [{"code": code} for code in codes]}
    told = demo.other_ending(persona, view)
    if wrong is None:
        assert told is None
    else:
        assert told is not None
        assert told.startswith("declined was to end declined (SCORE_TOO_LOW, PD_TOO_HIGH), but")
        assert wrong in told


NEW: dict[str, Any] = {
    "identity": "verified", "stage": "eligibility", "state": "processing", "score": None,
    "score_reasons": [], "reasons": [], "decision": None, "offers": [], "missing_offers": [],
    "transaction": None, "notice": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, False),
        ({"stage": "closed", "state": "declined"}, False),
        ({"stage": "closed", "state": "withdrawn"}, False),
        ({"stage": "closed", "state": "blocked"}, False),
        ({"stage": "risk"}, True),
        ({"stage": "closed", "state": "declined", "score": 480}, True),
    ],
)
def test_eligibility_is_told_only_of_whom_the_rules_let_through(
    change: dict[str, Any], told: bool
) -> None:
    console = Console(record=True, width=200)
    Narrator(console, 0.0).follow({**NEW, **change})
    assert ("eligibility rules allow it" in console.export_text()) is told


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (["Many recent inquiries", "Short history"],
         "Scored 640 (what held the score down: Many recent inquiries; Short history)"),
        ([], "Scored 640\n"),
    ],
)  # fmt: skip
def test_a_score_is_told_with_what_held_it_down(reasons: list[str], expected: str) -> None:
    console = Console(record=True, width=200)
    texts = [{"text": text} for text in reasons]
    Narrator(console, 0.0).follow({**NEW, "score": 640, "score_reasons": texts})
    assert expected in console.export_text()
