"""The committed artefacts come from the sources, and the Solidity tests behind them pass."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"
INSTALL_HINT = "run `make contracts` first"


def _node() -> str:
    node = os.environ.get("CAAS_NODE") or shutil.which("node")
    if node is None or not Path(node).exists():
        pytest.fail(f"node was not found in CAAS_NODE or on the PATH: {INSTALL_HINT}")
    return node


def _run(script: str, *arguments: str, directory: Path = CONTRACTS) -> tuple[int, str]:
    """Runs one of the scripts and returns its exit code and everything it printed."""
    run = subprocess.run(
        [_node(), script, *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=570,
        check=False,
    )
    return run.returncode, run.stdout + run.stderr


def _require_packages() -> None:
    if not (CONTRACTS / "node_modules" / "solc").is_dir():
        pytest.fail(f"contracts/node_modules is not installed: {INSTALL_HINT}")


def _copy(target: Path, *, with_packages: bool) -> Path:
    """A copy of contracts/ under another path, sharing the installed packages."""
    shutil.copytree(
        CONTRACTS, target, ignore=shutil.ignore_patterns("node_modules", "out", "cache")
    )
    if with_packages:
        _require_packages()
        (target / "node_modules").symlink_to(CONTRACTS / "node_modules")
    return target


def test_sources_compile_to_the_committed_artefacts() -> None:
    _require_packages()
    code, said = _run("compile.mjs", "--check")
    assert code == 0, said
    assert said.count("is what the sources compile to") == 3


def test_check_does_not_depend_on_the_path_and_notices_a_changed_source(tmp_path: Path) -> None:
    copy = _copy(tmp_path / "elsewhere", with_packages=True)
    code, said = _run("compile.mjs", "--check", directory=copy)
    assert code == 0, said

    source = copy / "src" / "TestUSD.sol"
    source.write_text(source.read_text().replace("return 6;", "return 18;"))
    code, said = _run("compile.mjs", "--check", directory=copy)
    assert code == 1
    assert "artifacts/TestUSD.json differs" in said
    assert "artifacts/CreditAggregator.json is what" in said


@pytest.mark.parametrize("script", ["compile.mjs", "run-forge.mjs"])
def test_missing_packages_are_a_failure_that_says_what_to_do(tmp_path: Path, script: str) -> None:
    copy = _copy(tmp_path / "bare", with_packages=False)
    assert _run(script, directory=copy) == (
        1,
        "contracts/node_modules is not installed: run `make contracts`\n",
    )


def test_solidity_tests_pass() -> None:
    _require_packages()
    code, said = _run("run-forge.mjs")
    assert code == 0, said
    passed = re.search(r"(\d+) tests passed \((\d+) declared\)", said)
    assert passed is not None, said
    assert passed[1] == passed[2]
    assert int(passed[1]) >= 150


def test_runner_refuses_a_forge_run_that_left_tests_out(tmp_path: Path) -> None:
    copy = _copy(tmp_path / "partial", with_packages=True)
    for file in (copy / "test").glob("*.t.sol"):
        if file.name != "Cancel.t.sol":
            file.unlink()
    settings = copy / "foundry.toml"
    filtered = 'ffi = false\nno_match_test = "leavesTheReferenceFree"'
    settings.write_text(settings.read_text().replace("ffi = false", filtered))
    code, said = _run("run-forge.mjs", directory=copy)
    assert code == 1
    assert "CancelOfferTest.test_leavesTheReferenceFree: was not run" in said
    assert "1 of 7 tests have problems" in said


def test_lock_holds_hashes_and_no_registry() -> None:
    lock = json.loads((CONTRACTS / "package-lock.json").read_text())
    packages = {path: entry for path, entry in lock["packages"].items() if path}
    assert packages
    for path, entry in packages.items():
        assert entry.get("integrity", "").startswith("sha512-"), path
        assert "resolved" not in entry, path
    wanted = json.loads((CONTRACTS / "package.json").read_text())["devDependencies"]
    for name, version in wanted.items():
        assert packages[f"node_modules/{name}"]["version"] == version
