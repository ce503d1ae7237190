"""One measured figure, printed as a JSON line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its unit; `ratio` is against the baseline, if any; higher is better."""

    name: str
    value: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None

    def line(self) -> str:
        """The figure as one line of JSON."""
        return json.dumps(asdict(self))
