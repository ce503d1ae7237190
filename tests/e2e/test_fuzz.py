"""Schemathesis over the whole description, with authentication, against the running product.

`make fuzz` is the longer run: further phases, more examples, a seed of its own.
"""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from api.openapi import operations
from clients.generate.document import streams
from sandbox.fuzz.ground import lay_ground
from sandbox.fuzz.run import Bounds, Outcome, run
from sandbox.stack import Stack

pytestmark = pytest.mark.stack

# Bounded: half a minute on two cores. The seed makes a failure repeatable.
BOUNDS = Bounds(examples=4, seed=20261122, phases="examples,coverage,fuzzing")


@pytest.fixture(scope="module")
async def document(stack: Stack) -> dict[str, object]:
    async with httpx.AsyncClient(base_url=stack.api_url, trust_env=False) as http:
        described: dict[str, object] = (await http.get("/openapi.json")).json()
        return described


@pytest.fixture(scope="module")
async def outcome(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    scratch: Path = tmp_path_factory.mktemp("fuzz")
    assert stack.deployment is not None
    async with httpx.AsyncClient(base_url=stack.api_url, trust_env=False, timeout=120.0) as http:
        ground = await lay_ground(http, stack.token, stack.deployment, stack.seed, scratch.name)
    return await run(stack.api_url, ground, scratch, BOUNDS)


async def test_no_case_finds_an_answer_that_is_not_described(outcome: Outcome) -> None:
    print(outcome.summary())
    assert outcome.exit_code == 0, outcome.told
    assert not [status for status in outcome.by_status if status >= 500], outcome.summary()


async def test_every_operation_was_tried(
    outcome: Outcome, document: dict[str, dict[str, dict[str, object]]]
) -> None:
    described = {
        f"{method.upper()} {path}"
        for path, method, operation in operations(document)
        if not streams(operation)  # a case would read on until it gives up
    }
    assert described <= set(outcome.by_operation)
    assert outcome.cases >= 20 * len(described)


async def test_what_exists_was_reached(outcome: Outcome) -> None:
    """Not all was refused: applications were taken, offers refused, reviews assigned."""
    assert {200, 202, 400, 401, 404, 405, 409, 422} <= set(outcome.by_status)
