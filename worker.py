"""What runs on which task queue: `python worker.py --role workflows|scoring|chain|relay`.

    workflows   all workflows but scoring; our database; vendors and lenders' offers
    scoring     scoring, its evidence and the risk model (processes of its own: it is bound to the
                processor)
    chain       the only role with the relaying key: signs, sends, and watches blocks
    relay       publishes events, tells webhooks, seals the audit trail, checks lenders, starts and
                delivers what a crash left

One process may have several roles: repeat `--role`. With `--alive-file`, a file's age tells whoever
looks from outside that the process is well: it is written anew every few seconds, from when the
task queues are polled until the end is asked for.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import structlog
import typer
import uvloop
from prometheus_client import CollectorRegistry, start_http_server
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from adapters.correlation import CarriedNames
from adapters.leaving import run_and_leave
from adapters.temporal import ErrorTypes, Failpoints, Heartbeats
from models.domain.errors import CreditError
from models.domain.routing import CHAIN_QUEUE, SCORING_QUEUE, WORKFLOWS_QUEUE
from settings import Settings, TemporalSettings, WrongSetting, settings_or_exit
from wiring import LENT_FUNCTIONS, Wiring, wired
from workflows.adverse_action import AdverseActionWorkflow
from workflows.credit_application import CreditApplicationWorkflow
from workflows.kyc import KYCWorkflow
from workflows.risk_scoring import RiskScoringWorkflow
from workflows.settlement import SettlementWorkflow
from workflows.webhook_delivery import WebhookDeliveryWorkflow

log = structlog.get_logger()

WORKFLOWS_OF: Final[dict[str, list[type]]] = {
    WORKFLOWS_QUEUE: [
        CreditApplicationWorkflow,
        KYCWorkflow,
        SettlementWorkflow,
        AdverseActionWorkflow,
        WebhookDeliveryWorkflow,
    ],
    SCORING_QUEUE: [RiskScoringWorkflow],
    CHAIN_QUEUE: [],
}
WORKFLOWS: Final = [each for several in WORKFLOWS_OF.values() for each in several]

# Values and activity signatures are pure and shared; workflow files themselves stay sandboxed.
SANDBOX = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules("models", "activities")
)

# A task that finds nobody waiting for it is written to Temporal's database first. Under load five
# polls (the SDK's default) were too few for half of all tasks, twenty for one in fifteen.
WORKFLOW_POLLS: Final = 20

ALIVE_EVERY_S: Final = 5.0


async def run(
    roles: list[str],
    settings: Settings,
    stop: asyncio.Event,
    alive_file: Path | None = None,
    metrics_at: tuple[str, int] | None = None,
) -> None:
    """Run the roles until told to stop, then let what is under way finish."""
    async with wired(settings) as wiring, AsyncExitStack() as running:
        background = []
        if metrics_at is not None:
            running.callback(served(wiring.provider_metrics.registry, *metrics_at))
        for role in roles:
            for part in await _parts(role, wiring):
                if isinstance(part, Worker):
                    await running.enter_async_context(part)
                else:
                    background.append(asyncio.create_task(part.run(stop)))
        if alive_file is not None:
            background.append(asyncio.create_task(show_alive(alive_file, stop)))
        # What was loaded stays: the collector need not walk over it again and again.
        gc.collect()
        gc.freeze()
        print("READY", *roles, flush=True)
        log.info("worker_ready", role=",".join(roles))
        stopped = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([stopped, *background], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        for task in done | set(background):
            await task


def served(registry: CollectorRegistry, host: str, port: int) -> Callable[[], None]:
    """Serve the numbers to Prometheus from a thread; returns what ends it."""
    server, thread = start_http_server(port, host, registry)

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end


async def show_alive(path: Path, stop: asyncio.Event) -> None:
    """Write the file anew while the event loop turns; it is gone once the process is to end.

    It says nothing of the services outside: a worker outlives their absence, and starting it again
    would not bring them back.
    """
    while not stop.is_set():
        await asyncio.to_thread(path.touch)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), ALIVE_EVERY_S)
    await asyncio.to_thread(path.unlink, missing_ok=True)


async def _parts(role: str, wiring: Wiring) -> list[Any]:
    """The workers and loops of one role."""
    match role:
        case "workflows":
            activities = await wiring.workflow_activities()
            return [await _worker(wiring, WORKFLOWS_QUEUE, activities)]
        case "scoring":
            return [await _worker(wiring, SCORING_QUEUE, await wiring.scoring_activities())]
        case "chain":
            activities = [await wiring.chain_activities()]
            return [await _worker(wiring, CHAIN_QUEUE, activities), await wiring.watcher()]
        case "relay":
            checker = await wiring.provider_checker()
            loops = [await wiring.sweeper(), await wiring.sealer(), checker]
            return [*loops, await wiring.webhook_lane(), *await wiring.relays()]
        case _:
            raise WrongSetting(f"--role: {role!r} is none of workflows, scoring, chain, relay")


async def _worker(wiring: Wiring, queue: str, subjects: list[Any]) -> Worker:
    sticky = timedelta(seconds=wiring.settings.temporal.sticky_timeout_s)
    return Worker(
        await wiring.temporal(),
        task_queue=queue,
        workflows=WORKFLOWS_OF[queue],
        activities=[each for subject in subjects for each in activities_of(subject)],
        workflow_runner=workflow_runner(wiring.settings.temporal),
        interceptors=[CarriedNames(), ErrorTypes(), Heartbeats(), Failpoints(), LENT_FUNCTIONS],
        sticky_queue_schedule_to_start_timeout=sticky,
        graceful_shutdown_timeout=timedelta(seconds=5),
        max_concurrent_workflow_task_polls=WORKFLOW_POLLS,
    )


def workflow_runner(temporal: TemporalSettings) -> WorkflowRunner:
    """How workflows run: kept from the world outside, unless the settings do without."""
    return SANDBOX if temporal.workflow_sandbox else UnsandboxedWorkflowRunner()


def activities_of(subject: object) -> list[Callable[..., Any]]:
    """The activity methods of one subject."""
    methods = (getattr(subject, name) for name in dir(subject) if not name.startswith("_"))
    return [each for each in methods if hasattr(each, "__temporal_activity_definition")]


def main(
    role: Annotated[list[str], typer.Option(help="Repeat for several roles.")],
    alive_file: Annotated[Path | None, typer.Option(help="Written anew while all is well.")] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Serve Prometheus, about lenders.")
    ] = None,
    metrics_host: Annotated[str, typer.Option(help="Where it is served.")] = "127.0.0.1",
) -> None:
    """Run one or more roles until SIGTERM or SIGINT."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    settings = settings_or_exit(os.environ)

    async def until_signalled() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        metrics_at = (metrics_host, metrics_port) if metrics_port is not None else None
        await run(role, settings, stop, alive_file, metrics_at)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(until_signalled())
    except (WrongSetting, CreditError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    run_and_leave(lambda: typer.run(main))
