"""As whom PostgreSQL runs: it refuses root, and root may own a directory that only root can read.

Three ways are tried, each proved by running the server's binary before it is chosen: a user
namespace in place, which needs no other directory; another user, who must be able to reach the
directory; and another user with binaries and data in a temporary place of its own.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.services.process import Account

_NAMESPACE_ID = 1000  # any id but 0: inside the namespace, the directory's owner seems to have it
_PROBE_LIMIT_S = 20.0


class NoAccountError(Exception):
    """PostgreSQL can be run neither in a user namespace nor as another user."""


@dataclass(frozen=True)
class Installation:
    """Where a server's binaries and data lie, and as whom it runs.

    `removed_on_stop` is the directory outside `state_dir` that has to go with the server, if any.
    """

    bin_dir: Path
    home: Path
    account: Account
    removed_on_stop: Path | None = None


Way = Callable[[Path, Path], Installation | None]


def choose_installation(
    bin_dir: Path, home: Path, ways: Sequence[Way] | None = None
) -> Installation:
    """How to run the server in `bin_dir` with its data under `home`, which is created.

    Raises:
        NoAccountError: we are root and no way works.
    """
    home.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        return Installation(bin_dir, home, Account())
    for way in WAYS if ways is None else ways:
        installation = way(bin_dir, home)
        if installation is not None:
            return installation
    raise NoAccountError(
        "PostgreSQL does not run as root, and neither a user namespace nor another user works; "
        "run as a normal user"
    )


def in_namespace(bin_dir: Path, home: Path) -> Installation | None:
    """In place: a namespace in which root's files belong to a user that is not root."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return None
    ids = (f"--map-user={_NAMESPACE_ID}", f"--map-group={_NAMESPACE_ID}")
    wrapper = (unshare, "--user", *ids, "--")
    if not _works([*wrapper, *_probe(bin_dir, home)], user=None):
        return None
    return Installation(bin_dir, home, Account(wrapper=wrapper))


def as_other_user(bin_dir: Path, home: Path) -> Installation | None:
    """In place, as the owner of the nearest directory that is not root's, or as nobody."""
    owners = (os.stat(p) for p in (home, *home.absolute().parents))
    candidates = [(s.st_uid, s.st_gid) for s in owners if s.st_uid != 0]
    nobody = pwd.getpwnam("nobody")
    for user, group in (*candidates[:1], (nobody.pw_uid, nobody.pw_gid)):
        os.chown(home, user, group)
        if _works(_probe(bin_dir, home), user=(user, group)):
            return Installation(bin_dir, home, Account(user_and_group=(user, group)))
    os.chown(home, 0, 0)
    return None


def as_nobody_elsewhere(bin_dir: Path, home: Path) -> Installation | None:
    """As nobody, with binaries and data in a temporary directory; they go when the server stops."""
    del home  # it cannot be reached
    nobody = pwd.getpwnam("nobody")
    place = Path(tempfile.mkdtemp(prefix="caas-postgres-", dir="/var/tmp"))
    os.chmod(place, 0o755)
    shutil.copytree(bin_dir.parent, place / "pginstall", symlinks=True)
    subprocess.run(["chmod", "-R", "a+rX", str(place / "pginstall")], check=True)
    elsewhere = place / "home"
    elsewhere.mkdir()
    os.chown(elsewhere, nobody.pw_uid, nobody.pw_gid)
    account = Account(user_and_group=(nobody.pw_uid, nobody.pw_gid))
    copied = place / "pginstall" / bin_dir.name
    if not _works(_probe(copied, elsewhere), user=account.user_and_group):
        shutil.rmtree(place, ignore_errors=True)
        return None
    return Installation(copied, elsewhere, account, removed_on_stop=place)


WAYS: tuple[Way, ...] = (in_namespace, as_other_user, as_nobody_elsewhere)


def _probe(bin_dir: Path, home: Path) -> list[str]:
    """A command that succeeds if the server runs and may write its data."""
    script = 'test -w "$1" && test -x "$1" && exec "$2" --version'
    return ["/bin/sh", "-c", script, "probe", str(home), str(bin_dir / "postgres")]


def _works(command: list[str], user: tuple[int, int] | None) -> bool:
    try:
        done = subprocess.run(
            command,
            user=None if user is None else user[0],
            group=None if user is None else user[1],
            extra_groups=None if user is None else [],
            cwd="/",
            capture_output=True,
            timeout=_PROBE_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
