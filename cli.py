"""Operators' commands: `python cli.py COMMAND`, as thin as the API."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import typer

from adapters.postgres.schema import migrate as migrate_schema
from settings import MigrationSettings, WrongSetting, settings_or_exit

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.command()
def migrate() -> None:
    """Bring the database to the current schema; running it again changes nothing."""
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


if __name__ == "__main__":
    app()
