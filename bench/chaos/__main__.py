"""`make chaos`, `make soak`; exits 1 if anything was lost, doubled, unbalanced, stuck or violated.

A soak is a sequence of runs, each on a fresh stack with a seed of its own that follows from the
soak's. Its state file holds every run that has ended, so an interrupted soak goes on with the next.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from bench.chaos.run import Report, run, say
from bench.chaos.schedule import draw
from settings import ROOT

RUN_DIR: Final = ROOT / ".run"
# Applications in one run of a soak: about ten minutes' worth, so an interruption costs no more.
SOAK_RUN: Final = 500


def main() -> None:
    """Run once, or soak."""
    parser = argparse.ArgumentParser(prog="bench.chaos", description=__doc__)
    parser.add_argument("--applications", type=int, required=True)
    parser.add_argument("--faults", type=int, required=True)
    parser.add_argument("--seed", default="", help="any text; drawn if empty")
    parser.add_argument("--soak", action="store_true")
    given = parser.parse_args()
    if given.soak:
        sys.exit(0 if _soak(given.applications, given.faults, given.seed) else 1)
    seed = given.seed or secrets.token_hex(4)
    schedule = draw(seed, given.applications, given.faults)
    report = asyncio.run(run(schedule, RUN_DIR / f"chaos-{seed}"))
    sys.exit(0 if report.clean else 1)


def _soak(applications: int, faults: int, seed: str) -> bool:
    path = RUN_DIR / "soak" / "state.json"
    state = _resumed(path, applications, faults, seed)
    runs = -(-applications // SOAK_RUN)
    while (number := len(state["reports"])) < runs:
        first, share = number * SOAK_RUN, min(SOAK_RUN, applications - number * SOAK_RUN)
        struck = faults * (first + share) // applications - faults * first // applications
        schedule = draw(f"{state['seed']}-{number}", share, struck)
        report = asyncio.run(run(schedule, RUN_DIR / "soak" / "stack"))
        state["reports"].append(asdict(report))
        _keep(path, state)
    reports = [Report(**each) for each in state["reports"]]
    names = ("applications", "faults", "took_effect", "lost", "doubled", "unbalanced", "stuck")
    say("soak", seed=state["seed"], **{n: sum(getattr(each, n) for each in reports) for n in names})
    return all(each.clean for each in reports)


def _resumed(path: Path, applications: int, faults: int, seed: str) -> dict[str, Any]:
    """The state of an interrupted soak of the same size and seed, or a new one."""
    size = {"applications": applications, "faults": faults}
    if path.exists():
        state: dict[str, Any] = json.loads(path.read_text("utf-8"))
        whole = sum(each["applications"] for each in state["reports"]) >= applications
        if state["size"] == size and seed in ("", state["seed"]) and not whole:
            say("resumed", seed=state["seed"], runs=len(state["reports"]))
            return state
    state = {"seed": seed or secrets.token_hex(4), "size": size, "reports": []}
    _keep(path, state)
    return state


def _keep(path: Path, state: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(state, indent=2) + "\n", "utf-8")
    draft.replace(path)


if __name__ == "__main__":
    main()
