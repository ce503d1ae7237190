"""Our records of decisions: what rules were asked about, and what they answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from models.domain.application import Applicant, ApplicationRef, CreditRequest
from models.domain.decision import BureauEvidence, Facts, Phase, Verdict
from models.domain.kyc import KYCStatus
from models.domain.risk import Assessment


@dataclass(frozen=True, slots=True)
class CreditCase:
    """Everything known of an application when rules are asked; later parts may be absent."""

    request: CreditRequest
    applicant: Applicant
    kyc_status: KYCStatus | None
    assessment: Assessment | None
    bureau: BureauEvidence | None


class DecisionRecords(Protocol):
    """Reads cases and keeps verdicts; one verdict per application and phase, for ever."""

    async def case(self, application: ApplicationRef, phase: Phase) -> CreditCase | Verdict:
        """What is known of the application now; or the verdict, if the phase has led to one."""
        ...

    async def record_verdict(
        self, application: ApplicationRef, verdict: Verdict, facts: Facts, screened_with: str
    ) -> Verdict:
        """Keep the verdict with its facts and list version, and move the application on.

        Returns the verdict on record: an earlier one stands, whatever was evaluated now.
        """
        ...
