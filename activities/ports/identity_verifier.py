"""The identity vendor: asked once per verification, answers later by a signed callback."""

from __future__ import annotations

from typing import Protocol

from models.domain.application import Applicant


class IdentityVerifier(Protocol):
    """Submits a person's documents; the verdict arrives at `/callbacks/{vendor}`."""

    vendor: str

    async def submit(self, tenant_id: str, verification_id: str, applicant: Applicant) -> str:
        """Ask for a verification; returns the vendor's check id.

        Idempotent by `verification_id`. Raises Permanent (refused for good) or Transient.
        """
        ...
