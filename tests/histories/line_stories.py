"""The stories of webhooks' lines: what a receiver did not take, told by its workflow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from temporalio.client import WorkflowHandle

from adapters.webhooks.line_workflows import LineWorkflows
from models.domain.ids import new_id
from models.domain.webhook import Line
from tests.workflows.webhook_lines import LineInMemory, looked_after
from tests.workflows.world import World, eventually


@dataclass(frozen=True)
class LineStory:
    """What happens to one key of a webhook; `play` returns its workflow, ended."""

    about: str
    play: Callable[[World, LineInMemory], Awaitable[WorkflowHandle[Any, Any]]]
    refusals: int
    days_pass: bool = False

    async def played(self, world: World) -> WorkflowHandle[Any, Any]:
        """Play it with a line of its own."""
        line = Line(world.tenant, new_id("whk"), new_id("app"))
        lines = LineInMemory("x.one", "x.two", refusals=self.refusals, line=line)
        workflow = await self.play(world, lines)
        if lines.waiting:
            raise AssertionError(f"not told: {lines.waiting}")
        return workflow


async def _waited_for(world: World, lines: LineInMemory) -> WorkflowHandle[Any, Any]:
    async with looked_after(world, lines) as workflow, world.skipping():
        await workflow.result()
    return workflow


async def _woken(world: World, lines: LineInMemory) -> WorkflowHandle[Any, Any]:
    async def refused() -> bool:
        return lines.attempts > 0

    async with looked_after(world, lines) as workflow:
        await eventually(refused)
        lines.refusals = 0
        await LineWorkflows(world.client).look_after(lines.line)
        await workflow.result()
    return workflow


LINE_STORIES: Final[Mapping[str, LineStory]] = {
    "webhook_refused": LineStory(
        "a receiver refuses a webhook for two days, then takes everything in order",
        _waited_for,
        refusals=14,
        days_pass=True,
    ),
    "webhook_woken": LineStory(
        "a receiver is back: whoever wakes its line is heard while it waits", _woken, refusals=9
    ),
}
