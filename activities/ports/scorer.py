"""The scorer: turns a form and a bureau report into an assessment, or refers to a person."""

from __future__ import annotations

from typing import Protocol

from models.domain.risk import Assessment, BureauReport, CreditForm


class Scorer(Protocol):
    """Scores one application. Bound to the processor: run it outside the event loop."""

    @property
    def version(self) -> str:
        """The name of the model that answers, recorded with every decision."""
        ...

    def score(self, form: CreditForm, bureau: BureauReport) -> Assessment:
        """The assessment; the same input gives the same answer for one version.

        Never raises for what it cannot score: such an assessment has the outcome "referred" and
        numbers that approve nobody.
        """
        ...
