"""A program ends with what it said and its code, whatever its threads are about to do."""

from __future__ import annotations

import subprocess
import sys

import pytest

from settings import ROOT

PROGRAM = """
import sys, threading
from adapters.leaving import run_and_leave

def program():
    print("said")
    {thread}
    {ending}

run_and_leave(program)
"""
WAITING = "threading.Thread(target=threading.Event().wait).start()"


@pytest.mark.parametrize(
    ("ending", "code", "complaint"),
    [
        ("return", 0, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit(0)", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("sys.exit('That cannot be.')", 1, "That cannot be.\n"),
    ],
)
def test_it_ends_with_its_code_and_all_its_words(ending: str, code: int, complaint: str) -> None:
    ended = _run(ending)
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "said\n", complaint)


def test_a_bug_is_shown() -> None:
    ended = _run("raise KeyError('bug')", thread="")
    assert ended.returncode == 1
    assert "KeyError: 'bug'" in ended.stderr


def _run(ending: str, thread: str = WAITING) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(thread=thread, ending=ending)],
        cwd=ROOT, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
