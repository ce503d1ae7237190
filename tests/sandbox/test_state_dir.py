"""One run at a time holds a state directory; the next one ends what a killed run left, no more."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from sandbox.services import linux, state_dir
from sandbox.services.state_dir import (
    RUN_ID,
    DiskFullError,
    Record,
    StateDirBusyError,
    StateDirUnusableError,
    cleanup_stale,
    ensure_disk_space,
    hold,
)

ROOT = Path(__file__).resolve().parents[2]
EARLIER_RUN = "an-earlier-run"


@pytest.fixture
def orphan() -> Iterator[subprocess.Popen[bytes]]:
    """A process as an earlier run would have left it."""
    with subprocess.Popen(["sleep", "600"], env={"CAAS_RUN_ID": EARLIER_RUN}) as process:
        yield process
        process.kill()


def record_of(process: subprocess.Popen[bytes], **changes: object) -> Record:
    seen = linux.seen(process.pid)
    assert seen is not None
    facts = {"pid": process.pid, "start_ticks": seen.start_ticks, "run_id": EARLIER_RUN}
    return Record(name="orphan", **{**facts, **changes})  # type: ignore[arg-type]


def test_an_orphan_of_an_earlier_run_is_ended(tmp_path: Path, orphan) -> None:
    record_of(orphan).write(tmp_path)
    assert cleanup_stale(tmp_path) == ["orphan"]
    assert orphan.wait(timeout=60) < 0
    assert not list((tmp_path / "processes").iterdir())


def test_a_grandchild_is_ended_though_its_recorded_parent_has_gone(tmp_path: Path, orphan) -> None:
    record_of(orphan, pid=2**22 + 1).write(tmp_path)
    assert cleanup_stale(tmp_path) == ["orphan"]
    assert orphan.wait(timeout=60) < 0


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"start_ticks": 1, "run_id": "x"}, id="the pid was given to somebody else"),
        pytest.param({"run_id": "another"}, id="the environment names another run"),
        pytest.param({"run_id": RUN_ID}, id="it is ours and in use"),
    ],
)
def test_a_process_that_is_not_an_orphan_of_ours_is_left_alone(
    tmp_path: Path, orphan, changes: dict[str, object]
) -> None:
    record_of(orphan, **changes).write(tmp_path)
    assert cleanup_stale(tmp_path) == []
    assert orphan.poll() is None


def test_half_a_record_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "processes").mkdir()
    (tmp_path / "processes/cut.json").write_text(json.dumps({"pid": os.getpid()})[:-1])
    assert cleanup_stale(tmp_path) == []


@pytest.fixture
def first_run(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the directory."""
    script = (
        "import sys; from pathlib import Path\n"
        "from sandbox.services.state_dir import hold\n"
        "with hold(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        yield first
        first.kill()


def test_a_second_run_is_refused_with_the_pid_of_the_first(tmp_path: Path, first_run) -> None:
    with (
        pytest.raises(StateDirBusyError, match=rf"another run \(pid {first_run.pid}\)"),
        hold(tmp_path),
    ):
        pass
    first_run.kill()
    first_run.wait()
    with hold(tmp_path) as ended:
        assert ended == []


def test_a_refused_second_run_leaves_what_the_first_one_started(
    tmp_path: Path, first_run, orphan
) -> None:
    record_of(orphan).write(tmp_path)
    with pytest.raises(StateDirBusyError), hold(tmp_path):
        pass
    assert orphan.poll() is None
    first_run.kill()
    first_run.wait()
    with hold(tmp_path) as ended:
        assert ended == ["orphan"]
    assert orphan.wait(timeout=60) < 0


def test_a_file_in_the_place_of_the_directory_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StateDirUnusableError) as refused, hold(tmp_path / "state"):
        pass
    assert "state cannot be used: File exists" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_lock_that_cannot_be_opened_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with (
        pytest.raises(StateDirUnusableError, match="lock cannot be used: Is a directory"),
        hold(tmp_path),
    ):
        pass


def test_a_directory_that_is_read_only_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Asked of the system, since root may write where the mode forbids it.
    monkeypatch.setattr(state_dir.os, "access", lambda path, _: path != tmp_path)
    with pytest.raises(StateDirUnusableError, match="is not writable"), hold(tmp_path):
        pass


def test_a_full_disk_is_told_in_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_dir.shutil, "disk_usage", lambda _: SimpleNamespace(free=12_000_000))
    with pytest.raises(DiskFullError, match="12 MB of free disk space and 1,500 MB are needed"):
        ensure_disk_space(tmp_path / "not/yet/there", 1_500_000_000)
    ensure_disk_space(tmp_path, 12_000_000)
