"""A bare clone installs or says in one line what is missing; what is installed stays installed."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from sandbox.bootstrap import install, machine, node_packages, python_packages

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bare_clone(tmp_path: Path) -> Path:
    """The part of a clone that the bootstrap consists of; nothing is installed in it."""
    clone = tmp_path / "clone"
    for part in ("sandbox/bootstrap", "requirements"):
        shutil.copytree(ROOT / part, clone / part)
    shutil.copy(ROOT / "sandbox/__init__.py", clone / "sandbox")
    return clone


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def bootstrap(clone: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(clone / "sandbox/bootstrap/bootstrap.sh"), *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(clone), **env},
        capture_output=True,
        text=True,
        check=False,
    )


def assert_one_line(done: subprocess.CompletedProcess[str], expected: str) -> None:
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert expected in done.stderr
    assert done.stdout == ""


def test_another_machine_is_refused_in_one_line(bare_clone: Path, tmp_path: Path) -> None:
    program(tmp_path / "bin/uname", "case $1 in -s) echo Darwin;; *) echo arm64;; esac")
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    done = bootstrap(bare_clone, "venv", PATH=path)
    assert_one_line(done, "Linux x86-64 only, and this machine is Darwin arm64")


@pytest.mark.parametrize(
    "reason", ["is version 3.9", "lacks venv (Debian, Ubuntu: install python3.11-venv)"]
)
def test_an_unsuitable_python_is_refused_with_its_reason(
    bare_clone: Path, tmp_path: Path, reason: str
) -> None:
    python = program(tmp_path / "python", f'echo "{reason}" >&2; exit 1')
    done = bootstrap(bare_clone, "venv", PYTHON=str(python))
    assert_one_line(done, f"{python} {reason}")


def test_no_python_at_all_is_told_in_one_line(bare_clone: Path, tmp_path: Path) -> None:
    for tool in ("uname", "dirname", "tail"):
        program(tmp_path / "bin" / tool, f'exec {shutil.which(tool)} "$@"')
    done = bootstrap(bare_clone, "venv", PATH=str(tmp_path / "bin"))
    assert_one_line(done, "Python 3.11 or newer with venv is needed; none was found")


def test_an_unknown_part_is_refused_in_one_line(bare_clone: Path) -> None:
    assert_one_line(bootstrap(bare_clone, "kitchen"), "unknown part 'kitchen'; known are venv,")


def test_a_full_disk_is_told_in_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: SimpleNamespace(free=2 * 10**8))
    with pytest.raises(machine.NotReadyError, match=r"3\.0 GB .* needed .* there are 0\.2 GB"):
        machine.check_machine(install.NEEDED_BYTES)


def test_an_old_c_library_is_told_with_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.os, "confstr", lambda _: "glibc 2.31")
    with pytest.raises(
        machine.NotReadyError, match=r"glibc 2\.34 or newer is needed; here is 2\.31"
    ):
        machine.check_machine(0)


def test_what_is_ready_is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    def touch() -> None:
        raise AssertionError("it was installed again")

    monkeypatch.setitem(install.PARTS, "venv", (lambda: True, touch))
    assert install.main(["venv"]) == 0


def test_an_environment_is_ready_only_for_its_lock_and_its_place(tmp_path: Path) -> None:
    venv, lock = tmp_path / "venv", tmp_path / "dev.lock"
    program(venv / "bin/python", "exit 0")
    lock.write_text("a==1\n")
    assert not python_packages.environment_ready(venv, lock)
    (venv / machine.STAMP).write_text(python_packages._key(venv, lock))
    assert python_packages.environment_ready(venv, lock)
    venv.rename(tmp_path / "moved")
    assert not python_packages.environment_ready(tmp_path / "moved", lock)
    (tmp_path / "moved").rename(venv)
    lock.write_text("a==2\n")
    assert not python_packages.environment_ready(venv, lock)


def test_node_modules_are_ready_only_for_their_lock(tmp_path: Path) -> None:
    lock = tmp_path / "package-lock.json"
    lock.write_text("{}")
    (tmp_path / "node_modules").mkdir()
    assert not node_packages.modules_ready(tmp_path)
    (tmp_path / "node_modules" / machine.STAMP).write_text(machine.digest(lock))
    assert node_packages.modules_ready(tmp_path)
    lock.write_text("{ }")
    assert not node_packages.modules_ready(tmp_path)


def test_an_old_node_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CACHE", tmp_path)
    program(tmp_path / "bin/npm", "echo 10.2.0")
    node = program(tmp_path / "bin/node", "echo v18.19.0")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert node_packages._machine_node() is None
    program(node, "echo v22.1.0")
    assert node_packages._machine_node() == node


def test_a_second_make_waits_for_the_first_and_finds_its_work_done(
    bare_clone: Path, tmp_path: Path
) -> None:
    (bare_clone / ".cache").mkdir()
    node = program(tmp_path / "node", "echo v22.1.0")
    with (bare_clone / ".cache/bootstrap.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = subprocess.Popen(
            ["/bin/sh", str(bare_clone / "sandbox/bootstrap/bootstrap.sh"), "node"],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert second.stderr is not None
        assert "waiting" in second.stderr.readline()
        (bare_clone / ".cache/node-path").write_text(f"{node}\n")
    with second:
        assert second.stderr.read() == ""
    assert second.returncode == 0
    assert (bare_clone / ".cache/node-path").read_text() == f"{node}\n"


def test_a_tool_that_outlives_a_killed_make_still_holds_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    monkeypatch.setattr(machine, "CACHE", tmp_path / ".cache")
    tool = program(tmp_path / "tool", f"ls -l /proc/$$/fd > '{tmp_path}/open-files'")
    with machine.exclusively():
        machine.run([str(tool)], "look", env=dict(os.environ))
    assert str(tmp_path / ".cache/bootstrap.lock") in (tmp_path / "open-files").read_text()


def test_what_an_installer_says_is_shown_only_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    monkeypatch.setattr(machine, "CACHE", tmp_path / ".cache")
    chatty = program(tmp_path / "chatty", "echo deprecated; echo a notice >&2")
    failing = program(tmp_path / "failing", "seq 100; echo no such package >&2; exit 3")
    with machine.exclusively():
        machine.run([str(chatty)], "chat")
        assert capfd.readouterr() == ("", "")
        with pytest.raises(machine.NotReadyError, match=r"could not fail; .*bootstrap\.log"):
            machine.run([str(failing)], "fail")
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines()[-2:] == ["100", "no such package"]
    assert len(shown.err.splitlines()) == machine.SHOWN_LINES
    log = (tmp_path / ".cache/bootstrap.log").read_text()
    assert "deprecated\na notice\n" in log
    assert "\n1\n2\n" in log


def test_the_log_of_an_earlier_installation_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    monkeypatch.setattr(machine, "CACHE", tmp_path / ".cache")
    for _ in range(2):
        with machine.exclusively():
            machine.run([str(program(tmp_path / "tool", "echo said"))], "talk")
    assert (tmp_path / ".cache/bootstrap.log").read_text().count("said\n") == 1
