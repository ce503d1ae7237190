"""The names rules may use, what each stands for, and how it is read from the facts.

Money is in whole major units of the rule's currency. Amounts asked for are rounded up and incomes
down: whatever is lost by rounding is lost by the applicant, never by a limit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from fractions import Fraction
from typing import Final

from models.domain.decision import BureauEvidence, Facts, ReasonCode, SettlementKind
from models.domain.kyc import KYCStatus
from models.domain.risk import MAX_TERM_MONTHS, SCORE_MAX, SCORE_MIN
from models.domain.screening import ScreeningStatus
from models.policy.fx import RateTable, RateUnavailable

_INT64_MAX: Final = 2**63 - 1  # CEL's integers
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


class Kind(Enum):
    """Kinds of values in rules; CEL silently calls values of different kinds unequal."""

    TEXT = "text"
    INTEGER = "integer"
    REAL = "real"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class FactSpec:
    """A name's kind and, where it is one of a few words, those words."""

    kind: Kind
    words: frozenset[str] | None = None


def _words(members: type[StrEnum]) -> FactSpec:
    return FactSpec(Kind.TEXT, frozenset(member.name for member in members))


FACTS: Final[Mapping[str, FactSpec]] = {
    "transaction.amount": FactSpec(Kind.INTEGER),
    "transaction.currency": FactSpec(Kind.TEXT),
    "transaction.type": _words(SettlementKind),
    "user.jurisdiction": FactSpec(Kind.TEXT),
    "user.sanctionStatus": _words(ScreeningStatus),
    "user.kycStatus": _words(KYCStatus),
    "user.age": FactSpec(Kind.INTEGER),
    "asset.emtAuthorised": FactSpec(Kind.FLAG),
    "score.value": FactSpec(Kind.INTEGER),
    "score.pd": FactSpec(Kind.REAL),
    "score.outcome": FactSpec(Kind.TEXT, frozenset({"SCORED", "REFERRED"})),
    "evidence.bureau": _words(BureauEvidence),
    "applicant.annualIncome": FactSpec(Kind.INTEGER),
    "loan.termMonths": FactSpec(Kind.INTEGER),
}

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Missing:
    """A fact that is not known or makes no sense, and the reason a rule that needs it gives."""

    reason: ReasonCode = ReasonCode.EVIDENCE_MISSING


Reading = Value | Missing


def is_country(country: object) -> bool:
    """Whether it has the form of an ISO 3166-1 alpha-2 code."""
    return isinstance(country, str) and _COUNTRY.fullmatch(country) is not None


def readings(facts: Facts, currency: str, rates: RateTable) -> dict[str, Reading]:
    """Every name of FACTS with its value, money in whole units of `currency`.

    What is absent, not finite or out of range is Missing: rules never see a value that is no fact.
    """
    read: dict[str, Reading] = {
        "transaction.amount": _amount(facts, currency, rates),
        "transaction.currency": facts.currency if _is_currency(facts) else Missing(),
        "transaction.type": _word(facts.settlement, SettlementKind),
        "user.jurisdiction": facts.country if is_country(facts.country) else Missing(),
        "user.sanctionStatus": _sanction_status(facts),
        "user.kycStatus": _word(facts.kyc_status, KYCStatus),
        "user.age": _integer(facts.age_years, 0, 150),
        "asset.emtAuthorised": _flag(facts.emt_authorised),
        "evidence.bureau": _word(facts.bureau, BureauEvidence),
        "applicant.annualIncome": _income(facts, currency, rates),
        "loan.termMonths": _integer(facts.term_months, 1, MAX_TERM_MONTHS),
    }
    return read | _score(facts)


def _score(facts: Facts) -> dict[str, Reading]:
    """A referred assessment carries the worst numbers there are; not facts."""
    if facts.score_outcome == "referred":
        unknown = Missing(ReasonCode.MODEL_UNAVAILABLE)
        return {"score.outcome": "REFERRED", "score.value": unknown, "score.pd": unknown}
    return {
        "score.outcome": "SCORED" if facts.score_outcome == "scored" else Missing(),
        "score.value": _integer(facts.score, SCORE_MIN, SCORE_MAX),
        "score.pd": _probability(facts.pd),
    }


def _sanction_status(facts: Facts) -> Reading:
    """Without a reliable answer there is no status: a person looks, nobody is blocked for it."""
    status = facts.sanction_status
    if not isinstance(status, ScreeningStatus) or status is ScreeningStatus.UNAVAILABLE:
        return Missing(ReasonCode.SCREENING_UNAVAILABLE)
    return status.name


def _amount(facts: Facts, currency: str, rates: RateTable) -> Reading:
    """Rounded up, against the applicant: an amount one cent above a limit is above it."""
    if not _is_integer(facts.amount_minor, 1, _INT64_MAX):
        return Missing()
    return _money(facts.amount_minor, facts, currency, rates, math.ceil)


def _income(facts: Facts, currency: str, rates: RateTable) -> Reading:
    """Rounded down, against the applicant: an income one cent below a bound is below it."""
    income = facts.annual_income_minor
    if income is None or not _is_integer(income, 0, _INT64_MAX):
        return Missing()
    return _money(income, facts, currency, rates, math.floor)


def _money(
    amount_minor: int,
    facts: Facts,
    currency: str,
    rates: RateTable,
    rounded: Callable[[Fraction], int],
) -> Reading:
    """Whole units of the rule's currency; Missing without a rate, or beyond CEL's integers."""
    if not _is_currency(facts):
        return Missing()
    try:
        value = rounded(rates.major_units(amount_minor, facts.currency, currency))
    except RateUnavailable:
        return Missing(ReasonCode.RATE_UNAVAILABLE)
    return value if value <= _INT64_MAX else Missing()


def _is_currency(facts: Facts) -> bool:
    return isinstance(facts.currency, str) and _CURRENCY.fullmatch(facts.currency) is not None


def _word(value: object, members: type[StrEnum]) -> Reading:
    return value.name if isinstance(value, members) else Missing()


def _flag(value: object) -> Reading:
    return value if isinstance(value, bool) else Missing()


def _is_integer(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _integer(value: int | None, low: int, high: int) -> Reading:
    return value if value is not None and _is_integer(value, low, high) else Missing()


def _probability(value: object) -> Reading:
    """A float in [0, 1]; NaN compares with nothing and is therefore Missing."""
    return value if isinstance(value, float) and 0.0 <= value <= 1.0 else Missing()
