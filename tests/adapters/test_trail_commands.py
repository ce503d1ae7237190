"""`cli.py audit` and `cli.py events`: what they print, and with which code they end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from adapters import trail_commands
from adapters.audit import TrailReport
from adapters.trail_commands import audit_commands
from models.domain.audit import Finding, Flaw, genesis, heads_document

SOUND = TrailReport("acme", 12, genesis("acme"), [])
BROKEN = TrailReport(
    "beta",
    9,
    genesis("beta"),
    [Finding(Flaw.ROW_MISSING, 7, 70), Finding(Flaw.ROW_ALTERED, 3, 31)],
)


def verifying(*reports: TrailReport) -> typer.Typer:
    return audit_commands(lambda _: list(reports))


@pytest.mark.parametrize(("reports", "code"), [([SOUND], 0), ([SOUND, BROKEN], 1), ([], 0)])
def test_a_broken_trail_ends_with_one(reports: list[TrailReport], code: int) -> None:
    assert CliRunner().invoke(verifying(*reports), ["verify"]).exit_code == code


def test_the_first_bad_position_is_named() -> None:
    said = CliRunner().invoke(verifying(SOUND, BROKEN), ["verify"]).output
    assert "acme: 12 rows verified" in said
    assert "beta: 2 flaws, the first at position 3 (audit row 31): ROW_ALTERED" in said


@pytest.mark.parametrize("text", ["", "{}", '[{"tenant_id": 1}]', None])
def test_a_head_file_that_is_none_is_said_and_nothing_is_verified(
    tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "head.json"
    if text is not None:
        file.write_text(text)
    ended = CliRunner().invoke(verifying(SOUND), ["verify", "--head", str(file)])
    assert ended.exit_code == 1
    assert "rows verified" not in ended.output


def test_heads_reach_the_verification(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "head.json"
    expected = {"acme": genesis("acme")}
    file.write_text(json.dumps(heads_document(expected)))
    asked: list[Any] = []

    async def verify(_: Any, tenant: str | None, heads: Any) -> list[TrailReport]:
        asked.append((tenant, heads))
        return [SOUND]

    def as_relay(work: Any) -> Any:
        coroutine = work(None)
        with pytest.raises(StopIteration) as ended:
            coroutine.send(None)
        return ended.value.value

    monkeypatch.setattr(trail_commands, "verify", verify)
    arguments = ["verify", "--tenant", "acme", "--head", str(file)]
    assert CliRunner().invoke(audit_commands(as_relay), arguments).exit_code == 0
    assert asked == [("acme", expected)]
