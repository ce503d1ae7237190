"""The name screener: compares a person's names with sanctions lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from models.domain.screening import ScreeningResult


class NameScreener(Protocol):
    """Screens names against one version of a list. Pure and quick: no I/O after loading."""

    @property
    def list_version(self) -> str:
        """The list that answers, recorded with every decision."""
        ...

    def screen(self, names: Sequence[str]) -> ScreeningResult:
        """The answer for all names of one person (legal name, former names, aliases).

        Never raises for a name: what cannot be compared is UNAVAILABLE, never CLEAR.
        """
        ...
