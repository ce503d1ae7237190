"""What /proc tells about the processes of this machine; every answer may be outdated at once."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

_TCP_LISTEN = "0A"


@dataclass(frozen=True)
class Seen:
    """One process; pid and start together name it for ever, a pid alone is used again."""

    pid: int
    parent_pid: int
    group: int
    start_ticks: int
    is_zombie: bool


def seen(pid: int) -> Seen | None:
    """The process with this pid, or None if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the name in parentheses and may hold anything, parentheses included.
    fields = text.rpartition(")")[2].split()
    return Seen(pid, int(fields[1]), int(fields[2]), int(fields[19]), fields[0] in "ZX")


def everyone() -> list[Seen]:
    """Every process that can be seen from here."""
    pids = (int(name) for name in os.listdir("/proc") if name.isdecimal())
    return [process for pid in pids if (process := seen(pid)) is not None]


def is_alive(process: Seen) -> bool:
    """Whether this very process still runs; one that only waits to be reaped does not."""
    now = seen(process.pid)
    return now is not None and now.start_ticks == process.start_ticks and not now.is_zombie


def family(leader: Seen) -> list[Seen]:
    """The process, its descendants, and whoever shares its process group; the leader first.

    PostgreSQL puts each backend into a group of its own, so the group alone is not enough. Nobody
    is named once the leader's pid belongs to another process, whose family is not ours.
    """
    now = seen(leader.pid)
    if now is not None and now.start_ticks != leader.start_ticks:
        return []
    processes = everyone()
    members = {leader.pid}
    grew = True
    while grew:
        more = {p.pid for p in processes if p.parent_pid in members or p.group == leader.pid}
        grew = not more <= members
        members |= more
    chosen = [p for p in processes if p.pid in members and not p.is_zombie]
    return sorted(chosen, key=lambda p: p.pid != leader.pid)


def has_environment(pid: int, name: str, value: str) -> bool:
    """Whether the process was started with this environment variable, as far as we may know."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return f"{name}={value}".encode() in environment.split(b"\0")


def send(process: Seen, number: signal.Signals) -> None:
    """Signal this very process, never a later one that was given the same pid."""
    if is_alive(process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def listener(port: int) -> Seen | None:
    """The process that listens on a local TCP port, where this user may know it."""
    sockets = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _TCP_LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{fields[9]}]")
    for process in everyone():
        with contextlib.suppress(OSError):
            for descriptor in os.scandir(f"/proc/{process.pid}/fd"):
                if os.readlink(descriptor.path) in sockets:
                    return process
    return None


def command_name(pid: int) -> str:
    """The short name of a process, empty where it has gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
