"""`cli.py audit …` and `cli.py events …`: what operators do with the trail and the outbox."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from adapters.audit import heads, read_heads, verify
from adapters.postgres.audit import AuditTrail
from adapters.postgres.database import Database
from adapters.postgres.outbox import ParkedEvents
from models.domain.operations import Command

# Runs something with the database under the relay's role, which reads across tenants.
AsRelay = Callable[[Callable[[Database], Awaitable[Any]]], Any]

Tenant = Annotated[str | None, typer.Option(help="One tenant only.")]
LISTED: Final = 1_000


def audit_commands(as_relay: AsRelay) -> typer.Typer:
    """`verify` and `head`."""
    commands = typer.Typer(no_args_is_help=True, help="Verify the audit trail, export its heads.")

    @commands.command("verify")
    def verify_trail(
        tenant: Tenant = None,
        head: Annotated[Path | None, typer.Option(help="Heads exported before.")] = None,
    ) -> None:
        """Recompute the hash chains; ends with 1 if anything was altered, removed or slipped in."""
        try:
            expected = read_heads(head) if head is not None else {}
        except (OSError, ValueError) as error:
            sys.exit(f"--head: {error}")
        reports = as_relay(lambda database: verify(AuditTrail(database), tenant, expected))
        for report in reports:
            typer.echo("\n".join(report.lines()))
        if not all(report.sound for report in reports):
            raise typer.Exit(1)

    @commands.command("head")
    def print_heads(tenant: Tenant = None) -> None:
        """Print how far the chains have come, as JSON, to be kept out of this database's reach."""
        typer.echo(as_relay(lambda database: heads(AuditTrail(database), tenant)))

    return commands


def event_commands(as_relay: AsRelay) -> typer.Typer:
    """`parked` and `release`."""
    commands = typer.Typer(no_args_is_help=True, help="Look after events the broker refused.")

    @commands.command("parked")
    def list_parked() -> None:
        """List events the broker refused for good, and how many wait behind each."""
        for event in as_relay(lambda database: ParkedEvents(database).all(LISTED)):
            typer.echo(
                f"{event.event_id} {event.tenant_id} {event.key} {event.type} {event.reason}"
                f" since {event.parked_at.isoformat()}, {event.behind} wait behind it"
            )

    @commands.command("release")
    def release(
        event_id: str,
        operator: Annotated[str, typer.Option(envvar="CAAS_OPERATOR", help="Your name.")] = "",
        reason: Annotated[str, typer.Option(help="Why it will be taken now.")] = "",
    ) -> None:
        """Let the relay try a parked event again; it lands in the audit trail."""

        async def work(database: Database) -> None:
            await ParkedEvents(database).release(event_id, Command(operator, reason))

        as_relay(work)
        typer.echo(f"{event_id} is released.")

    return commands
