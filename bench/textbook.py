"""The baseline: a textbook workflow of eight empty activities, with the SDK's defaults throughout.

`python -m bench.textbook ADDRESS NAMESPACE` runs its worker. Figures of the pipeline are ratios to
this one on the same server, so it stays as it is.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

QUEUE = "textbook"


@activity.defn
async def do_nothing() -> None:
    """An empty step."""


@workflow.defn
class TextbookWorkflow:
    """Eight regular activities, one after the other."""

    @workflow.run
    async def run(self) -> None:
        for _ in range(8):
            await workflow.execute_activity(
                do_nothing, start_to_close_timeout=timedelta(seconds=10)
            )


async def main(address: str, namespace: str) -> None:
    """Work until ended from outside."""
    client = await Client.connect(address, namespace=namespace)
    async with Worker(
        client, task_queue=QUEUE, workflows=[TextbookWorkflow], activities=[do_nothing]
    ):
        print("READY", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
