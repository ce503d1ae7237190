"""Installs what one make target needs; a second run finds everything and installs nothing.

Runs before any package exists, hence the standard library only. Whatever is fetched is checked
against a committed hash, through the installers' own configuration: no address is named here.
Downloads and temporary files stay inside the repository and go after success; what the installers
say is kept in `.cache/bootstrap.log` and shown only when one fails.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from sandbox.bootstrap.machine import CACHE, ROOT, NotReadyError, exclusively, say
from sandbox.bootstrap.node_packages import (
    install_modules,
    install_node,
    modules_ready,
    node_ready,
)
from sandbox.bootstrap.python_packages import environment_ready, make_locks, sync_environment

VENV, DEV_LOCK = ROOT / ".venv", ROOT / "requirements/dev.lock"
TRAIN_VENV, TRAIN_LOCK = CACHE / "train-venv", ROOT / "requirements/train.lock"
CHAIN, CONTRACTS = ROOT / "sandbox/node", ROOT / "contracts"
PROVIDER = ROOT / "tests/oidc"

# A Python environment takes 1.1 GB, and its wheels lie beside it while it is built.
NEEDED_BYTES = 3_000_000_000


def main(arguments: list[str]) -> int:
    """Install the named parts in order: 0 when all are ready, 1 with one line when one is not."""
    try:
        if arguments[:1] == ["lock"]:
            with exclusively():
                make_locks(upgrade="--upgrade" in arguments)
        else:
            for part in arguments:
                _ensure(part)
    except NotReadyError as reason:
        say(str(reason))
        return 1
    except OSError as error:
        say(f"{error.strerror or error}: {error.filename or ROOT}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; the next run starts this part again")
        return 130
    return 0


def _ensure(part: str) -> None:
    if part not in PARTS:
        raise NotReadyError(f"unknown part {part!r}; known are {', '.join(PARTS)}")
    is_ready, install = PARTS[part]
    if is_ready():
        return
    with exclusively():
        if not is_ready():  # another make may have finished it while this one waited
            install()


def _install_venv() -> None:
    say("installing Python packages (about 1 GB, once) ...")
    sync_environment(VENV, DEV_LOCK, needed_bytes=NEEDED_BYTES)


def _install_train() -> None:
    say("installing what training needs (about 1 GB, once) ...")
    sync_environment(TRAIN_VENV, TRAIN_LOCK, needed_bytes=NEEDED_BYTES)


# Each part: whether it is ready (quick, reads only), and how to make it so.
PARTS: dict[str, tuple[Callable[[], bool], Callable[[], None]]] = {
    "venv": (lambda: environment_ready(VENV, DEV_LOCK), _install_venv),
    "node": (node_ready, install_node),
    "anvil": (
        lambda: modules_ready(CHAIN),
        lambda: install_modules(CHAIN, "the chain (45 MB, once)"),
    ),
    "contracts": (
        lambda: modules_ready(CONTRACTS),
        lambda: install_modules(CONTRACTS, "the contracts' tools (once)"),
    ),
    "oidc": (
        lambda: modules_ready(PROVIDER),
        lambda: install_modules(PROVIDER, "the tests' identity provider (4 MB, once)"),
    ),
    "train": (lambda: environment_ready(TRAIN_VENV, TRAIN_LOCK), _install_train),
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
