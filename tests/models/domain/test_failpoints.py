"""Failpoints do nothing unless armed, and the list of them is the list of calls in the code."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.domain import failpoints
from models.domain.failpoints import (
    ACTIVITIES,
    ENVIRONMENT_VARIABLE,
    FAILPOINTS,
    NAMED,
    failpoint,
    parse,
)

ROOT = Path(__file__).resolve().parents[3]
PRODUCT = ("models", "activities", "workflows", "adapters", "api")
POINT = "settlement.broadcast"


# The one place that reaches points by computed names: before and after each activity.
EVERY_ACTIVITY = ROOT / "adapters" / "temporal.py"


def calls_in_the_code(function: str) -> Iterator[tuple[Path, ast.Call]]:
    """Every call of a function of this name, plain or as an attribute, in product code."""
    files = [path for top in PRODUCT for path in (ROOT / top).rglob("*.py")]
    for path in [*files, *ROOT.glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and function in (
                getattr(node.func, "id", None),
                getattr(node.func, "attr", None),
            ):
                yield path, node


def test_the_list_is_what_the_code_calls_each_once() -> None:
    found: Counter[str] = Counter()
    for path, call in calls_in_the_code("failpoint"):
        [name] = call.args
        if path == EVERY_ACTIVITY:
            continue
        assert isinstance(name, ast.Constant), f"{path}: a failpoint has a literal name"
        found[name.value] += 1
    assert found == Counter(NAMED)


def test_every_activity_has_a_point_on_either_side() -> None:
    names = Counter(
        keyword.value.value
        for _, call in calls_in_the_code("defn")
        for keyword in call.keywords
        if getattr(call.func, "value", None) is not None
        and getattr(call.func.value, "id", None) == "activity"
        and isinstance(keyword.value, ast.Constant)
    )
    assert names == Counter(ACTIVITIES)
    reached = [
        ast.unparse(c.args[0]) for p, c in calls_in_the_code("failpoint") if p == EVERY_ACTIVITY
    ]
    assert reached == ["f'activity.{name}.before'", "f'activity.{name}.after'"]
    assert (
        NAMED
        | {f"activity.{name}.{moment}" for name in ACTIVITIES for moment in ("before", "after")}
        == FAILPOINTS
    )


@pytest.mark.parametrize(
    ("armed", "wrong"),
    [
        ("settlement.brodcast=kill", "settlement.brodcast"),
        ("kill", "kill"),
        (POINT, "neither kill nor pause"),
        (f"{POINT}=", "neither kill nor pause"),
        (f"{POINT}=stop", "'stop'"),
        (f"{POINT}=pause", "'pause'"),
        (f"{POINT}=kill,nowhere=kill", "nowhere"),
    ],
)
def test_a_wrong_arming_is_refused_by_name(armed: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        parse(armed)


def test_an_arming_is_read() -> None:
    assert parse("") == {}
    assert parse(f"{POINT}=kill,,kyc.joined=pause:/a=b") == {
        POINT: "kill",
        "kyc.joined": "pause:/a=b",
    }


@pytest.mark.parametrize("name", sorted(FAILPOINTS))
def test_a_point_that_is_not_armed_does_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setattr(failpoints.os, "kill", lambda *_: pytest.fail("killed"))
    monkeypatch.setattr(failpoints.time, "sleep", lambda _: pytest.fail("paused"))
    marker = tmp_path / "marker"
    other = next(each for each in sorted(FAILPOINTS) if each != name)
    for armed in (None, "", f"{other}=kill", f"{other}=pause:{marker}"):
        if armed is None:
            monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
        else:
            monkeypatch.setenv(ENVIRONMENT_VARIABLE, armed)
        failpoint(name)
    assert not marker.exists()


def run_to(action: str) -> subprocess.CompletedProcess[str]:
    """A process that reaches the armed point, and says so if it gets past it."""
    return subprocess.run(
        [
            sys.executable,
            "-c",
            f"from models.domain.failpoints import failpoint; failpoint({POINT!r}); print('past')",
        ],
        cwd=ROOT,
        env={**os.environ, ENVIRONMENT_VARIABLE: f"{POINT}={action}"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_an_armed_kill_ends_the_process_as_sigkill_does() -> None:
    ended = run_to("kill")
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout == ""


def test_a_pause_is_passed_by_the_process_that_comes_second(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    marker.touch()
    assert run_to(f"pause:{marker}").stdout == "past\n"


def test_a_pause_leaves_its_marker_and_waits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class PausedError(Exception):
        """Ends the wait that never ends by itself."""

    def stop(_: float) -> None:
        raise PausedError

    marker = tmp_path / "marker"
    monkeypatch.setattr(failpoints.time, "sleep", stop)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, f"{POINT}=pause:{marker}")
    with pytest.raises(PausedError):
        failpoint(POINT)
    assert marker.read_text() == str(os.getpid())
    failpoint(POINT)
