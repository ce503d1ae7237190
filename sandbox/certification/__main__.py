"""`python -m sandbox.certification NAME …`: certify adapters; ends with 1 if any fails a row.

A name is an adapter's own, or the import path of a plugin (`module:NAME`).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Final

from rich.console import Console

from adapters.providers.plugin import Plugin, PluginUnusable
from sandbox.certification.certifying import certify
from sandbox.certification.finding import configured, plugin_named
from sandbox.certification.rehearsal import NoRehearsal
from sandbox.certification.report import failed, json_lines, print_table
from sandbox.certification.trial import Options
from sandbox.services.chain import NoAnvilError
from sandbox.services.process import EarlyExitError, NotReadyInTimeError

_WIDE: Final = 150


def main() -> int:
    """Certify each adapter that is named."""
    arguments = _arguments()
    options = Options(
        deadline_s=arguments.deadline_s,
        grace_s=arguments.grace_s,
        huge_bytes=arguments.huge_bytes,
    )
    try:
        adapters = [(name, plugin_named(name, configured())) for name in arguments.names]
        well = asyncio.run(_certified(adapters, options, as_json=arguments.json))
    except (
        PluginUnusable,
        NoRehearsal,
        NoAnvilError,
        EarlyExitError,
        NotReadyInTimeError,
    ) as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if well else 1


async def _certified(
    adapters: list[tuple[str, Plugin]], options: Options, *, as_json: bool
) -> bool:
    """Print each adapter's table as it is ready; whether every row of all of them passed."""
    # A pipe has no width of its own: there the table is as wide as it likes to be.
    console = Console() if sys.stdout.isatty() else Console(width=_WIDE)
    well = True
    async for name, verdicts in certify(adapters, options):
        well = well and not failed(verdicts)
        if as_json:
            print("\n".join(json_lines(name, verdicts)), flush=True)
        else:
            print_table(console, name, verdicts)
    return well


def _arguments() -> argparse.Namespace:
    default = Options()
    parser = argparse.ArgumentParser(
        prog="providers certify", description="Run lenders' adapters against a faulty lender."
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="an adapter, or module:NAME")
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    parser.add_argument(
        "--deadline-s", type=_seconds, default=default.deadline_s, help="the rehearsed deadline"
    )
    parser.add_argument(
        "--grace-s", type=_seconds, default=default.grace_s, help="how much later is still in time"
    )
    parser.add_argument(
        "--huge-bytes", type=int, default=default.huge_bytes, help="the size of a huge answer"
    )
    return parser.parse_args()


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.05 <= value <= 60:
        raise argparse.ArgumentTypeError("0.05 to 60 seconds")
    return value


if __name__ == "__main__":
    sys.exit(main())
