"""One loaded model for the session: importing the explainer takes seconds."""

from __future__ import annotations

import pytest

from models.domain.risk import BureauReport, CreditForm
from models.risk.scoring import CreditScorer, LoadedModel


@pytest.fixture(scope="session")
def model() -> LoadedModel:
    return LoadedModel.load()


@pytest.fixture(scope="session")
def scorer(model: LoadedModel) -> CreditScorer:
    return CreditScorer(model)


@pytest.fixture
def prime_form() -> CreditForm:
    return CreditForm(
        amount_minor=1_000_000,
        currency="USD",
        term_months=36,
        annual_income_minor=9_500_000,
        employment_months=96,
    )


@pytest.fixture
def prime_report() -> BureauReport:
    return BureauReport(
        report_id="prime",
        delinquencies_2y=0,
        inquiries_6m=0,
        inquiries_12m=1,
        revolving_utilisation_bps=1_800,
        total_utilisation_bps=3_000,
        instalment_accounts_opened_12m=0,
        instalment_accounts_opened_24m=0,
        instalment_accounts_total=8,
        instalment_balance_minor=1_200_000,
    )


@pytest.fixture
def strained_form() -> CreditForm:
    return CreditForm(
        amount_minor=3_500_000,
        currency="USD",
        term_months=60,
        annual_income_minor=3_200_000,
        employment_months=4,
    )


@pytest.fixture
def strained_report() -> BureauReport:
    return BureauReport(
        report_id="strained",
        delinquencies_2y=3,
        inquiries_6m=4,
        inquiries_12m=9,
        revolving_utilisation_bps=9_200,
        total_utilisation_bps=9_500,
        instalment_accounts_opened_12m=4,
        instalment_accounts_opened_24m=6,
        instalment_accounts_total=7,
        instalment_balance_minor=5_500_000,
    )
