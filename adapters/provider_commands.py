"""`cli.py providers …`: what operators do with lenders, their credentials and their adapters."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Protocol

import typer

from adapters.certify_command import certify
from models.domain.errors import Invalid
from models.domain.ids import PLATFORM, is_name
from models.domain.operations import Command
from models.domain.provider_record import Draft, ProviderRecord
from models.domain.writes import StoredAnswer, WriteKey

if TYPE_CHECKING:
    from adapters.postgres.providers_credentials import PostgresCredentialUpkeep, Rewrapped
    from adapters.providers.desk import ProviderDesk
    from adapters.providers.trial import Step

AtDesk = Callable[[Callable[["ProviderDesk"], Awaitable[Any]]], Any]


class Wired(Protocol):
    """What wires these commands: the desk under the application's role, upkeep under another."""

    async def provider_desk(self) -> ProviderDesk:
        """What administrators do with lenders."""

    async def credential_upkeep(self) -> PostgresCredentialUpkeep:
        """What is due with lenders' credentials."""


# Runs something with the wiring of a process of its own.
WithWiring = Callable[[Callable[[Wired], Awaitable[Any]]], Any]


Tenant = Annotated[str, typer.Option(help="Whose; `platform`: every tenant's.")]
Id = Annotated[str, typer.Argument(metavar="PROVIDER", help="The provider's id.")]
Operator = Annotated[str, typer.Option(envvar="CAAS_OPERATOR", help="Your name, for the record.")]
Reason = Annotated[str, typer.Option(help="Why, for the record.")]
SECRETS: Final = typer.Option(help="A JSON object of names and secrets; `-` reads standard input.")
AsJSON = Annotated[bool, typer.Option("--json", help="JSON lines instead of text.")]
PAGE: Final = 100


def provider_commands(with_wiring: WithWiring) -> typer.Typer:
    """`list`, `show`, `test`, `register`, `rotate`, `rewrap` and `certify`."""
    commands = typer.Typer(no_args_is_help=True, help="Look after lenders and their adapters.")
    commands.command("certify")(certify)

    def at_desk(work: Callable[[ProviderDesk], Awaitable[Any]]) -> Any:
        async def there(wiring: Wired) -> Any:
            return await work(await wiring.provider_desk())

        return with_wiring(there)

    _reading(commands, at_desk)
    _writing(commands, at_desk)

    @commands.command("rewrap")
    def rewrap(operator: Operator = "", reason: Reason = "") -> None:
        """Wrap all credentials' keys under the current master key; then the old one may go.

        Ends with 1 if some cannot be opened: their master key is missing.
        """

        async def work(wiring: Wired) -> Rewrapped:
            command = Command(operator, reason)
            return await (await wiring.credential_upkeep()).rewrap(command)

        done = with_wiring(work)
        typer.echo(f"{done.rewrapped} wrapped anew, {done.current} current, {done.failed} failed")
        if done.failed:
            raise typer.Exit(1)

    return commands


def _reading(commands: typer.Typer, at_desk: AtDesk) -> None:
    @commands.command("list")
    def list_(tenant: Tenant = PLATFORM, as_json: AsJSON = False) -> None:
        """List whom a tenant may borrow from."""

        async def work(desk: ProviderDesk) -> list[ProviderRecord]:
            found: list[ProviderRecord] = []
            after: str | None = None
            while True:
                page = await desk.page(_named(tenant), after=after, limit=PAGE)
                found += page.providers
                if (after := page.next_after) is None:
                    return found

        for each in at_desk(work):
            typer.echo(_line(each) if as_json else _text(each))

    @commands.command("show")
    def show(provider_id: Id, tenant: Tenant = PLATFORM) -> None:
        """Show a provider and how it fared; of its credentials, which there are."""

        async def work(desk: ProviderDesk) -> tuple[ProviderRecord, Any]:
            record = await desk.find(_named(tenant), provider_id)
            return record, await desk.history(tenant, provider_id)

        record, changes = at_desk(work)
        typer.echo(json.dumps(_document(record), indent=2, default=str))
        for each in changes:
            typer.echo(
                f"{each.changed_at.isoformat()} {each.from_status} -> {each.to_status}"
                f" {each.reason} by {each.actor}"
            )

    @commands.command("test")
    def test(provider_id: Id, tenant: Tenant = PLATFORM, operator: Operator = "") -> None:
        """Try a provider step by step; ends with 1 if a step fails."""

        async def work(desk: ProviderDesk) -> tuple[Step, ...]:
            named = Command(operator, "tried by hand").operator
            return await desk.test(_named(tenant), named, provider_id)

        steps = at_desk(work)
        for each in steps:
            said = "ok" if each.passed else "FAILED"
            because = f" {each.reason}" if each.reason else ""
            typer.echo(f"{each.name}: {said}{because} ({each.took_ms} ms)")
        if not all(each.passed for each in steps):
            raise typer.Exit(1)


def _writing(commands: typer.Typer, at_desk: AtDesk) -> None:
    @commands.command("register")
    def register(
        name: Annotated[str, typer.Argument(help="For people.")],
        adapter: Annotated[str, typer.Option(help="The adapter's name, as `bank-rest`.")],
        url: Annotated[str, typer.Option(help="Where its interface is.")],
        config: Annotated[str, typer.Option(help="What its adapter is told: JSON.")] = "{}",
        credentials: Annotated[Path | None, SECRETS] = None,
        tenant: Tenant = PLATFORM,
        operator: Operator = "",
        reason: Reason = "",
    ) -> None:
        """Register a provider, and print its id."""

        async def work(desk: ProviderDesk) -> str:
            command, told = Command(operator, reason), _object(config, "--config")
            given = None if credentials is None else _secrets(credentials)
            draft = Draft(name, url, told, credentials=given)
            write = _write(_named(tenant), command)
            answered = await desk.register(write, adapter, draft, _id_alone)
            provider_id = answered.body.decode()
            await desk.commanded(tenant, provider_id, command)
            return provider_id

        typer.echo(at_desk(work))

    @commands.command("rotate")
    def rotate(
        provider_id: Id,
        credentials: Annotated[Path, SECRETS],
        tenant: Tenant = PLATFORM,
        operator: Operator = "",
        reason: Reason = "",
    ) -> None:
        """Replace a provider's credentials; the earlier ones end after the overlap."""

        async def work(desk: ProviderDesk) -> None:
            command, given = Command(operator, reason), _secrets(credentials)
            await desk.rotate(_write(_named(tenant), command), provider_id, given, _id_alone)
            await desk.commanded(tenant, provider_id, command)

        at_desk(work)
        typer.echo(f"{provider_id} has new credentials.")


def _named(tenant: str) -> str:
    if not is_name(tenant):
        raise Invalid("TENANT_MALFORMED", "1 to 64 letters, digits, '.', '_' or '-'")
    return tenant


def _write(tenant: str, command: Command) -> WriteKey:
    """A write of a command: each run is a new one."""
    return WriteKey(tenant, command.operator, "cli providers", secrets.token_hex(16), b"")


def _id_alone(record: ProviderRecord) -> StoredAnswer:
    return StoredAnswer(200, {}, record.provider_id.encode())


def _secrets(path: Path) -> dict[str, str]:
    """Secrets from a file or standard input: never from arguments, which anybody can list."""
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid("CREDENTIALS_UNREADABLE", type(error).__name__) from None
    found = _object(text, "--credentials")
    if not found or not all(isinstance(each, str) for each in found.values()):
        raise Invalid("CREDENTIALS_MALFORMED", "a JSON object of names and secrets is expected")
    return {name: str(secret) for name, secret in found.items()}


def _object(text: str, option: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Invalid("NOT_AN_OBJECT", f"{option}: a JSON object is expected")
    return found


def _document(record: ProviderRecord) -> Mapping[str, Any]:
    health, held = record.standing.health, record.credential
    return {
        "provider_id": record.provider_id,
        "tenant": record.tenant_id,
        "source": record.source.value,
        "name": record.name,
        "type": record.type.value,
        "adapter": record.adapter,
        "status": health.status.value,
        "status_reason": health.reason,
        "status_set_by": health.set_by.value,
        "checked_at": record.standing.checked_at,
        "url": record.url,
        "config": dict(record.config),
        "appetite": dict(record.appetite),
        "limits": dict(record.limits),
        "metadata": dict(record.metadata),
        "credential_fields": list(held.fields) if held else None,
        "credential_version": held.version if held else 0,
        "version": record.version,
        "removed_at": record.removed_at,
    }


def _line(record: ProviderRecord) -> str:
    return json.dumps(_document(record), default=str)


def _text(record: ProviderRecord) -> str:
    health = record.standing.health
    return (
        f"{record.provider_id} {record.type.value} {record.adapter} {health.status.value}"
        f" ({health.reason}) {record.source.value}: {record.name}"
    )
