"""The certification's table: who passes every row, and which row finds which mistake."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

from adapters import certify_command
from adapters.providers.plugin import SHIPPED, PluginUnusable
from sandbox.certification.certifying import row_names
from sandbox.certification.finding import plugin_named
from sandbox.certification.rehearsal import NoRehearsal, rehearsal_of
from sandbox.certification.samples.mistakes import FOUND_BY, GROUPS, Mistake

ROOT = Path(__file__).resolve().parents[3]
KIT = "sandbox.certification"
SAMPLES = f"{KIT}.samples"
ALL = f"{SAMPLES}.broken:PLUGIN"
VILLAGE = f"{SAMPLES}.village:PLUGIN"
# As small and short as still shows everything; the kit's own defaults are for people.
QUICKLY = ("--deadline-s", "0.3", "--huge-bytes", "40000000")
ON_CHAIN = "adapters.providers.pool:PLUGIN"
# Rows about things that no plausible mistake of this sample would break by itself.
UNBROKEN = {
    "connect", "offers-match", "status-active", "manifest-rehearsal", "slow", "silent",
    "answer-twice", "double-callback",
}  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    def failed(self) -> Mapping[str, set[str]]:
        """The rows that failed, by adapter as it was named."""
        lines = map(json.loads, self.out.splitlines())
        return {line["adapter"]: set(line["failed"]) for line in lines if "failed" in line}

    def rows(self, adapter: str) -> list[str]:
        lines = map(json.loads, self.out.splitlines())
        return [line["row"] for line in lines if line["adapter"] == adapter and "row" in line]


def run(*arguments: str, **environment: str) -> Ended:
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def certified(*names: str) -> Ended:
    ended = run("-m", KIT, "--json", *QUICKLY, *names)
    assert set(ended.failed()) == set(names), ended.err
    return ended


def named(group: tuple[Mistake, ...]) -> str:
    return f"{SAMPLES}.broken:" + "+".join(mistake.name for mistake in group)


@pytest.fixture(scope="module")
def broken() -> Mapping[str, set[str]]:
    """The rows in which each group of mistakes fails, and all mistakes at once."""
    ended = certified(ALL, *map(named, GROUPS))
    assert ended.code == 1
    return ended.failed()


def test_the_sample_and_every_adapter_without_a_chain_pass_every_row() -> None:
    names = [VILLAGE, *(path for path in SHIPPED if path != ON_CHAIN)]
    assert len(names) >= 4
    ended = certified(*names)
    assert ended.failed() == {name: set() for name in names}
    assert ended.code == 0
    for name in names:
        assert ended.rows(name) == list(row_names())


@pytest.mark.stack
def test_the_pool_passes_every_row_on_a_chain_of_its_own() -> None:
    assert ON_CHAIN in SHIPPED
    ended = certified(ON_CHAIN)
    assert ended.failed() == {ON_CHAIN: set()}
    assert ended.code == 0


@pytest.mark.parametrize("mistake", Mistake)
def test_each_mistake_is_found_by_the_rows_meant_for_it(
    mistake: Mistake, broken: Mapping[str, set[str]]
) -> None:
    [group] = [group for group in GROUPS if mistake in group]
    assert FOUND_BY[mistake]
    assert broken[named(group)] >= FOUND_BY[mistake]


@pytest.mark.parametrize("group", GROUPS, ids=range(len(GROUPS)))
def test_no_other_row_fails(group: tuple[Mistake, ...], broken: Mapping[str, set[str]]) -> None:
    expected = [row for mistake in group for row in FOUND_BY[mistake]]
    assert len(expected) == len(set(expected)), "two mistakes of a group are found by one row"
    assert broken[named(group)] == set(expected)


def test_the_broken_sample_fails_in_every_row_meant_for_it(
    broken: Mapping[str, set[str]],
) -> None:
    assert broken[ALL] >= {row for rows in FOUND_BY.values() for row in rows}


def test_every_mistake_is_planted_once_and_nearly_every_row_finds_one() -> None:
    planted = [mistake for group in GROUPS for mistake in group]
    assert sorted(planted) == sorted(Mistake) == sorted(FOUND_BY)
    assert set(row_names()) - {row for rows in FOUND_BY.values() for row in rows} == UNBROKEN


def test_an_adapter_is_found_by_its_name_and_by_import_path() -> None:
    assert plugin_named("bank-rest") is plugin_named("adapters.providers.bank:PLUGIN")
    assert plugin_named("village-credit", [VILLAGE]) is plugin_named(VILLAGE)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nobody", "no such adapter; there are bank-rest, "),
        ("no.such.module:PLUGIN", "cannot be loaded"),
        ("adapters.providers.bank:MANIFEST", "is no Plugin"),
    ],
)
def test_what_is_no_adapter_is_said(name: str, said: str) -> None:
    with pytest.raises(PluginUnusable, match=said):
        plugin_named(name)


def test_an_adapter_that_names_no_counterparty_is_not_certified() -> None:
    with pytest.raises(NoRehearsal, match="names no counterparty"):
        rehearsal_of(None)
    with pytest.raises(NoRehearsal, match="has no REHEARSAL"):
        rehearsal_of("sandbox.counterparties.bureau")
    with pytest.raises(NoRehearsal, match="cannot be loaded"):
        rehearsal_of("no.such.lender")


def test_the_command_finds_a_configured_plugin_and_names_what_fails() -> None:
    plugins = json.dumps([f"{SAMPLES}.broken:SAYS_NOTHING"])
    command = ("cli.py", "providers", "certify", "--deadline-s", "0.3")
    ended = run(*command, "broken-sample", CAAS_PLUGINS=plugins)
    assert ended.code == 1
    assert "says nothing about itself" in ended.out
    assert ended.out.splitlines()[-1] == (
        f"broken-sample fails 1 of {len(row_names())} rows: manifest-complete"
    )


def test_the_command_says_in_one_line_that_there_is_no_such_adapter() -> None:
    ended = run("cli.py", "providers", "certify", "nobody")
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 1


def test_without_the_sandbox_the_command_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(certify_command, "find_spec", lambda _: None)
    with pytest.raises(typer.Exit) as ended:
        certify_command.certify(["bank-rest"])
    assert ended.value.exit_code == 2
    assert "is not installed here" in capsys.readouterr().err


def test_the_guide_names_every_row_and_no_other() -> None:
    guide = (ROOT / "docs/providers/README.md").read_text("utf-8")
    [table] = re.findall(r"\| rows \| usual reason \|\n\|---\|---\|\n((?:\|.*\n)+)", guide)
    named_rows = re.findall(r"`([^`]+)`", " ".join(row.split("|")[1] for row in table.splitlines()))
    assert sorted(named_rows) == sorted(row_names())
    assert f"all {len(row_names())} rows passed" in guide
    assert f"lists {len(Mistake)} mistakes" in guide
