"""`make fuzz`: schemathesis over every operation, against a stack of its own.

Environment: `MINUTES` to go on for (10), `SEED` to repeat a run, `N` examples an operation (50).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from pathlib import Path

import httpx

from sandbox.fuzz.ground import lay_ground
from sandbox.fuzz.run import Bounds, Outcome, run
from sandbox.services.state_dir import hold
from sandbox.stack import Stack, StackOptions
from settings import ROOT


async def fuzz(state_dir: Path, bounds: Bounds) -> Outcome:
    """Start everything, try everything, stop everything."""
    with hold(state_dir):
        stack = Stack(state_dir, StackOptions(durable=False, identity_delay_s=0.1))
        try:
            await stack.start()
            assert stack.deployment is not None
            async with httpx.AsyncClient(
                base_url=stack.api_url, trust_env=False, timeout=30.0
            ) as http:
                ground = await lay_ground(http, stack.token, stack.deployment, stack.seed, "fuzz")
            return await run(stack.api_url, ground, state_dir, bounds)
        finally:
            await stack.stop()


def main() -> None:
    """Run it, and end as it ended."""
    seed = int(os.environ.get("SEED") or secrets.randbelow(2**31))
    minutes = float(os.environ.get("MINUTES") or 10)
    bounds = Bounds(int(os.environ.get("N") or 50), seed, repeat_s=round(60 * minutes))
    print(f"fuzz: SEED={seed}, for {minutes:g} minutes", flush=True)
    outcome = asyncio.run(fuzz(ROOT / ".run" / "fuzz", bounds))
    print(outcome.told)
    print(f"fuzz: {outcome.summary()}; the same again with SEED={seed}")
    sys.exit(outcome.exit_code)


if __name__ == "__main__":
    main()
