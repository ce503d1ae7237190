"""Operators' commands: `python cli.py COMMAND`, as thin as the API.

Commands that change something need a named operator and a reason; both land in the audit trail.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from adapters import telemetry
from adapters.account_commands import Operator, Reason, account_commands, key_commands
from adapters.leaving import run_and_leave
from adapters.offer_commands import offers_commands
from adapters.provider_commands import provider_commands
from adapters.trail_commands import audit_commands, event_commands
from adapters.vault import Keyring
from models.domain.application import Stage, State
from models.domain.errors import CreditError, Invalid
from models.domain.operations import Checkpoint, Command, since
from settings import AuthSettings, MigrationSettings, WrongSetting, missing, settings_or_exit

if TYPE_CHECKING:
    from temporalio.client import WorkflowHistory

    from adapters.operations.desk import Desk
    from adapters.postgres.database import Database
    from adapters.postgres.operations import Search
    from wiring import Wiring

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, add_completion=False)
applications = typer.Typer(no_args_is_help=True, help="Look after applications for credit.")
app.add_typer(applications, name="applications")

Key = Annotated[str, typer.Argument(help="An application's id, or a user's.")]
Tenant = Annotated[str | None, typer.Option(help="Whose; needed where it cannot be looked up.")]
AsJSON = Annotated[bool, typer.Option("--json", help="JSON lines instead of a table.")]
Limit = Annotated[int, typer.Option(min=1, max=10_000)]


@app.command()
def migrate() -> None:
    """Bring the database to the current schema; running it again changes nothing."""
    from adapters.postgres.schema import migrate as migrate_schema  # noqa: PLC0415

    try:
        owner_url = MigrationSettings.read()
    except WrongSetting as error:
        sys.exit(str(error))
    asyncio.run(migrate_schema(owner_url))


@app.command()
def check_settings() -> None:
    """Read the settings and say what is wrong with them, a line each."""
    settings_or_exit(os.environ)
    typer.echo("The settings are well-formed.")


@app.command()
def openapi() -> None:
    """Print the API's OpenAPI document."""
    from api.app import create_app  # noqa: PLC0415 - other commands need no web framework

    try:
        typer.echo(json.dumps(create_app().openapi(), indent=2))
    except WrongSetting as error:
        sys.exit(str(error))


@app.command()
def graphql_schema() -> None:
    """Print the schema that is served by GraphQL, as docs/graphql/schema.graphql keeps it."""
    from api.graphql.schema import SCHEMA  # noqa: PLC0415 - other commands need no web framework

    typer.echo(SCHEMA.as_str())


@applications.command("list")
def list_applications(
    tenant: Tenant = None,
    state: State | None = None,
    stage: Stage | None = None,
    age: Annotated[str | None, typer.Option("--since", help="12h, 7d, or an ISO day.")] = None,
    stuck: Annotated[bool, typer.Option("--stuck", help="Only what does not go on.")] = False,
    limit: Limit = 100,
    as_json: AsJSON = False,
) -> None:
    """List applications, the newest first; the stuck ones by how long they exist."""
    from adapters.operations import printing  # noqa: PLC0415

    async def work() -> None:
        search = _search(tenant, state, stage, age, only_open=stuck)
        async with _desk() as desk:
            found = [each async for each in desk.examiner.search(search, limit, stuck=stuck)]
        if as_json:
            for each in found:
                typer.echo(printing.json_line(printing.listed(each)))
        else:
            printing.print_list(printing.console(), found)

    _run(work())


@applications.command()
def show(key: Key, tenant: Tenant = None, as_json: AsJSON = False) -> None:
    """Show one application: its records, its workflows, and whether it is stuck."""
    from adapters.operations import printing  # noqa: PLC0415

    async def work() -> None:
        async with _desk() as desk:
            shown = await desk.examiner.picture(await desk.records.find(key, tenant))
        if as_json:
            typer.echo(printing.json_line(printing.picture(shown)))
        else:
            printing.print_picture(printing.console(), shown)

    _run(work())


@applications.command()
def retry(
    key: Annotated[str, typer.Argument(help="An application's id, or a user's.")] = "",
    tenant: Tenant = None,
    all_stuck: Annotated[bool, typer.Option("--all-stuck", help="All that are stuck.")] = False,
    limit: Limit = 1_000,
    wait: Annotated[float, typer.Option(min=0, max=600, help="Seconds to look at each.")] = 30.0,
    operator: Operator = "",
    reason: Reason = "",
    as_json: AsJSON = False,
) -> None:
    """Do what stuck applications need, and tell which of them truly go on."""
    from adapters.operations import printing  # noqa: PLC0415
    from adapters.operations.retrying import Recovery, Retrier  # noqa: PLC0415

    async def work() -> bool:
        command = Command(operator, reason)
        if bool(key) == all_stuck:
            raise Invalid("WHICH_APPLICATION", "say one application, or --all-stuck")
        out, outcomes = printing.console(), []
        async with _desk() as desk:
            retrier = Retrier(
                desk.examiner, desk.records, desk.temporal, desk.messages, command, wait_s=wait
            )
            if all_stuck:
                results = retrier.retry_all(_search(tenant, only_open=True), limit)
            else:
                results = _only(retrier.retry(await desk.records.find(key, tenant)))
            async for each in results:
                outcomes.append(each.recovery)
                if as_json:
                    typer.echo(printing.json_line(printing.retried(each)))
                else:
                    printing.print_retried(out, each)
        counts = {outcome.value: outcomes.count(outcome) for outcome in Recovery}
        if as_json:
            typer.echo(printing.json_line({"total": len(outcomes), **counts}))
        elif all_stuck:
            said = (f"{count} {name.replace('_', ' ')}" for name, count in counts.items())
            out.print(f"{len(outcomes)} stuck: {', '.join(said)}")
        return Recovery.NOT_RECOVERED not in outcomes

    if not _run(work()):
        raise typer.Exit(1)


@applications.command()
def reset(
    key: Key,
    to: Annotated[Checkpoint, typer.Option("--to", help="The stage to go back to.")],
    tenant: Tenant = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, it is only shown.")] = False,
    operator: Operator = "",
    reason: Reason = "",
    as_json: AsJSON = False,
) -> None:
    """Take an application's workflow back to a checkpoint; records stand, nothing is paid again."""
    from adapters.operations import printing  # noqa: PLC0415
    from adapters.operations.resetting import Resetter  # noqa: PLC0415

    async def work() -> None:
        command = Command(operator, reason) if yes else None
        async with _desk() as desk:
            resetter = Resetter(desk.examiner, desk.records, desk.temporal)
            plan = await resetter.plan(await desk.records.find(key, tenant), to)
            run_id = await resetter.carry_out(plan, command) if command else None
        if as_json:
            typer.echo(printing.json_line({**printing.plan(plan), "new_run_id": run_id}))
        else:
            printing.print_plan(printing.console(), plan)
            typer.echo(f"Done: run {run_id}." if run_id else "Nothing was changed; --yes does it.")

    _run(work())


@applications.command()
def replay(
    key: Annotated[str, typer.Argument(help="An application's id, or a user's.")] = "",
    tenant: Tenant = None,
    file: Annotated[Path | None, typer.Option(help="A history that was kept.")] = None,
    save: Annotated[Path | None, typer.Option(help="Keep the histories in this folder.")] = None,
) -> None:
    """Replay histories with today's workflows; ends with 1 if today's code would break them."""
    from adapters.operations import replaying  # noqa: PLC0415

    async def work() -> bool:
        if bool(key) == (file is not None):
            raise Invalid("WHICH_HISTORY", "say one application, or --file")
        histories = [replaying.read_history(file)] if file else await _histories(key, tenant)
        for path in replaying.write_histories(save, histories) if save else []:
            typer.echo(f"kept {path}")
        well = True
        for history in histories:
            wrong = await replaying.replay(_replayer(), history)
            typer.echo(f"{history.workflow_id}: {wrong or 'OK'}")
            well = well and wrong is None
        return well

    if not _run(work()):
        raise typer.Exit(1)


@asynccontextmanager
async def _desk() -> AsyncIterator[Desk]:
    """Connected without `wiring`: loading what wires vendors and rules takes longer than a look."""
    from adapters.operations.desk import Addresses, desk  # noqa: PLC0415
    from adapters.temporal_tls import read_tls  # noqa: PLC0415

    settings = settings_or_exit(os.environ)
    telemetry.configure(settings.log_level)
    app_url, relay_url = settings.database.app_url, settings.database.relay_url
    if app_url is None:
        raise missing("DATABASE__APP_URL", "applications")
    temporal = settings.temporal
    at = Addresses(
        app_url.get_secret_value(),
        relay_url.get_secret_value() if relay_url else None,
        temporal.address,
        temporal.namespace,
        read_tls(**temporal.tls.model_dump()) if temporal.tls else None,
        temporal.api_key.get_secret_value() if temporal.api_key else None,
    )
    async with desk(at, Keyring(settings.master_key_bytes())) as connected:
        yield connected


def _search(
    tenant: str | None,
    state: State | None = None,
    stage: Stage | None = None,
    age: str | None = None,
    *,
    only_open: bool,
) -> Search:
    from adapters.postgres.operations import Search  # noqa: PLC0415

    try:
        earliest = since(age, datetime.now(UTC)) if age else None
    except ValueError:
        raise Invalid("SINCE_MALFORMED", "say 90m, 12h, 7d, or an ISO day or moment") from None
    return Search(tenant, state, stage, earliest, only_open)


async def _histories(key: str, tenant: str | None) -> list[WorkflowHistory]:
    """The histories of an application's workflows, as far as Temporal still has them."""
    async with _desk() as desk:
        shown = await desk.examiner.picture(await desk.records.find(key, tenant))
        return [
            await desk.temporal.history(each.standing.workflow_id, each.standing.run_id)
            for each in shown.workflows
        ]


def _replayer() -> Any:
    """Today's workflows as a worker runs them: sandboxed, with the product's converter."""
    from temporalio.worker import Replayer  # noqa: PLC0415

    from adapters.temporal import data_converter  # noqa: PLC0415
    from wiring import LENT_FUNCTIONS  # noqa: PLC0415
    from worker import SANDBOX, WORKFLOWS  # noqa: PLC0415

    keyring = Keyring(settings_or_exit(os.environ).master_key_bytes())
    return Replayer(
        workflows=WORKFLOWS,
        data_converter=data_converter(keyring),
        interceptors=[LENT_FUNCTIONS],
        workflow_runner=SANDBOX,
    )


async def _only(work: Coroutine[Any, Any, T]) -> AsyncIterator[T]:
    yield await work


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command; what is wrong is said in one line."""
    try:
        return asyncio.run(work)
    except (CreditError, WrongSetting) as error:
        sys.exit(str(error))


def _as(role: str) -> Callable[[Callable[[Database], Awaitable[Any]]], Any]:
    """Runs something with the database under one of our roles."""

    def run(work: Callable[[Database], Awaitable[Any]]) -> Any:
        async def connected() -> Any:
            from adapters.postgres.database import Database  # noqa: PLC0415

            settings = settings_or_exit(os.environ)
            url = getattr(settings.database, f"{role}_url")
            if url is None:
                raise missing(f"DATABASE__{role.upper()}_URL", "this command")
            keyring = Keyring(settings.master_key_bytes())
            database = await Database.connect(url.get_secret_value(), keyring, max_size=1)
            try:
                return await work(database)
            finally:
                await database.close()

        return _run(connected())

    return run


def _auth() -> AuthSettings:
    return settings_or_exit(os.environ).auth


def _wired(work: Callable[[Wiring], Awaitable[Any]]) -> Any:
    """Runs something with what the settings name: lenders' adapters and the vault."""

    async def connected() -> Any:
        from wiring import wired  # noqa: PLC0415 - other commands need no vendors

        async with wired(settings_or_exit(os.environ)) as wiring:
            return await work(wiring)

    return _run(connected())


# The relay's role reads the trail and the outbox across tenants; accounts are one tenant's.
app.add_typer(audit_commands(_as("relay")), name="audit")
app.add_typer(event_commands(_as("relay")), name="events")
app.add_typer(key_commands(_as("app"), _auth), name="keys")
app.add_typer(account_commands(_as("app"), _auth), name="accounts")
app.add_typer(offers_commands(), name="offers")
app.add_typer(provider_commands(_wired), name="providers")


if __name__ == "__main__":
    run_and_leave(app)
