"""Decisions: what a rule book is asked, what it answers, and the published reasons.

Standard library only: these values travel through workflows. Everything here is a plain value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from models.domain.kyc import KYCStatus
from models.domain.screening import ScreeningStatus


class Phase(StrEnum):
    """When a rule is asked: before a bureau is paid, and after the score is known."""

    ELIGIBILITY = "eligibility"
    CREDIT = "credit"


class Outcome(StrEnum):
    """What follows from a decision, from the mildest to the most severe.

    Members compare by severity, not by spelling: ALLOW < REVIEW < ENHANCED_DUE_DILIGENCE <
    DECLINE < BLOCK. Where rules disagree, the most severe holds (`worst`).
    """

    ALLOW = "allow"
    REVIEW = "review"
    ENHANCED_DUE_DILIGENCE = "enhanced_due_diligence"
    DECLINE = "decline"
    BLOCK = "block"

    @property
    def severity(self) -> int:
        """0 for ALLOW, rising to 4 for BLOCK."""
        return _SEVERITY[self]

    # A string enum would compare by the alphabet, in which "allow" < "block" < "decline".
    def __lt__(self, other: object) -> bool:
        return self.severity < other.severity if isinstance(other, Outcome) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self.severity <= other.severity if isinstance(other, Outcome) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self.severity > other.severity if isinstance(other, Outcome) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self.severity >= other.severity if isinstance(other, Outcome) else NotImplemented

    @staticmethod
    def worst(outcomes: Iterable[Outcome]) -> Outcome:
        """The most severe of them. ValueError for none at all: silence is not consent."""
        return max(outcomes, key=lambda outcome: outcome.severity)


_SEVERITY: Final = {outcome: position for position, outcome in enumerate(Outcome)}


class ReasonCode(StrEnum):
    """Why an outcome is what it is. Published: new codes are added at the end, none is reused.

    The order is the one in which reasons of equal severity are listed.
    """

    CANNOT_PROCEED = "CANNOT_PROCEED"
    SANCTIONS_NOT_CLEAR = "SANCTIONS_NOT_CLEAR"
    SCREENING_UNAVAILABLE = "SCREENING_UNAVAILABLE"
    JURISDICTION_NOT_SERVED = "JURISDICTION_NOT_SERVED"
    UNDER_LEGAL_AGE = "UNDER_LEGAL_AGE"
    IDENTITY_NOT_VERIFIED = "IDENTITY_NOT_VERIFIED"
    AMOUNT_NEEDS_EDD = "AMOUNT_NEEDS_EDD"
    AMOUNT_ABOVE_LIMIT = "AMOUNT_ABOVE_LIMIT"
    ASSET_NOT_AUTHORISED = "ASSET_NOT_AUTHORISED"
    SETTLEMENT_CURRENCY_RESTRICTED = "SETTLEMENT_CURRENCY_RESTRICTED"
    SCORE_TOO_LOW = "SCORE_TOO_LOW"
    SCORE_BORDERLINE = "SCORE_BORDERLINE"
    PD_TOO_HIGH = "PD_TOO_HIGH"
    DTI_TOO_HIGH = "DTI_TOO_HIGH"
    THIN_FILE = "THIN_FILE"
    EVIDENCE_MISSING = "EVIDENCE_MISSING"
    RATE_UNAVAILABLE = "RATE_UNAVAILABLE"
    MODEL_UNAVAILABLE = "MODEL_UNAVAILABLE"
    RULE_BOOK_UNAVAILABLE = "RULE_BOOK_UNAVAILABLE"
    FURTHER_CHECKS_NEEDED = "FURTHER_CHECKS_NEEDED"
    NO_OFFER_AVAILABLE = "NO_OFFER_AVAILABLE"
    OFFER_EXPIRED = "OFFER_EXPIRED"
    TERMS_CHANGED = "TERMS_CHANGED"
    REVIEW_UNDECIDED = "REVIEW_UNDECIDED"
    SETTLEMENT_FAILED = "SETTLEMENT_FAILED"
    INFORMATION_NOT_PROVIDED = "INFORMATION_NOT_PROVIDED"
    WITHDRAWN_BY_APPLICANT = "WITHDRAWN_BY_APPLICANT"
    CANCELLED_BY_OPERATOR = "CANCELLED_BY_OPERATOR"


# For the applicant. SCORE_TOO_LOW and PD_TOO_HIGH are not specific enough for Regulation B
# §1002.9(b)(2) on their own: a notice lists the model's own reasons with them.
REASON_TEXTS: Final[dict[ReasonCode, str]] = {
    ReasonCode.CANNOT_PROCEED: "We are unable to proceed with this application.",
    ReasonCode.SANCTIONS_NOT_CLEAR: "We are unable to proceed with this application.",
    ReasonCode.SCREENING_UNAVAILABLE: "A member of our team needs to look at this application.",
    ReasonCode.JURISDICTION_NOT_SERVED: "We do not lend in your country of residence.",
    ReasonCode.UNDER_LEGAL_AGE: "You are below the age at which we can lend to you.",
    ReasonCode.IDENTITY_NOT_VERIFIED: "We could not verify your identity.",
    ReasonCode.AMOUNT_NEEDS_EDD: "An amount of this size needs additional documents.",
    ReasonCode.AMOUNT_ABOVE_LIMIT: "The amount is above what we lend without a personal review.",
    ReasonCode.ASSET_NOT_AUTHORISED: "The asset you would be paid in needs a further check.",
    ReasonCode.SETTLEMENT_CURRENCY_RESTRICTED: (
        "The currency you would be paid in needs a further check."
    ),
    ReasonCode.SCORE_TOO_LOW: "Your credit score is below what we require.",
    ReasonCode.SCORE_BORDERLINE: "Your credit score is close to what we require.",
    ReasonCode.PD_TOO_HIGH: "The risk that the loan is not repaid is above what we accept.",
    ReasonCode.DTI_TOO_HIGH: "The repayments would be high in relation to your income.",
    ReasonCode.THIN_FILE: "Your credit history is too short to decide automatically.",
    ReasonCode.EVIDENCE_MISSING: "Information we need for a decision is missing.",
    ReasonCode.RATE_UNAVAILABLE: "The amount could not be converted for our checks.",
    ReasonCode.MODEL_UNAVAILABLE: "We could not assess your application automatically.",
    ReasonCode.RULE_BOOK_UNAVAILABLE: "We could not check your application automatically.",
    ReasonCode.FURTHER_CHECKS_NEEDED: "A member of our team needs to look at this application.",
    ReasonCode.NO_OFFER_AVAILABLE: "No lender has made an offer for this application.",
    ReasonCode.OFFER_EXPIRED: "The offer has expired.",
    ReasonCode.TERMS_CHANGED: "The lender no longer offers these terms.",
    ReasonCode.REVIEW_UNDECIDED: "The application could not be decided in time.",
    ReasonCode.SETTLEMENT_FAILED: "The loan could not be paid out.",
    ReasonCode.INFORMATION_NOT_PROVIDED: "We did not receive the information we asked for.",
    ReasonCode.WITHDRAWN_BY_APPLICANT: "The application was withdrawn.",
    ReasonCode.CANCELLED_BY_OPERATOR: "The application was cancelled.",
}

# Even the code of these would tell an applicant about screening; another one is shown instead.
_SHOWN_AS: Final = {
    ReasonCode.SANCTIONS_NOT_CLEAR: ReasonCode.CANNOT_PROCEED,
    ReasonCode.SCREENING_UNAVAILABLE: ReasonCode.FURTHER_CHECKS_NEEDED,
}


@dataclass(frozen=True, slots=True)
class ApplicantReason:
    """A reason as an applicant may see it: neither code nor text tells of screening."""

    code: str
    text: str


def applicant_reasons(codes: Iterable[str]) -> tuple[ApplicantReason, ...]:
    """The reasons to show an applicant, in the given order, without repeats.

    A settlement fails with the lender's or the chain's own code, of which there is no list: it is
    for staff, and the applicant reads SETTLEMENT_FAILED.
    """
    shown = dict.fromkeys(_shown(code) for code in codes)
    return tuple(ApplicantReason(code.value, REASON_TEXTS[code]) for code in shown)


def _shown(code: str) -> ReasonCode:
    if code not in ReasonCode.__members__:
        return ReasonCode.SETTLEMENT_FAILED
    return _SHOWN_AS.get(ReasonCode(code), ReasonCode(code))


class SettlementKind(StrEnum):
    """How the loan would be paid; rules spell it as the names do (`'CRYPTO'`)."""

    CRYPTO = "crypto"  # by a token on a chain
    FIAT = "fiat"  # outside of any chain


class BureauEvidence(StrEnum):
    """What the credit bureau contributed."""

    PRESENT = "present"
    THIN = "thin"  # it answered that it knows too little
    MISSING = "missing"  # it did not answer


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules may look at. None means "not known": a rule that needs it refers to a person.

    Money is in minor units of `currency`. Nothing here names a person, and there is no protected
    attribute: age only serves legal capacity (Regulation B §1002.6(b)(2)).
    """

    amount_minor: int
    currency: str  # ISO 4217
    country: str  # ISO 3166-1 alpha-2, residence
    settlement: SettlementKind
    term_months: int
    kyc_status: KYCStatus | None = None
    sanction_status: ScreeningStatus | None = None
    age_years: int | None = None  # completed years on the day of the decision
    emt_authorised: bool | None = None  # settlement asset: e-money token authorised under MiCA
    annual_income_minor: int | None = None
    score: int | None = None
    pd: float | None = None
    score_outcome: Literal["scored", "referred"] | None = None
    bureau: BureauEvidence | None = None


@dataclass(frozen=True, slots=True)
class RuleFired:
    """One rule that applied, as it is kept for ever: re-evaluation gives the same rows."""

    rule_id: str
    rule_version: int
    action: str
    outcome: Outcome
    reason_code: str | None  # None for a rule that only attaches a pack


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rule book's answer: the worst outcome, its reasons, and the rules they came from."""

    phase: Phase
    outcome: Outcome
    reasons: tuple[str, ...]  # codes: the most severe first, then in published order
    fired: tuple[RuleFired, ...]  # in the order of the rule book
    packs: tuple[str, ...]  # rule packs attached, sorted
    rule_set_version: str

    @classmethod
    def of(
        cls, phase: Phase, fired: tuple[RuleFired, ...], packs: Iterable[str], version: str
    ) -> Verdict:
        """The verdict that follows from the rules that fired; nothing fired means ALLOW."""
        worst_by_code: dict[ReasonCode, Outcome] = {}
        for rule in fired:
            if rule.reason_code is not None:
                code = ReasonCode(rule.reason_code)
                worst_by_code[code] = max(worst_by_code.get(code, rule.outcome), rule.outcome)
        published = list(ReasonCode)
        ordered = sorted(
            worst_by_code, key=lambda code: (-worst_by_code[code].severity, published.index(code))
        )
        return cls(
            phase=phase,
            outcome=Outcome.worst((Outcome.ALLOW, *(rule.outcome for rule in fired))),
            reasons=tuple(code.value for code in ordered),
            fired=fired,
            packs=tuple(sorted(set(packs))),
            rule_set_version=version,
        )
