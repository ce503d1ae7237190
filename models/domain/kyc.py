"""Know your customer: the verification of a person's identity, once per person and tenant."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class KYCStatus(StrEnum):
    """What is known of a person's identity."""

    PENDING = "pending"
    IN_REVIEW = "in_review"
    VERIFIED = "verified"
    FAILED = "failed"
    EXPIRED = "expired"


class VendorVerdict(StrEnum):
    """What the identity vendor says of the evidence."""

    CLEAR = "clear"
    UNCLEAR = "unclear"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class PersonRef:
    """A person within a tenant; `user_id` is unique there and nowhere else."""

    tenant_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class KYCStanding:
    """A person's standing as an application sees it; `expires_at` is an ISO 8601 moment (UTC)."""

    status: KYCStatus
    reason: str | None = None
    expires_at: str | None = None


@dataclass(frozen=True, slots=True)
class VerificationCallback:
    """The vendor's answer, after its signature was verified; `event_id` makes it idempotent."""

    event_id: str
    verification_id: str
    verdict: VendorVerdict
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class VerificationRequest:
    """One attempt to verify a person; the id is the vendor's idempotency key."""

    person: PersonRef
    verification_id: str


@dataclass(frozen=True, slots=True)
class KYCConclusion:
    """A concluded verification: by the vendor, by a named person, or by the deadline.

    `expires_at` (ISO 8601, UTC) is set when the person is verified.
    """

    person: PersonRef
    verification_id: str
    status: KYCStatus
    concluded_by: str
    reason: str | None = None
    expires_at: str | None = None
