"""The credit bureau: a paid report on a person, bought at most once per application."""

from __future__ import annotations

from typing import Protocol

from models.domain.application import Applicant
from models.domain.risk import BureauReport


class CreditBureau(Protocol):
    """Fetches a report; absence of a file is an answer, not an error."""

    bureau: str

    async def report(
        self, tenant_id: str, application_id: str, applicant: Applicant
    ) -> BureauReport | None:
        """The person's report, or None when the bureau knows too little ("thin file").

        Idempotent by `application_id` (the bureau bills once per key). Raises Permanent or
        Transient.
        """
        ...
