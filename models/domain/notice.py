"""Adverse action notices: who is owed one, by when, and what it says.

After Regulation B (12 CFR §1002.9): within 30 days of the application the applicant is told of the
action taken and its principal reasons, with the names of who decided and who supervises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from models.domain.application import Address, ApplicationEnding, State
from models.domain.decision import ApplicantReason, ReasonCode, applicant_reasons
from models.domain.risk import Reason

NOTICE_DAYS: Final = 30

# The day ends first in the easternmost zone of a jurisdiction: nobody is told a day late.
# An unlisted jurisdiction gets the zone in which the day ends before it ends anywhere else.
_ZONES: Final = {
    "AT": "Europe/Vienna", "BE": "Europe/Brussels", "BG": "Europe/Sofia", "CY": "Asia/Nicosia",
    "CZ": "Europe/Prague", "DE": "Europe/Berlin", "DK": "Europe/Copenhagen",
    "EE": "Europe/Tallinn", "ES": "Europe/Madrid", "FI": "Europe/Helsinki", "FR": "Europe/Paris",
    "GB": "Europe/London", "GR": "Europe/Athens", "HR": "Europe/Zagreb", "HU": "Europe/Budapest",
    "IE": "Europe/Dublin", "IT": "Europe/Rome", "LT": "Europe/Vilnius", "LU": "Europe/Luxembourg",
    "LV": "Europe/Riga", "MT": "Europe/Malta", "NL": "Europe/Amsterdam", "PL": "Europe/Warsaw",
    "PT": "Europe/Lisbon", "RO": "Europe/Bucharest", "SE": "Europe/Stockholm",
    "SI": "Europe/Ljubljana", "SK": "Europe/Bratislava", "US": "America/Puerto_Rico",
}  # fmt: skip
_EARLIEST: Final = "Pacific/Kiritimati"

# An expiry that is our side's doing is an adverse action; one that is the applicant's is none
# (§1002.2(c)(2)(i)); what was asked for and never came is told of by the request itself
# (§1002.9(c)(2)).
_OURS_TO_EXPLAIN: Final = frozenset({ReasonCode.REVIEW_UNDECIDED, ReasonCode.TERMS_CHANGED})


# Too general to be reasons by themselves (§1002.9(b)(2)): what lowered the score is told with them.
_SCORE_DECIDED = frozenset(
    {ReasonCode.SCORE_TOO_LOW, ReasonCode.SCORE_BORDERLINE, ReasonCode.PD_TOO_HIGH}
)


class NoticeStatus(StrEnum):
    """A notice is pending until it was handed over, or its deadline has passed."""

    PENDING = "pending"
    DELIVERED = "delivered"
    UNDELIVERABLE = "undeliverable"  # the mail house refuses it: a person has to see to it
    OVERDUE = "overdue"


@dataclass(frozen=True, slots=True)
class NoticeRef:
    """A notice an applicant is owed; `due_at` (ISO 8601, UTC) ends the legal period."""

    tenant_id: str
    application_id: str
    notice_id: str
    due_at: str


@dataclass(frozen=True, slots=True)
class NoticeHandedOver:
    """A named person has delivered the notice in another way."""

    by: str
    how: str


@dataclass(frozen=True, slots=True)
class NoticeResult:
    """What became of a notice; `detail` is a message id, a reason, or how it was delivered."""

    notice: NoticeRef
    status: NoticeStatus
    by: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class NoticeCase:
    """What a notice is written from."""

    application_id: str
    recipient_name: str
    address: Address
    applied_on: date
    amount_minor: int
    currency: str
    reasons: tuple[ApplicantReason, ...]
    score: int | None
    bureau_was_used: bool


@dataclass(frozen=True, slots=True)
class RenderedNotice:
    """A letter as it is sent; it names a person and never enters a workflow."""

    notice_id: str
    application_id: str
    recipient_name: str
    recipient_address_lines: tuple[str, ...]
    subject: str
    paragraphs: tuple[str, ...]


def is_owed(ending: ApplicationEnding) -> bool:
    """Whether an application that ends so is owed a notice of adverse action."""
    if ending.state in (State.DECLINED, State.REJECTED, State.BLOCKED):
        return True
    return ending.state is State.EXPIRED and not _OURS_TO_EXPLAIN.isdisjoint(ending.reasons)


def principal_reasons(
    codes: Sequence[str], score_reasons: Sequence[Reason]
) -> tuple[ApplicantReason, ...]:
    """What a notice gives as reasons: the decision's own, and the model's where the score decided.

    Screening is never among them: `applicant_reasons` says it in words that give nothing away.
    """
    reasons = applicant_reasons(codes)
    if _SCORE_DECIDED.isdisjoint(codes):
        return reasons
    return reasons + tuple(ApplicantReason(each.code, each.text) for each in score_reasons)


def due_at(applied_at: datetime, jurisdiction: str) -> datetime:
    """The end of the thirtieth day after the application in the jurisdiction's zone, in UTC."""
    zone = ZoneInfo(_ZONES.get(jurisdiction, _EARLIEST))
    day_after = applied_at.astimezone(zone).date() + timedelta(days=NOTICE_DAYS + 1)
    return datetime(day_after.year, day_after.month, day_after.day, tzinfo=zone).astimezone(UTC)


def render(notice_id: str, case: NoticeCase) -> RenderedNotice:
    """The letter: the action, its principal reasons, and the applicant's rights."""
    asked = f"{case.amount_minor // 100:,}.{case.amount_minor % 100:02d} {case.currency}"
    paragraphs = [
        f"Dear {case.recipient_name},",
        f"On {case.applied_on.isoformat()} you applied for credit of {asked} "
        f"(application {case.application_id}). We are unable to grant it.",
        "The principal reasons are: " + _listed(case.reasons),
    ]
    if case.bureau_was_used:
        paragraphs.append(
            "Our decision was based in part on information from a credit bureau. The bureau did "
            "not make the decision and cannot explain it. You may ask it for a free copy of your "
            "report within 60 days and dispute what is inaccurate or incomplete."
        )
    if case.score is not None:
        paragraphs.append(
            f"We used a credit score of {case.score} on a scale from 300 to 850, computed by our "
            "own model on the day of the decision."
        )
    paragraphs.append(
        "You may ask for a review of this decision by a person, and for the information it was "
        "based on. Creditors must not discriminate on the basis of race, color, religion, "
        "national origin, sex, marital status, age, receipt of public assistance, or the exercise "
        "of consumer protection rights; you may complain to the authority that supervises us."
    )
    address = case.address
    return RenderedNotice(
        notice_id=notice_id,
        application_id=case.application_id,
        recipient_name=case.recipient_name,
        recipient_address_lines=(
            address.line1,
            f"{address.postal_code} {address.city}",
            address.country,
        ),
        subject="Your application for credit",
        paragraphs=tuple(paragraphs),
    )


def _listed(reasons: Sequence[ApplicantReason]) -> str:
    return " ".join(f"({number}) {each.text}" for number, each in enumerate(reasons, 1))
