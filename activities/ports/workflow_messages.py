"""Messages from activities to workflows: addressed by business id, harmless to repeat."""

from __future__ import annotations

from typing import Protocol

from models.domain.application import ApplicationRef
from models.domain.kyc import KYCStanding, PersonRef, VerificationCallback
from models.domain.review import InformationProvided
from models.domain.settlement import FinalitySignal


class WorkflowMessages(Protocol):
    """Starts and signals workflows; a message to one that has ended is swallowed.

    Every method raises Unavailable when Temporal cannot be reached.
    """

    async def start_application(self, application: ApplicationRef) -> None:
        """Start the application's workflow unless it was ever started."""
        ...

    async def join_person(self, person: PersonRef, application_id: str) -> None:
        """Signal the person's KYC workflow that an application waits, starting it if needed."""
        ...

    async def tell_identity(
        self, tenant_id: str, application_id: str, standing: KYCStanding
    ) -> None:
        """Tell a waiting application what became of its person's verification."""
        ...

    async def tell_verification(self, person: PersonRef, callback: VerificationCallback) -> None:
        """Pass a verified vendor callback on to the person's KYC workflow."""
        ...

    async def tell_settlement(
        self, tenant_id: str, application_id: str, observed: FinalitySignal
    ) -> None:
        """Tell a settlement that its transaction is at depth, or reverted there."""
        ...

    async def tell_information(self, workflow_id: str, provided: InformationProvided) -> None:
        """The applicant has answered what an operator asked."""
        ...
