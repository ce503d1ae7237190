"""Record the histories again: `python -m tests.histories.record [story…]`.

Each story is played with the cast of the workflow tests, on the real development server wherever
no days have to pass, and its workflows' histories are written beside this file as the server has
them, payloads encrypted.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Final

from temporalio.api.failure.v1 import Failure
from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowHistory
from temporalio.converter import DefaultFailureConverterWithEncodedAttributes, PayloadConverter
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from adapters.temporal import data_converter
from tests.histories.line_stories import LINE_STORIES
from tests.histories.stories import STORIES, Story
from tests.workflows.world import TEST_KEYRING, World, development_server, time_skipping

FOLDER: Final = Path(__file__).parent
ALL: Final = STORIES | LINE_STORIES


class PathlessFailures(DefaultFailureConverterWithEncodedAttributes):
    """Failures without stack traces: these would tell of the machine that recorded them."""

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        super().to_failure(exception.with_traceback(None), payload_converter, failure)


CONVERTER: Final = dataclasses.replace(
    data_converter(TEST_KEYRING), failure_converter_class=PathlessFailures
)


def as_text(workflow_id: str, history: WorkflowHistory) -> str:
    """The history as JSON, one event a line."""
    events = history.to_json_dict()["events"]
    lines = ",\n".join(json.dumps(event, separators=(",", ":")) for event in events)
    return f'{{"workflow_id": {json.dumps(workflow_id)}, "events": [\n{lines}\n]}}\n'


async def played(world: World, story: Story) -> dict[str, WorkflowHandle[Any, Any]]:
    """Play a story to its end; returns the workflows that took part, by name."""
    application = await story.play(world)
    async with world.skipping():
        ended = await world.outcome(application)
        if ended.state is not story.ends:
            raise AssertionError(f"ended as {ended.state} and not as {story.ends}")
        parts = {}
        for part, handle in world.workflows_of(application).items():
            try:
                await handle.describe()
            except RPCError:  # this story has no such workflow
                continue
            parts[part] = handle
            if part != "kyc":  # the person stays verified for a year
                with suppress(WorkflowFailureError):  # cancelled with its application
                    await handle.result()
    return parts


async def record(name: str, environment: WorkflowEnvironment, folder: Path) -> list[Path]:
    """Play one story and write the history of each of its workflows."""
    if name in LINE_STORIES:
        handle = await LINE_STORIES[name].played(World(environment))
        return [await write(folder / f"{name}.webhook.json", handle)]
    story = STORIES[name]
    async with World(environment).casts(**story.cast).playing() as world:
        parts = await played(world, story)
        return [await write(folder / f"{name}.{part}.json", parts[part]) for part in parts]


async def write(path: Path, workflow: WorkflowHandle[Any, Any]) -> Path:
    """Write a workflow's history; returns where."""
    path.write_text(as_text(workflow.id, await workflow.fetch_history()), encoding="utf-8")
    return path


async def record_all(names: Iterable[str], folder: Path) -> None:
    """Record the named stories; nothing is left of what they were before."""
    async with AsyncExitStack() as servers:
        real = await servers.enter_async_context(development_server(CONVERTER))
        for name in names:
            for old in folder.glob(f"{name}.*.json"):
                old.unlink()
            if ALL[name].days_pass:
                async with time_skipping(CONVERTER) as skipping:
                    written = await record(name, skipping, folder)
            else:
                written = await record(name, real, folder)
            print(name, *(path.name.split(".")[1] for path in written))


def main(names: list[str]) -> None:
    """Record the named stories, or all; then no others are left."""
    if unknown := set(names) - set(ALL):
        sys.exit(f"no such story: {', '.join(sorted(unknown))}")
    if not names:
        for old in FOLDER.glob("*.json"):
            old.unlink()
    asyncio.run(record_all(names or ALL, FOLDER))


if __name__ == "__main__":
    main(sys.argv[1:])
