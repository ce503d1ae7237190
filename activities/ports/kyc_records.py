"""Our records of people's verifications and of the applications that wait for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from models.domain.application import Applicant, ApplicationRef
from models.domain.kyc import KYCConclusion, KYCStanding, PersonRef, VerificationRequest
from models.domain.screening import ScreeningResult


@dataclass(frozen=True, slots=True)
class WaitingApplication:
    """An application that must still be told how its person's verification ended."""

    application_id: str
    standing: KYCStanding


class KYCRecords(Protocol):
    """Each method is one transaction with its audit and outbox rows, and may be repeated."""

    async def join(self, application: ApplicationRef) -> KYCStanding:
        """Put the application under way; PENDING means it now waits for its person."""
        ...

    async def begin_verification(self, request: VerificationRequest, vendor: str) -> Applicant:
        """Record that the vendor is about to be asked; returns the person to verify."""
        ...

    async def record_submission(self, request: VerificationRequest, check_id: str) -> None:
        """Record the vendor's own id of the check."""
        ...

    async def applicant_of(self, person: PersonRef) -> Applicant:
        """The person as the newest verification examined them, or as last stated without one."""
        ...

    async def conclude(
        self, conclusion: KYCConclusion, screening: ScreeningResult
    ) -> tuple[WaitingApplication, ...]:
        """Record the conclusion; returns the applications that were not yet told."""
        ...

    async def told(self, person: PersonRef, application_id: str) -> None:
        """The application knows; it is not told again."""
        ...

    async def someone_waits(self, person: PersonRef) -> bool:
        """Whether an application waits that no conclusion has answered."""
        ...

    async def expire(self, person: PersonRef) -> None:
        """The verification's validity has ended."""
        ...
