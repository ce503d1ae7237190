"""What every step of the installation shares: checks of the machine, one run at a time, tools."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
STAMP = ".caas-ready"
LOG = "bootstrap.log"  # in CACHE: what the installers said during the last installation
SHOWN_LINES = 40  # of a tool that failed; enough for the error below its own traceback

NEEDED_GLIBC = (2, 34)  # what the PostgreSQL wheel is built against


_held: list[int] = []


class NotReadyError(Exception):
    """Something the installation needs is missing; the message is one line for the reader."""


def check_machine(needed_bytes: int) -> None:
    """Refuse early, in one line, what would fail late in many."""
    version = (os.confstr("CS_GNU_LIBC_VERSION") or "").removeprefix("glibc ")
    if not version or tuple(int(n) for n in version.split(".")[:2]) < NEEDED_GLIBC:
        needed = ".".join(map(str, NEEDED_GLIBC))
        raise NotReadyError(f"glibc {needed} or newer is needed; here is {version or 'another C'}")
    free = shutil.disk_usage(ROOT).free
    if free < needed_bytes:
        raise NotReadyError(
            f"{needed_bytes / 1e9:.1f} GB of free disk space are needed in {ROOT}, "
            f"there are {free / 1e9:.1f} GB"
        )


@contextlib.contextmanager
def exclusively() -> Iterator[None]:
    """One installation at a time in this checkout; a second make waits for the first."""
    if not os.access(ROOT, os.W_OK):
        raise NotReadyError(f"{ROOT} is not writable for this user")
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "bootstrap.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another make is installing in this checkout; waiting for it ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        # The tools we run inherit the lock: one that outlives a killed make still holds it.
        _held.append(lock.fileno())
        (CACHE / LOG).unlink(missing_ok=True)
        try:
            yield
        finally:
            _held.clear()


def environment() -> dict[str, str]:
    """The caller's environment (registry, certificates), temporary files inside the repository."""
    temporary = CACHE / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    env = dict(os.environ)
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"):
        env.pop(name, None)
    env["TMPDIR"] = str(temporary)
    # pip asks rustc for its version, and a rustc that rustup manages would set up a home for it.
    env["RUSTUP_HOME"] = str(temporary / "rustup")
    return env


def run(
    command: list[str],
    what: str,
    *,
    env: dict[str, str] | None = None,
    cwd: Path = ROOT,
    text: str | None = None,
) -> None:
    """Run one tool: what it says goes to the log, and to the terminal only if it fails."""
    log = CACHE / LOG
    with log.open("ab") as output:
        output.write(f"$ {' '.join(command)}\n".encode())
        output.flush()
        start = output.tell()
        try:
            done = subprocess.run(
                command,
                env=env or environment(),
                cwd=cwd,
                input=text,
                text=True,
                pass_fds=_held,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        except FileNotFoundError as missing:
            raise NotReadyError(f"could not {what}: {missing.filename} is not there") from missing
    if done.returncode != 0:
        lines = log.read_bytes()[start:].decode(errors="replace").splitlines()
        for line in lines[-SHOWN_LINES:]:
            print(line, file=sys.stderr)
        raise NotReadyError(f"could not {what}; all that was said is in {log}")


def ask(command: list[str], env: dict[str, str] | None = None) -> str:
    """What a tool prints, without blanks around it; nothing if it fails."""
    answer = subprocess.run(
        command, capture_output=True, text=True, env=env or environment(), check=False
    )
    return answer.stdout.strip() if answer.returncode == 0 else ""


def digest(lock: Path) -> str:
    """The SHA-256 of a lock file, by which an installation knows whether it is up to date."""
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def read(path: Path) -> str | None:
    """The text of a small file, None where there is none."""
    try:
        return path.read_text()
    except (FileNotFoundError, NotADirectoryError):
        return None


def say(text: str) -> None:
    """Tell the person at the terminal what takes long."""
    print(f"bootstrap: {text}", file=sys.stderr, flush=True)
