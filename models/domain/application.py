"""The application for credit: who may be in it, where it stands, and how it may end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Stage(StrEnum):
    """Where an application is on its way; shown to support staff and applicants."""

    IDENTITY = "identity"
    ELIGIBILITY = "eligibility"
    RISK = "risk"
    CREDIT = "credit"
    OFFERS = "offers"
    SETTLEMENT = "settlement"
    CLOSED = "closed"


class State(StrEnum):
    """What an application is waiting for, or how it ended."""

    PROCESSING = "processing"
    IN_REVIEW = "in_review"
    OFFERED = "offered"
    SETTLING = "settling"
    FUNDED = "funded"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    BLOCKED = "blocked"
    REJECTED = "rejected"


TERMINAL_STATES: Final = frozenset(
    {
        State.FUNDED,
        State.DECLINED,
        State.WITHDRAWN,
        State.EXPIRED,
        State.BLOCKED,
        State.REJECTED,
    }
)


@dataclass(frozen=True, slots=True)
class ApplicationRef:
    """What a workflow knows of its application: ids only, never personal data."""

    tenant_id: str
    application_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address; `country` is ISO 3166-1 alpha-2."""

    line1: str
    city: str
    postal_code: str
    country: str


@dataclass(frozen=True, slots=True)
class IdentityDocument:
    """A government document the identity vendor examines."""

    kind: str
    number: str
    country: str


@dataclass(frozen=True, slots=True)
class Applicant:
    """A person's own data: stored encrypted under that person's key, never in a workflow."""

    given_name: str
    family_name: str
    born_on: str  # ISO 8601 day
    email: str
    national_id: str
    address: Address
    document: IdentityDocument
    annual_income_minor: int
    employment_months: int

    @property
    def full_name(self) -> str:
        return f"{self.given_name} {self.family_name}"


@dataclass(frozen=True, slots=True)
class CreditRequest:
    """What is asked for: the terms an applicant wants and the wallet that will be paid."""

    amount_minor: int
    currency: str
    term_months: int
    purpose: str
    jurisdiction: str  # ISO 3166-1 alpha-2 of the applicant's residence
    wallet: str  # checksummed address whose ownership was proved
    chain_id: int


@dataclass(frozen=True, slots=True)
class ApplicationEnding:
    """Where a stage leads when it does not lead on."""

    state: State
    reasons: tuple[str, ...]
    loan_id: str | None = None
    tx_hash: str | None = None


@dataclass(frozen=True, slots=True)
class ApplicationOutcome:
    """How an application ended; the result of its workflow."""

    application_id: str
    state: State
    reasons: tuple[str, ...]
    loan_id: str | None = None
    tx_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The applicant no longer wants the credit, or an operator cancels for them."""

    by: str
    reason: str = "WITHDRAWN_BY_APPLICANT"
