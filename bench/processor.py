"""Processor time of process families, as /proc counts it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sandbox.services import linux
from sandbox.services.process import ManagedProcess

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


def cpu_ms(processes: Mapping[str, ManagedProcess]) -> dict[str, float]:
    """CPU-ms (user and system) each has used so far, with all its descendants, ended ones too.

    The resolution is a tick (10 ms), so windows must be long.
    """
    return {name: _family_ms(process.pid) for name, process in processes.items()}


def _family_ms(pid: int) -> float:
    leader = linux.seen(pid)
    if leader is None:
        raise RuntimeError(f"process {pid} is not there any more")
    return sum(_own_ticks(member.pid) for member in linux.family(leader)) * 1000 / _TICKS_PER_S


def _own_ticks(pid: int) -> int:
    """Ticks of one process with all its threads, and of the children it has reaped."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    # utime, stime, cutime, cstime; the name before them may hold anything, parentheses included.
    return sum(int(ticks) for ticks in text.rpartition(")")[2].split()[11:15])
