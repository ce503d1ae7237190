"""Runs every row of the table for one adapter: against a real server process, over real sockets."""

from __future__ import annotations

import asyncio
import json
import queue
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import httpx

from adapters.providers.plugin import Plugin
from sandbox.certification import (
    rows_callbacks,
    rows_content,
    rows_healthy,
    rows_manifest,
    rows_wire,
)
from sandbox.certification.listening import HEARD, listening, weighed
from sandbox.certification.rehearsal import NoRehearsal, Rehearsal, Stage, rehearsal_of
from sandbox.certification.row import Part, Row, Verdict
from sandbox.certification.trial import Ground, Options, Trial, Unmet
from sandbox.certification.wire import Wire
from sandbox.services.ports import LOOPBACK, free_port
from sandbox.services.process import ManagedProcess

ROWS: Final[tuple[Row, ...]] = (
    *rows_manifest.ROWS,
    *rows_healthy.ROWS,
    *rows_wire.ROWS,
    *rows_content.ROWS,
    *rows_callbacks.ROWS,
)
SECRETS_ROW: Final = ("secrets-kept", Part.SECRETS, "no secret in logs, output or errors")

_READY_WITHIN_S: Final = 30.0
# The longest row waits several times; an adapter that never returns is left behind after this.
_ROW_S: Final = 90.0
# What Python itself, the parser and the connection may hold of an answer of the largest size.
_COPIES: Final = 8
_ROOM_BYTES: Final = 8_000_000


@dataclass(slots=True)
class _Heard:
    """What all rows wrote, and which of their words are secrets."""

    leaks: list[str] = field(default_factory=list)


async def certify(
    adapters: Sequence[tuple[str, Plugin]], options: Options
) -> AsyncIterator[tuple[str, list[Verdict]]]:
    """The table of each adapter, in the order of its rows; raises NoRehearsal.

    Adapters in a row that rehearse with the same lender share its process.
    """
    for module, together in groupby(adapters, key=lambda each: each[1].manifest.rehearsal):
        rehearsal = rehearsal_of(module)
        with tempfile.TemporaryDirectory(prefix="certify-") as folder, Wire() as wire:
            async with (
                rehearsal.stage(Path(folder)) as stage,
                _served(str(module), stage, Path(folder)) as (url, journal),
            ):
                for name, plugin in together:
                    ground = Ground(plugin, rehearsal, stage, url, journal, wire, options)
                    with listening():
                        verdicts = await asyncio.to_thread(_all_rows, ground)
                    yield name, verdicts


@asynccontextmanager
async def _served(module: str, stage: Stage, folder: Path) -> AsyncIterator[tuple[str, Path]]:
    """The simulated lender as a process of its own: its address, and its journal."""
    port, journal, config = free_port(), folder / "lender.jsonl", folder / "lender.json"
    config.write_text(json.dumps(stage.counterparty), "utf-8")
    config.chmod(0o600)
    command = [sys.executable, "-m", module, "--host", LOOPBACK, "--port", str(port)]
    command += ["--config", str(config), "--log", str(journal)]
    process = ManagedProcess("lender", command, state_dir=folder)
    url = f"http://{LOOPBACK}:{port}"
    await process.start()
    try:
        async with httpx.AsyncClient(trust_env=False, verify=False) as http:

            async def answers() -> bool:
                try:
                    await http.get(url)
                except httpx.TransportError:
                    return False
                return True

            await process.ready(answers, _READY_WITHIN_S)
        yield url, journal
    finally:
        await process.terminate()


def _all_rows(ground: Ground) -> list[Verdict]:
    """Rows side by side, each in a thread of its own; then those that are weighed, one by one."""
    heard = _Heard()
    verdicts: dict[str, Verdict] = {}
    waiting: queue.SimpleQueue[Row] = queue.SimpleQueue()
    for row in ROWS:
        if not row.weighed:
            waiting.put(row)

    def work() -> None:
        while True:
            try:
                row = waiting.get_nowait()
            except queue.Empty:
                return
            verdicts[row.name] = _watched(row, ground, heard)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(ground.options.at_once)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for row in ROWS:
        if row.weighed:
            verdicts[row.name] = _weighed_row(row, ground, heard)
    name, part, expected = SECRETS_ROW
    found = sorted(set(heard.leaks))
    happened = f"read in the logs or errors of: {', '.join(found)}" if found else "none"
    return [
        *(verdicts[row.name] for row in ROWS),
        Verdict(name, part, not found, expected, happened),
    ]


def _weighed_row(row: Row, ground: Ground, heard: _Heard) -> Verdict:
    limit = _COPIES * ground.plugin.manifest.limits.max_bytes + _ROOM_BYTES
    with weighed() as weight:
        verdict = _watched(row, ground, heard)
    if verdict.passed and weight.peak > limit:
        happened = f"{verdict.happened}, with {weight.peak / 1e6:.0f} MB in memory"
        return Verdict(row.name, row.part, False, row.expected, happened)
    return verdict


def _watched(row: Row, ground: Ground, heard: _Heard) -> Verdict:
    """The row's verdict; an adapter that blocks its thread for ever is left behind in it."""
    verdicts: list[Verdict] = []

    def work() -> None:
        verdicts.append(asyncio.run(_verdict(row, ground, heard)))

    thread = threading.Thread(target=work, daemon=True, name=row.name)
    thread.start()
    thread.join(_ROW_S)
    if not verdicts:
        return Verdict(row.name, row.part, False, row.expected, f"not back after {_ROW_S:.0f} s")
    return verdicts[0]


async def _verdict(row: Row, ground: Ground, heard: _Heard) -> Verdict:
    words: list[str] = []
    HEARD.set(words)
    passed = False
    async with AsyncExitStack() as stack:
        trial = Trial(ground, stack)
        try:
            happened = await row.run(trial)
            passed = True
        except Unmet as unmet:
            happened = str(unmet)
        except Exception as error:
            # Whatever else an adapter lets out: the contract knows CreditError alone.
            trial.errors.append(error)
            happened = f"raised {_described(error)}"
        said = "".join((*words, *map(_said, trial.errors)))
        if any(secret in said for secret in trial.secrets()):
            heard.leaks.append(row.name)
    return Verdict(row.name, row.part, passed, row.expected, happened)


def _described(error: Exception) -> str:
    code: Any = getattr(error, "code", None)
    return f"{type(error).__name__} {code}" if isinstance(code, str) else type(error).__name__


def _said(error: BaseException) -> str:
    return f"{error} {error!r} {getattr(error, 'detail', '')}"


__all__ = ["ROWS", "SECRETS_ROW", "NoRehearsal", "Rehearsal", "certify"]


def row_names() -> Sequence[str]:
    """Every row of the table, in its order."""
    return (*(row.name for row in ROWS), SECRETS_ROW[0])
