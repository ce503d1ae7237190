"""`cli.py providers …`: what operators do with lenders and their adapters."""

from __future__ import annotations

import typer

from adapters.certify_command import certify


def provider_commands() -> typer.Typer:
    """`certify`."""
    commands = typer.Typer(no_args_is_help=True, help="Look after lenders and their adapters.")

    @commands.callback()
    def providers() -> None:
        """A group, however few commands it has."""

    commands.command("certify")(certify)
    return commands
