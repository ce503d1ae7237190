"""What answers while no sanctions list can be used: nobody is clear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from models.domain.screening import ScreeningResult, ScreeningStatus


class FailClosedScreener:
    """Answers UNAVAILABLE to everything, so that a person decides instead of a missing list."""

    list_version: Final = "unavailable"

    def screen(self, names: Sequence[str]) -> ScreeningResult:  # noqa: ARG002 - the port's shape
        """UNAVAILABLE, whatever the names."""
        return ScreeningResult(ScreeningStatus.UNAVAILABLE, (), self.list_version, 0)
