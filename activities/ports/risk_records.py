"""Our records of evidence and assessments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from models.domain.application import Applicant, ApplicationRef, CreditRequest
from models.domain.decision import BureauEvidence
from models.domain.risk import Assessment, BureauReport


@dataclass(frozen=True, slots=True)
class RiskCase:
    """An application to be scored; the evidence that was bought for it earlier, if any was."""

    request: CreditRequest
    applicant: Applicant
    evidence: tuple[BureauEvidence, BureauReport | None] | None


class RiskRecords(Protocol):
    """Each writing method is one transaction with its audit and outbox rows; all may repeat."""

    async def assessment(self, application: ApplicationRef) -> Assessment | None:
        """The assessment on record, if there is one."""
        ...

    async def case(self, application: ApplicationRef, source: str) -> RiskCase | Assessment:
        """The application, with what was bought of this source; or its assessment on record."""
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
