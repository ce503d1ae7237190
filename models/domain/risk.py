"""Credit risk in numbers: what is scored, what the bureau says, and what the model answers.

Standard library only: these values travel through workflows. Money is integer minor units, shares
are integer basis points, probabilities are floats. Every value checks itself: ValueError names the
field that is wrong, never its content.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final, Literal

from models.domain.money import MAX_AMOUNT_MINOR

# Points: 50 double the odds (50 / ln 2 = 72.13), 600 stands at odds of 15 good to 1 bad.
SCORE_OFFSET: Final = 404.7
POINTS_PER_LOG_ODDS: Final = 72.13
SCORE_MIN: Final = 300
SCORE_MAX: Final = 850
MAX_REASONS: Final = 4  # Regulation B, official interpretation of §1002.9(b)(2): more do not help

MAX_TERM_MONTHS: Final = 480
MAX_EMPLOYMENT_MONTHS: Final = 1_200
MAX_COUNT: Final = 10_000  # accounts, inquiries: beyond any real file, small enough for a float
MAX_UTILISATION_BPS: Final = 100_000  # ten times the limit
MAX_MONEY_MINOR: Final = 100_000_000_000_000  # a balance or income of 10^12 major units

Outcome = Literal["scored", "referred"]

_CURRENCY = re.compile(r"[A-Z]{3}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class CreditForm:
    """What the applicant states about the loan and about income: all the model sees of the form."""

    amount_minor: int
    currency: str  # ISO 4217, of both money fields
    term_months: int
    annual_income_minor: int
    employment_months: int  # in the present employment; 0 without one

    def __post_init__(self) -> None:
        _integer("amount_minor", self.amount_minor, 1, MAX_AMOUNT_MINOR)
        _integer("term_months", self.term_months, 1, MAX_TERM_MONTHS)
        _integer("annual_income_minor", self.annual_income_minor, 0, MAX_MONEY_MINOR)
        _integer("employment_months", self.employment_months, 0, MAX_EMPLOYMENT_MONTHS)
        if not isinstance(self.currency, str) or not _CURRENCY.fullmatch(self.currency):
            raise ValueError("currency is three capital letters (ISO 4217)")


@dataclass(frozen=True, slots=True)
class BureauReport:
    """One credit report, reduced to the facts the model and the rules may use. Money is in USD."""

    report_id: str
    delinquencies_2y: int  # payments 30 days late or more in the last 24 months
    inquiries_6m: int  # credit inquiries in 6 months, those for cars and homes left out
    inquiries_12m: int  # credit inquiries in 12 months, of every kind
    revolving_utilisation_bps: int  # revolving balance to revolving limit
    total_utilisation_bps: int  # balance to limit over all accounts
    instalment_accounts_opened_12m: int
    instalment_accounts_opened_24m: int  # includes those of the last 12 months
    instalment_accounts_total: int  # ever opened
    instalment_balance_minor: int  # owed on all instalment accounts

    def __post_init__(self) -> None:
        if not isinstance(self.report_id, str) or not 1 <= len(self.report_id) <= 200:
            raise ValueError("report_id is 1 to 200 characters")
        _integer("delinquencies_2y", self.delinquencies_2y, 0, MAX_COUNT)
        _integer("inquiries_6m", self.inquiries_6m, 0, MAX_COUNT)
        _integer("inquiries_12m", self.inquiries_12m, 0, MAX_COUNT)
        for name in ("revolving_utilisation_bps", "total_utilisation_bps"):
            _integer(name, getattr(self, name), 0, MAX_UTILISATION_BPS)
        _integer("instalment_balance_minor", self.instalment_balance_minor, 0, MAX_MONEY_MINOR)
        total = "instalment_accounts_total"
        _integer(total, self.instalment_accounts_total, 0, MAX_COUNT)
        # Each count contains the one before it; a report that denies this is a broken report.
        opened_24m = "instalment_accounts_opened_24m"
        _integer(opened_24m, self.instalment_accounts_opened_24m, 0, self.instalment_accounts_total)
        opened_12m = "instalment_accounts_opened_12m"
        _integer(
            opened_12m, self.instalment_accounts_opened_12m, 0, self.instalment_accounts_opened_24m
        )


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a score is not higher: a principal reason (Regulation B §1002.9(b)(2))."""

    code: str  # published, never reused
    text: str  # for the applicant
    feature: str  # the feature that weighed most within the reason
    impact_points: float  # points lost against the average loan of the training data; above 0

    def __post_init__(self) -> None:
        if not (self.code and self.text and self.feature):
            raise ValueError("a reason has a code, a text and a feature")
        if not (math.isfinite(self.impact_points) and self.impact_points > 0):
            raise ValueError("impact_points is finite and above zero: a reason lowers the score")


@dataclass(frozen=True, slots=True)
class Assessment:
    """The model's answer for one application.

    `scored`: `pd` in (0, 1) and `score` are the model's. `referred`: the model gave no answer; the
    numbers are then the worst there are (PD 1, score 300, confidence 0, no reasons), so that a rule
    which forgets to look at `outcome` can still never approve. Build one with `refer`.
    """

    pd: float  # probability of default as the model card defines it
    score: int  # 300..850
    score_unclipped: float  # the same before clipping and rounding
    reasons: tuple[Reason, ...]  # up to four, the heaviest first
    model_version: str
    model_sha256: str  # of the model file; empty only when no model was loaded
    outcome: Outcome
    reason_referred: str | None  # a code; None when scored
    confidence: float  # 0..1, the share of features inside the range the model has seen

    def __post_init__(self) -> None:
        for name in ("pd", "score_unclipped", "confidence"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} is finite")
        if not 0 <= self.confidence <= 1:
            raise ValueError("confidence is between 0 and 1")
        if not self.model_version:
            raise ValueError("model_version names a model")
        if self.outcome == "scored":
            self._check_scored()
        elif self.outcome == "referred":
            self._check_referred()
        else:
            raise ValueError("outcome is scored or referred")

    def _check_scored(self) -> None:
        if not 0 < self.pd < 1:
            raise ValueError("pd is strictly between 0 and 1")
        if abs(self.score_unclipped - unclipped_score(self.pd)) > 1e-6:
            raise ValueError("score_unclipped follows from pd")
        _integer("score", self.score, SCORE_MIN, SCORE_MAX)
        if self.score != clipped_score(self.score_unclipped):
            raise ValueError("score follows from score_unclipped")
        if self.reason_referred is not None:
            raise ValueError("a scored assessment has no reason to refer")
        if not _SHA256.fullmatch(self.model_sha256):
            raise ValueError("model_sha256 is 64 hexadecimal digits")
        impacts = [reason.impact_points for reason in self.reasons]
        if len(impacts) > MAX_REASONS or impacts != sorted(impacts, reverse=True):
            raise ValueError("there are at most four reasons, the heaviest first")

    def _check_referred(self) -> None:
        worst = (1.0, SCORE_MIN, float(SCORE_MIN), 0.0)
        if (self.pd, self.score, self.score_unclipped, self.confidence) != worst or self.reasons:
            raise ValueError("a referred assessment carries the worst numbers and no reasons")
        if not self.reason_referred:
            raise ValueError("a referral has a reason")
        if self.model_sha256 and not _SHA256.fullmatch(self.model_sha256):
            raise ValueError("model_sha256 is 64 hexadecimal digits or empty")

    @classmethod
    def refer(cls, reason: str, *, model_version: str, model_sha256: str) -> Assessment:
        """No answer from the model: a person decides; the numbers are the worst there are."""
        return cls(
            pd=1.0,
            score=SCORE_MIN,
            score_unclipped=float(SCORE_MIN),
            reasons=(),
            model_version=model_version,
            model_sha256=model_sha256,
            outcome="referred",
            reason_referred=reason,
            confidence=0.0,
        )


def unclipped_score(pd: float) -> float:
    """404.7 + 72.13 · ln((1 − PD) / PD): 600 at odds of 15:1, 50 points double the odds.

    Raises ValueError unless 0 < pd < 1.
    """
    if not 0 < pd < 1:
        raise ValueError("pd is strictly between 0 and 1")
    return SCORE_OFFSET + POINTS_PER_LOG_ODDS * math.log((1 - pd) / pd)


def clipped_score(score_unclipped: float) -> int:
    """The published score, 300..850, rounded down: nobody passes a limit by the rounding.

    Raises ValueError for NaN and infinities.
    """
    if not math.isfinite(score_unclipped):
        raise ValueError("score_unclipped is finite")
    return max(SCORE_MIN, min(SCORE_MAX, math.floor(score_unclipped)))


def _integer(name: str, value: object, low: int, high: int) -> None:
    """Refuses booleans, floats and everything outside low..high."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} is an integer")
    if not low <= value <= high:
        raise ValueError(f"{name} is between {low} and {high}")
