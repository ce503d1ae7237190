"""`cli.py keys …` and `cli.py accounts …`: what operators do about who signs in, and with what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from adapters.postgres.database import Database
from models.domain.errors import Invalid
from models.domain.ids import PLATFORM, is_name
from models.domain.operations import Command

# Runs something with the database under the application's role.
AsApp = Callable[[Callable[[Database], Awaitable[Any]]], Any]
# The settings of our own accounts; read when a command runs, not when it is defined.
AuthSettings = Callable[[], Any]

Operator = Annotated[str, typer.Option(envvar="CAAS_OPERATOR", help="Your name, for the record.")]
Reason = Annotated[str, typer.Option(help="Why, for the record.")]


def key_commands(as_app: AsApp, auth: AuthSettings) -> typer.Typer:
    """`list` and `rotate`."""
    commands = typer.Typer(no_args_is_help=True, help="Rotate the keys that sign access tokens.")

    @commands.command("list")
    def list_keys() -> None:
        """List the keys whose tokens are good, the oldest first."""
        from adapters.postgres.signing_keys import PostgresSigningKeys  # noqa: PLC0415

        keys = as_app(lambda database: PostgresSigningKeys(database).known())
        now = datetime.now(UTC)
        signing = [key for key in keys if key.active_from <= now][-1:]
        for key in keys:
            state = "active" if key in signing else "next" if key.active_from > now else "retiring"
            until = f", good to {key.expires_at.isoformat()}" if key.expires_at else ""
            since = key.active_from.isoformat()
            typer.echo(f"{key.kid} {key.algorithm} {state}, signs from {since}{until}")

    @commands.command("rotate")
    def rotate(
        compromised: Annotated[
            bool, typer.Option("--compromised", help="Every token signed so far is refused.")
        ] = False,
        operator: Operator = "",
        reason: Reason = "",
    ) -> None:
        """Publish a new key, and sign with it as soon as every process has read it.

        Tokens of earlier keys stay good until they end. After a theft, --compromised has the new
        key sign at once and ends all others: everybody refreshes or signs in again.
        """
        from adapters.accounts.desk import CLOCKS_DIFFER_BY  # noqa: PLC0415
        from adapters.postgres.signing_keys import PostgresSigningKeys  # noqa: PLC0415

        command, at = Command(operator, reason), auth()
        overlap = timedelta(seconds=at.access_token_s) + CLOCKS_DIFFER_BY
        lead = timedelta(seconds=at.key_lead_s)
        times = (timedelta(0), timedelta(0)) if compromised else (lead, overlap)

        async def work(database: Database) -> str:
            return await PostgresSigningKeys(database).rotate(at.algorithm, *times, command)

        kid = as_app(work)
        typer.echo(f"{kid} signs {'now' if compromised else f'in {at.key_lead_s} seconds'}.")

    return commands


def account_commands(as_app: AsApp, auth: AuthSettings) -> typer.Typer:
    """`open-tenant` and `invite`: how the first administrators come in."""
    commands = typer.Typer(no_args_is_help=True, help="Open tenants, invite administrators.")

    @commands.command("open-tenant")
    def open_tenant(
        tenant: str,
        registration: Annotated[
            bool, typer.Option(help="Whether applicants may make accounts by themselves.")
        ] = False,
        operator: Operator = "",
        reason: Reason = "",
    ) -> None:
        """Let a tenant's people sign in here; again, to open or close registration."""
        command = _about(tenant, operator, reason)

        async def work(database: Database) -> None:
            from adapters.postgres.accounts import PostgresAccounts  # noqa: PLC0415

            accounts = PostgresAccounts(database)
            await accounts.open_tenant(tenant, command.operator, registration_open=registration)

        as_app(work)
        typer.echo(f"{tenant} is open; registration is {'open' if registration else 'closed'}.")

    @commands.command("invite")
    def invite(tenant: str, email: str, operator: Operator = "", reason: Reason = "") -> None:
        """Invite an administrator, and print the code for `POST /auth/register`, once.

        Of the tenant `platform`, a platform administrator.
        """
        command, lasts = _about(tenant, operator, reason), timedelta(seconds=auth().invitation_s)
        role = "platform_admin" if tenant == PLATFORM else "tenant_admin"

        async def work(database: Database) -> str:
            from adapters.postgres.accounts import login_indexes  # noqa: PLC0415
            from adapters.postgres.invitations import PostgresInvitations  # noqa: PLC0415

            index = login_indexes(database.keyring, tenant, email)[0]
            code = await PostgresInvitations(database).invite_by_hand(
                tenant, email, [role], lasts, index, command.operator
            )
            return code.text

        typer.echo(as_app(work))

    return commands


def _about(tenant: str, operator: str, reason: str) -> Command:
    if not is_name(tenant):
        raise Invalid("TENANT_MALFORMED", "1 to 64 letters, digits, '.', '_' or '-'")
    return Command(operator, reason)
