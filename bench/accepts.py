"""Ten thousand accepts over five hundred applications; afterwards all invariants are checked."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Final

import httpx

from bench.figure import Figure
from bench.invariants.checks import check_all
from bench.invariants.gathering import gather
from bench.invariants.rest import at_rest
from bench.race import Result, race
from sandbox.access import Access
from sandbox.services.deployment import deploy
from sandbox.services.state_dir import hold
from sandbox.stack import Stack, StackOptions, forget_earlier_run
from sandbox.wallets import DEVELOPMENT_DEPLOYER_KEY
from settings import ROOT

STATE_DIR: Final = ROOT / ".run" / "accepts"
APPLICATIONS: Final = 500
_REST_LIMIT_S: Final = 240.0
# What all the loans of the race need, from each lender.
_PRINCIPAL_UNITS: Final = 10**9 * 10**6


async def measure() -> list[Figure]:
    """How many accepts, how fast, and what went wrong: nothing may."""
    with hold(STATE_DIR):
        forget_earlier_run(STATE_DIR)
        # As production may: workflow code has passed its tests, which always use the sandbox.
        options = StackOptions(
            durable=False, headless=True, identity_delay_s=0.1, workflow_sandbox=False
        )
        stack = Stack(STATE_DIR, options)
        try:
            await stack.start()
            await _furnish(stack)
            result = await _raced(stack)
            violations = await _violations(stack)
        finally:
            await stack.stop()
    return [
        Figure("accepts.total", result.total, "accepts"),
        Figure("accepts.applications", result.applications, "applications"),
        Figure("accepts.two_accepted", len(result.two_accepted), "applications"),
        Figure("accepts.lost", len(result.lost), "acceptances"),
        Figure("accepts.double_effects", len(result.double_effects), "effects"),
        Figure("accepts.swallowed", result.swallowed, "answers of lenders"),
        Figure("accepts.violations", violations, "of invariants"),
        Figure("accepts.rate", round(result.total / result.seconds, 1), "accepts/s"),
    ]


async def _raced(stack: Stack) -> Result:
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100, keepalive_expiry=2.0)
    async with httpx.AsyncClient(
        base_url=stack.api_url, trust_env=False, timeout=60.0, limits=limits
    ) as http:
        result = await race(stack, http, APPLICATIONS)
    _tell(f"answers: {dict(result.answers.most_common())}")
    for name in ("two_accepted", "lost", "double_effects"):
        if found := getattr(result, name):
            _tell(f"{name}: {found[:5]}")
    return result


async def _violations(stack: Stack) -> int:
    access = Access.read(stack.state_dir)
    if restless := await at_rest(access, _REST_LIMIT_S):
        _tell(f"not at rest: {restless}")
    verdicts = await check_all(await gather(access), access)
    for verdict in verdicts:
        if verdict.violations:
            _tell(verdict.line())
    return sum(each.violations for each in verdicts)


async def _furnish(stack: Stack) -> None:
    """Give the lenders what all the loans need."""
    assert stack.deployment is not None
    record = STATE_DIR / "deployment.json"
    record.write_text(json.dumps(asdict(stack.deployment)), encoding="utf-8")
    await deploy(
        stack.chain.rpc_url,
        stack.chain.chain_id,
        DEVELOPMENT_DEPLOYER_KEY,
        [stack.lender.private_key, stack.fintech_lender.private_key],
        relayer=stack.relayer.address,
        record=record,
        principal_units=_PRINCIPAL_UNITS,
    )


def _tell(line: str) -> None:
    print(f"accepts: {line}", file=sys.stderr, flush=True)
