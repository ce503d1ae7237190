"""`python -m sandbox.certification NAME …`: certify adapters; ends with 1 if any fails a row.

A name is an adapter's own, or the import path of a plugin (`module:NAME`).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Final

from rich.console import Console

from adapters.providers.plugin import PluginUnusable
from sandbox.certification.certifying import certify
from sandbox.certification.finding import configured, plugin_named
from sandbox.certification.rehearsal import NoRehearsal
from sandbox.certification.report import failed, json_lines, print_table
from sandbox.certification.trial import Options

_WIDE: Final = 150


def main() -> int:
    """Certify each adapter that is named."""
    arguments = _arguments()
    options = Options(
        deadline_s=arguments.deadline_s,
        grace_s=arguments.grace_s,
        huge_bytes=arguments.huge_bytes,
    )
    # A pipe has no width of its own: there the table is as wide as it likes to be.
    console = Console() if sys.stdout.isatty() else Console(width=_WIDE)
    well = True
    for name in arguments.names:
        try:
            verdicts = asyncio.run(certify(plugin_named(name, configured()), options))
        except (PluginUnusable, NoRehearsal) as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 2
        well = well and not failed(verdicts)
        if arguments.json:
            print("\n".join(json_lines(name, verdicts)), flush=True)
        else:
            print_table(console, name, verdicts)
    return 0 if well else 1


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
