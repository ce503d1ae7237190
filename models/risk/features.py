"""The features of the credit model: one visible list, its functions, and their explanations.

Each function's docstring is the published explanation of its feature, written for the applicant;
its last sentence says what improves it. Each feature has one direction of risk, enforced in
training as a monotone constraint, so that improving a stated reason never lowers the score.

Never features: an interest rate or grade (another lender's answer), a place of residence, a
protected attribute (15 U.S.C. 1691(a), Regulation B §1002.2(z)) or a stand-in for one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from models.domain.risk import BureauReport, CreditForm

CURRENCY: Final = "USD"
MINOR_PER_MAJOR: Final = 100
BPS_PER_PERCENT: Final = 100
# Ratios stop here: with no income they would be infinite, and beyond it they say nothing more.
MAX_LOAN_TO_INCOME: Final = 10.0
MAX_DEBT_TO_INCOME: Final = 20.0
# The training data counts whole years and knows only "ten or more" above that.
MAX_EMPLOYMENT_YEARS: Final = 10


@dataclass(frozen=True, slots=True)
class Feature:
    """One line of the model: what it reads, which way risk grows, and how it is explained.

    `direction` is +1 if a larger value means more risk, -1 if less. Features of one `group` tell
    the same story and are given as one reason, worded by the feature that weighs most.
    """

    compute: Callable[[CreditForm, BureauReport], float]
    direction: Literal[1, -1]
    group: str
    reason_code: str
    reason_text: str

    @property
    def name(self) -> str:
        return self.compute.__name__

    @property
    def explanation(self) -> str:
        return " ".join((self.compute.__doc__ or "").split())


def requested_amount(form: CreditForm, _bureau: BureauReport) -> float:
    """The amount of credit you ask for, in US dollars. A smaller loan carries less risk."""
    return form.amount_minor / MINOR_PER_MAJOR


def loan_to_income(form: CreditForm, _bureau: BureauReport) -> float:
    """The amount you ask for, divided by your yearly income. A smaller loan, or a higher income
    you can show, lowers it."""
    return min(form.amount_minor / max(form.annual_income_minor, 1), MAX_LOAN_TO_INCOME)


def annual_income(form: CreditForm, _bureau: BureauReport) -> float:
    """Your yearly income before tax, in US dollars, as you state it. A higher income carries less
    risk."""
    return form.annual_income_minor / MINOR_PER_MAJOR


def term_months(form: CreditForm, _bureau: BureauReport) -> float:
    """The number of months over which you want to repay. A shorter term carries less risk."""
    return float(form.term_months)


def employment_years(form: CreditForm, _bureau: BureauReport) -> float:
    """The full years in your present employment, counted up to ten. It improves with time in the
    same employment."""
    return float(min(form.employment_months // 12, MAX_EMPLOYMENT_YEARS))


def debt_to_income(form: CreditForm, bureau: BureauReport) -> float:
    """What you owe on all instalment loans, divided by your yearly income. Paying these loans
    down lowers it."""
    ratio = bureau.instalment_balance_minor / max(form.annual_income_minor, 1)
    return min(ratio, MAX_DEBT_TO_INCOME)


def delinquencies_2y(_form: CreditForm, bureau: BureauReport) -> float:
    """How often in the last two years a payment of yours was 30 days late or more. Paying on time
    lowers it as old entries pass out of the two years."""
    return float(bureau.delinquencies_2y)


def inquiries_6m(_form: CreditForm, bureau: BureauReport) -> float:
    """How often in the last six months lenders asked for your credit report because you applied
    for credit (cars and homes not counted). It falls as months pass without new applications."""
    return float(bureau.inquiries_6m)


def inquiries_12m(_form: CreditForm, bureau: BureauReport) -> float:
    """How often in the last twelve months lenders asked for your credit report because you
    applied for credit of any kind. It falls as months pass without new applications."""
    return float(bureau.inquiries_12m)


def revolving_utilisation(_form: CreditForm, bureau: BureauReport) -> float:
    """What you owe on credit cards and other revolving credit, in percent of your limits. Paying
    balances down lowers it."""
    return bureau.revolving_utilisation_bps / BPS_PER_PERCENT


def total_utilisation(_form: CreditForm, bureau: BureauReport) -> float:
    """What you owe on all your accounts, in percent of their limits or original amounts. Paying
    balances down lowers it."""
    return bureau.total_utilisation_bps / BPS_PER_PERCENT


def instalment_accounts_12m(_form: CreditForm, bureau: BureauReport) -> float:
    """How many instalment loans you opened in the last twelve months. It falls as months pass
    without a new loan."""
    return float(bureau.instalment_accounts_opened_12m)


def instalment_accounts_24m(_form: CreditForm, bureau: BureauReport) -> float:
    """How many instalment loans you opened in the last two years. It falls as months pass without
    a new loan."""
    return float(bureau.instalment_accounts_opened_24m)


def instalment_accounts_ever(_form: CreditForm, bureau: BureauReport) -> float:
    """How many instalment loans your credit report knows, open and closed. A longer record of
    such loans carries less risk."""
    return float(bureau.instalment_accounts_total)


FEATURES: Final[tuple[Feature, ...]] = (
    Feature(requested_amount, +1, "loan_and_income", "amount_high",
            "The amount of credit requested is high"),
    Feature(loan_to_income, +1, "loan_and_income", "income_insufficient_for_amount",
            "Income is insufficient for the amount of credit requested"),
    Feature(annual_income, -1, "loan_and_income", "income_low",
            "Stated annual income is low"),
    Feature(term_months, +1, "term", "term_long",
            "The repayment term requested is long"),
    Feature(employment_years, -1, "employment", "employment_short",
            "Time in present employment is short"),
    Feature(debt_to_income, +1, "obligations", "obligations_high",
            "Balances owed on instalment loans are high in relation to income"),
    Feature(delinquencies_2y, +1, "delinquency", "delinquency_recent",
            "Payments 30 days late or more on credit accounts in the last two years"),
    Feature(inquiries_6m, +1, "inquiries", "inquiries_6m",
            "Number of credit inquiries on the bureau report in the last six months"),
    Feature(inquiries_12m, +1, "inquiries", "inquiries_12m",
            "Number of credit inquiries on the bureau report in the last twelve months"),
    Feature(revolving_utilisation, +1, "utilisation", "utilisation_revolving",
            "Proportion of revolving balances to revolving credit limits is high"),
    Feature(total_utilisation, +1, "utilisation", "utilisation_total",
            "Proportion of balances to credit limits over all accounts is high"),
    Feature(instalment_accounts_12m, +1, "recent_accounts", "accounts_opened_12m",
            "Number of instalment loans opened in the last twelve months"),
    Feature(instalment_accounts_24m, +1, "recent_accounts", "accounts_opened_24m",
            "Number of instalment loans opened in the last two years"),
    Feature(instalment_accounts_ever, -1, "experience", "experience_limited",
            "Limited experience with instalment loans on the bureau report"),
)  # fmt: skip

FEATURE_NAMES: Final = tuple(feature.name for feature in FEATURES)
DIRECTIONS: Final = tuple(feature.direction for feature in FEATURES)


def build_features(form: CreditForm, bureau: BureauReport) -> NDArray[np.float64]:
    """The features of one application, shape (n_features,), finite, in the order of FEATURES.

    Raises ValueError if the form's money is not in US dollars (the caller converts at a recorded
    rate; nothing is converted here) or if a feature is not finite.
    """
    if form.currency != CURRENCY:
        raise ValueError(f"the model reads {CURRENCY} only")
    values = np.array([feature.compute(form, bureau) for feature in FEATURES], dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("a feature is not a finite number")
    return values
