"""`cli.py offers …`: what operators ask about offers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from models.domain.errors import Invalid

BAD_INPUT: Final = 2  # as for a wrong option
NO_RATE: Final = 1  # the input is fine, and has no rate


def offers_commands() -> typer.Typer:
    """`apr`."""
    commands = typer.Typer(no_args_is_help=True, help="Look at what offers cost.")

    @commands.callback()
    def offers() -> None:
        """A group, however few commands it has."""

    @commands.command("apr")
    def apr(
        file: Annotated[Path, typer.Argument(help="Cash flows in JSON; - reads them.")] = Path("-"),
        decimals: Annotated[
            int | None, typer.Option(min=0, max=12, help="Of the percentage printed.")
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help="JSON, with the exact rate.")] = False,
    ) -> None:
        """Print the annual percentage rate of advances and payments.

        By Regulation Z's actuarial method (two decimals) or the EU's equation (one decimal); the
        document says which. Ends with 2 where the document is wrong, 1 where it has no rate.
        """
        from adapters.cash_flows import annual_percentage_rate  # noqa: PLC0415
        from models.domain.apr import rounded_percent  # noqa: PLC0415
        from models.domain.rates import RateNotFound  # noqa: PLC0415

        try:
            found = annual_percentage_rate(_read(file))
        except (Invalid, OSError) as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(BAD_INPUT) from None
        except RateNotFound as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(NO_RATE) from None
        shown = rounded_percent(found.rate, found.decimals if decimals is None else decimals)
        if not as_json:
            typer.echo(f"{shown:f} %")
            return
        answer = {
            "method": found.method.value,
            "apr_percent": f"{shown:f}",
            "exact_percent": f"{rounded_percent(found.rate, 12):f}",
            "counted_in": found.counted_in,
            "advanced_minor": found.advanced_minor,
            "paid_minor": found.paid_minor,
            "cost_minor": found.paid_minor - found.advanced_minor,
        }
        typer.echo(json.dumps(answer))

    return commands


def _read(file: Path) -> bytes:
    from adapters.cash_flows import MAX_BYTES  # noqa: PLC0415

    if str(file) == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    with file.open("rb") as opened:
        return opened.read(MAX_BYTES + 1)
