"""One run of schemathesis in a process of its own, and what came of it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sandbox.fuzz.ground import Ground
from settings import ROOT

CONFIG: Final = Path(__file__).with_name("schemathesis.toml")


@dataclass(frozen=True)
class Bounds:
    """How much is tried: examples an operation, again and again for so long if that is said."""

    examples: int
    seed: int
    phases: str = "examples,coverage,fuzzing,stateful"
    repeat_s: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What a run tried and what failed."""

    exit_code: int
    cases: int
    by_operation: Counter[str] = field(default_factory=Counter)
    by_status: Counter[int] = field(default_factory=Counter)
    told: str = ""

    def summary(self) -> str:
        """What was covered, in a line."""
        statuses = ", ".join(f"{status}: {n}" for status, n in sorted(self.by_status.items()))
        # Cases that follow one operation by another are counted under a name without a path.
        tried = [label for label in self.by_operation if " /" in label]
        return f"{self.cases} cases over {len(tried)} operations ({statuses})"


async def run(api_url: str, ground: Ground, scratch: Path, bounds: Bounds) -> Outcome:
    """Try every operation of the API; what the tool says is in the outcome."""
    kept, report = scratch / "ground.json", scratch / "report.ndjson"
    ground.write(kept)
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG),
        "run", f"{api_url}/openapi.json", "--url", api_url, "--no-color",
        "--max-examples", str(bounds.examples), "--phases", bounds.phases,
        "--seed", str(bounds.seed), "--report", "ndjson", "--report-ndjson-path", str(report),
    ]  # fmt: skip
    if bounds.repeat_s is not None:
        command += ["--max-time", str(bounds.repeat_s)]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "sandbox.fuzz.hooks",
        "CAAS_FUZZ_GROUND": str(kept),
        "CAAS_FUZZ_SEED": str(bounds.seed),
        "PYTHONPATH": str(ROOT),
    }
    process = await asyncio.create_subprocess_exec(
        *command, cwd=scratch, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    told, _ = await process.communicate()
    return _outcome(process.returncode or 0, told.decode("utf-8", "replace"), report)


def _outcome(exit_code: int, told: str, report: Path) -> Outcome:
    by_operation: Counter[str] = Counter()
    by_status: Counter[int] = Counter()
    with report.open(encoding="utf-8") as lines:
        for line in lines:
            finished: dict[str, Any] = json.loads(line).get("ScenarioFinished", {})
            for each in finished.get("recorder", {}).get("interactions", {}).values():
                answer = each.get("response") or {}
                by_operation[finished["recorder"]["label"]] += 1
                by_status[answer.get("status_code", 0)] += 1
    return Outcome(exit_code, by_operation.total(), by_operation, by_status, told)
