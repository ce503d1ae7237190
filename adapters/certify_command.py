"""`cli.py providers certify …`: run a lender's adapter against everything that can go wrong.

The kit belongs to the sandbox, which the product never imports; it is a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import typer

KIT: Final = "sandbox.certification"
UNAVAILABLE: Final = 2  # as for a wrong option; 1 says that an adapter failed a row
_ROOT: Final = Path(__file__).resolve().parents[1]


def certify(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="An adapter's name, or module:PLUGIN.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines instead of a table.")] = False,
    deadline_s: Annotated[
        float, typer.Option(min=0.05, max=60, help="The deadline to rehearse, in seconds.")
    ] = 1.0,
) -> None:
    """Run adapters against a faulty lender; ends with 1, naming the rows, if one is not certified.

    An adapter is found by its name (shipped, installed, or in CAAS_PLUGINS) or by import path.
    """
    if find_spec(KIT.partition(".")[0]) is None:
        typer.echo(
            "The certification kit is part of the sandbox, which is not installed here (a"
            " production image has none): run it from a checkout of the source.",
            err=True,
        )
        raise typer.Exit(UNAVAILABLE)
    command = [sys.executable, "-m", KIT, *names, "--deadline-s", str(deadline_s)]
    raise typer.Exit(
        subprocess.run(  # noqa: S603 - our own module, with arguments that no shell reads
            [*command, "--json"] if as_json else command, env=_environment(), check=False
        ).returncode
    )


def _environment() -> dict[str, str]:
    """Ours, with our modules found from whatever folder the adapter under test is in."""
    paths = (str(_ROOT), os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
