"""Our records of evidence and assessments."""

from __future__ import annotations

from typing import Protocol

from models.domain.application import Applicant, ApplicationRef, CreditRequest
from models.domain.decision import BureauEvidence
from models.domain.risk import Assessment, BureauReport


class RiskRecords(Protocol):
    """Each writing method is one transaction with its audit and outbox rows; all may repeat."""

    async def assessment(self, application: ApplicationRef) -> Assessment | None:
        """The assessment on record, if there is one."""
        ...

    async def asked_for(self, application: ApplicationRef) -> tuple[CreditRequest, Applicant]:
        """The request and the person behind it."""
        ...

    async def evidence(
        self, application: ApplicationRef, source: str
    ) -> tuple[BureauEvidence, BureauReport | None] | None:
        """The evidence bought earlier, if any."""
        ...

    async def record_evidence(
        self,
        application: ApplicationRef,
        source: str,
        outcome: BureauEvidence,
        report: BureauReport | None,
    ) -> None:
        """Keep what was bought (sealed under the person's key)."""
        ...

    async def record_assessment(
        self, application: ApplicationRef, assessment: Assessment, bureau: BureauEvidence
    ) -> None:
        """Keep the assessment; the first one stands."""
        ...
