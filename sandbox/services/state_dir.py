"""The directory one run keeps its state in: held by one run at a time, swept of an earlier one."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from sandbox.services import linux

RUN_ID_VARIABLE = "CAAS_RUN_ID"
RUN_ID = uuid.uuid4().hex  # this run; every process it starts carries it in its environment
_SWEEP_LIMIT_S = 10.0  # a killed process goes at once, unless its disk hangs


class StateDirBusyError(Exception):
    """Another run that is still alive uses the directory."""


class StateDirUnusableError(Exception):
    """The directory cannot be made or written; the message says which path and why."""


class DiskFullError(Exception):
    """There is not enough room for what is about to be written."""


@contextlib.contextmanager
def hold(state_dir: Path) -> Iterator[list[str]]:
    """Use the directory alone: created if absent, and rid of what a killed run left running.

    Gives the names of the processes that were ended. Nothing is ended unless the directory could
    be had: what a live run has started is its own.

    Raises:
        StateDirBusyError: a live run holds it. The kernel frees it when that run ends, however.
        StateDirUnusableError: it cannot be made or written.
    """
    with _lock_file(state_dir) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            lock.seek(0)
            raise StateDirBusyError(
                f"another run (pid {lock.read().strip() or 'unknown'}) uses {state_dir}; "
                "end it with Ctrl-C first"
            ) from held
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield cleanup_stale(state_dir)


def _lock_file(state_dir: Path) -> TextIO:
    """The opened lock file of a directory that can be written."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        lock = (state_dir / "lock").open("a+")
    except OSError as error:
        raise StateDirUnusableError(
            f"{error.filename or state_dir} cannot be used: {error.strerror}; "
            "move it away or make it writable"
        ) from error
    if not os.access(state_dir, os.W_OK | os.X_OK):
        lock.close()
        raise StateDirUnusableError(f"{state_dir} is not writable for this user")
    return lock


def ensure_disk_space(path: Path, needed_bytes: int) -> None:
    """Raise DiskFullError, in words for the reader, unless `needed_bytes` fit where `path` is."""
    existing = next(p for p in (path, *path.absolute().parents) if p.exists())
    free_bytes = shutil.disk_usage(existing).free
    if free_bytes < needed_bytes:
        raise DiskFullError(
            f"{path} has {free_bytes / 1e6:,.0f} MB of free disk space and "
            f"{needed_bytes / 1e6:,.0f} MB are needed; free some and run again"
        )


@dataclass(frozen=True)
class Record:
    """What is written down about a process we started, so that a later run can recognise it."""

    name: str
    pid: int
    start_ticks: int
    run_id: str

    def write(self, state_dir: Path) -> None:
        """Put the process on the directory's list."""
        path = _record_path(state_dir, self.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self)))

    @staticmethod
    def remove(state_dir: Path, name: str) -> None:
        """Strike a process that has ended from the list."""
        _record_path(state_dir, name).unlink(missing_ok=True)


def cleanup_stale(state_dir: Path) -> list[str]:
    """End what earlier runs on this directory left running; returns the names of what was ended.

    A recorded process is ended only if its pid, its start time and the run id in its environment
    all agree, and with it its descendants and whoever else carries that run id. Processes of this
    run and of others are never touched.
    """
    ended: list[str] = []
    for path in sorted((state_dir / "processes").glob("*.json")):
        record = _read_record(path)
        if record is not None and record.run_id == RUN_ID:
            continue
        if record is not None:
            orphans = _orphans(record)
            if orphans:
                ended.append(record.name)
            _end(orphans)
        path.unlink(missing_ok=True)
    return ended


def _orphans(record: Record) -> list[linux.Seen]:
    """The recorded process with its family, then every other process with the same run id."""
    leader = linux.seen(record.pid)
    found: list[linux.Seen] = []
    if (
        leader is not None
        and leader.start_ticks == record.start_ticks
        and linux.has_environment(leader.pid, RUN_ID_VARIABLE, record.run_id)
    ):
        found = linux.family(leader)
    return found + [
        other
        for other in linux.everyone()
        if not other.is_zombie
        and other not in found
        and linux.has_environment(other.pid, RUN_ID_VARIABLE, record.run_id)
    ]


def _end(orphans: list[linux.Seen]) -> None:
    for orphan in orphans:
        linux.send(orphan, signal.SIGKILL)
    deadline = time.monotonic() + _SWEEP_LIMIT_S
    while any(linux.is_alive(orphan) for orphan in orphans) and time.monotonic() < deadline:
        time.sleep(0.02)


def _record_path(state_dir: Path, name: str) -> Path:
    return state_dir / "processes" / f"{name}.json"


def _read_record(path: Path) -> Record | None:
    """The record, or None where a killed run left half of one: then nothing is known to be ours."""
    try:
        return Record(**json.loads(path.read_text()))
    except (ValueError, TypeError):
        return None
