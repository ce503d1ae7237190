"""The table as people read it, and as programs do."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from sandbox.certification.row import Verdict


def failed(verdicts: Sequence[Verdict]) -> list[str]:
    """The names of the rows that failed, in the table's order."""
    return [verdict.row for verdict in verdicts if not verdict.passed]


def json_lines(name: str, verdicts: Sequence[Verdict]) -> list[str]:
    """A line per row, and a last one that sums them up."""
    lines = [
        {
            "adapter": name,
            "row": each.row,
            "part": each.part.value,
            "passed": each.passed,
            "expected": each.expected,
            "happened": each.happened,
        }
        for each in verdicts
    ]
    wrong = failed(verdicts)
    summary = {"adapter": name, "rows": len(verdicts), "certified": not wrong, "failed": wrong}
    return [json.dumps(line) for line in (*lines, summary)]


def print_table(console: Console, name: str, verdicts: Sequence[Verdict]) -> None:
    """The table, then one line: certified, or what is not as it should be."""
    table = Table(title=f"Certification of {name}", title_justify="left")
    for heading in ("row", "", "expected", "what happened"):
        table.add_column(heading, no_wrap=heading in ("row", ""), overflow="fold")
    part = None
    for each in verdicts:
        if part is not None and each.part is not part:
            table.add_section()
        part = each.part
        mark = "[green]pass[/]" if each.passed else "[bold red]FAIL[/]"
        table.add_row(each.row, mark, each.expected, each.happened)
    console.print(table)
    wrong = failed(verdicts)
    if wrong:
        console.print(f"{name} fails {len(wrong)} of {len(verdicts)} rows: {', '.join(wrong)}")
    else:
        console.print(f"{name} is certified: all {len(verdicts)} rows passed.")
