"""A row of the certification table, and what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from sandbox.certification.trial import Trial


class Part(StrEnum):
    """The parts of the table, in their order."""

    MANIFEST = "manifest"
    HEALTHY = "healthy lender"
    WIRE = "broken line"
    CONTENT = "wrong content"
    CALLBACKS = "callbacks"
    SECRETS = "secrets"


@dataclass(frozen=True, slots=True)
class Row:
    """What is expected, and the trial that shows it.

    The trial returns what happened, or raises Unmet with it. `weighed` rows run alone, and the
    memory they take is measured.
    """

    name: str
    part: Part
    expected: str
    run: Callable[[Trial], Awaitable[str]]
    weighed: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the table."""

    row: str
    part: Part
    passed: bool
    expected: str
    happened: str
