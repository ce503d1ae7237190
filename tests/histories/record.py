"""Record the histories again: `python -m tests.histories.record [story…]`.

Each story is played on the time-skipping server with the cast of the workflow tests; the histories
of its workflows are written beside this file as the server has them, payloads encrypted.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from temporalio.api.failure.v1 import Failure
from temporalio.client import WorkflowHistory
from temporalio.converter import DefaultFailureConverterWithEncodedAttributes, PayloadConverter
from temporalio.service import RPCError

from adapters.temporal import data_converter
from models.domain.application import ApplicationRef
from models.domain.decision import Outcome
from tests.workflows.cast import Rules, UnsureVendor
from tests.workflows.lenders_and_chains import ForgetfulWatcher, RefusingLender
from tests.workflows.world import TEST_KEYRING, World, time_skipping

FOLDER: Final = Path(__file__).parent


async def accepted(world: World) -> ApplicationRef:
    """Apply, wait for offers, accept the best; return at the end."""
    application = await world.offered(await world.apply())
    await world.accept(application)
    await world.outcome(application)
    return application


async def refused(world: World) -> ApplicationRef:
    """Apply, and be refused without being asked anything."""
    application = await world.apply()
    await world.outcome(application)
    return application


async def forgotten(world: World) -> ApplicationRef:
    """Apply, and never accept; the verification's year passes, too."""
    application = await world.offered(await world.apply())
    await world.outcome_in_time(application)
    async with world.skipping():
        await world.kyc().result()
    return application


async def identity_reviewed(world: World) -> ApplicationRef:
    """A named person decides about unclear evidence; then all goes well."""
    application = await world.apply()
    await world.until_event(world.kyc(), "TIMER_STARTED")
    await world.decide(world.kyc().id, approved=True)
    await world.offered(application)
    await world.accept(application)
    await world.outcome(application)
    return application


async def credit_rejected(world: World) -> ApplicationRef:
    """A named person rejects what the credit rules referred."""
    application = await world.apply()
    await world.until_event(world.application(application), "TIMER_STARTED")
    await world.decide(world.application(application).id, approved=False)
    await world.outcome(application)
    return application


async def looked_for(world: World) -> ApplicationRef:
    """Nobody tells of finality, so the settlement looks for itself."""
    application = await world.offered(await world.apply())
    await world.accept(application)
    settlement = world.workflows_of(application)["settlement"]
    await world.until_event(settlement, "TIMER_STARTED")
    await world.outcome_in_time(application)
    return application


class PathlessFailures(DefaultFailureConverterWithEncodedAttributes):
    """Failures without stack traces: these would tell of the machine that recorded them."""

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        super().to_failure(exception.with_traceback(None), payload_converter, failure)


def as_text(workflow_id: str, history: WorkflowHistory) -> str:
    """The history as JSON, one event a line; who polled for it is nobody's business."""
    events = history.to_json_dict()["events"]
    lines = ",\n".join(json.dumps(event, separators=(",", ":")) for event in events)
    lines = re.sub(r'"identity":"[^"]*"', '"identity":"recorder"', lines)
    return f'{{"workflow_id": {json.dumps(workflow_id)}, "events": [\n{lines}\n]}}\n'


Story = Callable[[World], Awaitable[ApplicationRef]]

STORIES: Final[dict[str, tuple[dict[str, Callable[..., Any]], Story]]] = {
    "funded": ({}, accepted),
    "declined": ({"rules": partial(Rules, credit=Outcome.DECLINE)}, refused),
    "expired_offer": ({}, forgotten),
    "identity_review": ({"vendor": UnsureVendor}, identity_reviewed),
    "credit_review_rejected": ({"rules": partial(Rules, credit=Outcome.REVIEW)}, credit_rejected),
    "failed_settlement": ({"chain": RefusingLender}, accepted),
    "lost_finality_signal": ({"chain": ForgetfulWatcher}, looked_for),
}


async def record(name: str, folder: Path) -> list[Path]:
    """Play one story and write the history of each of its workflows."""
    members, story = STORIES[name]
    written = []
    converter = dataclasses.replace(
        data_converter(TEST_KEYRING), failure_converter_class=PathlessFailures
    )
    async with (
        time_skipping(converter) as environment,
        World(environment).casts(**members).playing() as world,
    ):
        application = await story(world)
        for part, handle in world.workflows_of(application).items():
            try:
                history = await handle.fetch_history()
            except RPCError:  # this story has no such workflow
                continue
            path = folder / f"{name}.{part}.json"
            path.write_text(as_text(handle.id, history), encoding="utf-8")
            written.append(path)
    return written


async def main(names: list[str]) -> None:
    """Record the named stories, or all."""
    for name in names or STORIES:
        for old in FOLDER.glob(f"{name}.*.json"):
            old.unlink()
        for path in await record(name, FOLDER):
            print(path.name)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
