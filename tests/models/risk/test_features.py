"""Features: hand-computed values, published explanations, and nothing that must not be there."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from models.domain.risk import BureauReport, CreditForm
from models.risk import features
from models.risk.features import DIRECTIONS, FEATURE_NAMES, FEATURES, build_features

FORBIDDEN_WORDS = (
    "rate", "grade", "state", "zip", "postal", "address", "city", "country", "geo",
    "age", "birth", "sex", "gender", "race", "ethnic", "colour", "color", "religion", "nation",
    "marital", "child", "name", "language", "disab", "assistance",
)  # fmt: skip


def test_features_by_hand(strained_form: CreditForm, strained_report: BureauReport) -> None:
    values = dict(zip(FEATURE_NAMES, build_features(strained_form, strained_report), strict=True))
    assert values == {
        "requested_amount": 35_000.0,
        "loan_to_income": 1.09375,
        "annual_income": 32_000.0,
        "term_months": 60.0,
        "employment_years": 0.0,
        "debt_to_income": 1.71875,
        "delinquencies_2y": 3.0,
        "inquiries_6m": 4.0,
        "inquiries_12m": 9.0,
        "revolving_utilisation": 92.0,
        "total_utilisation": 95.0,
        "instalment_accounts_12m": 4.0,
        "instalment_accounts_24m": 6.0,
        "instalment_accounts_ever": 7.0,
    }


@pytest.mark.parametrize(("months", "years"), [(0, 0), (11, 0), (12, 1), (119, 9), (600, 10)])
def test_employment_counts_full_years_up_to_ten(
    months: int, years: int, prime_form: CreditForm, prime_report: BureauReport
) -> None:
    form = replace(prime_form, employment_months=months)
    values = build_features(form, prime_report)
    assert values[FEATURE_NAMES.index("employment_years")] == years


def test_no_income_gives_the_highest_ratios(
    prime_form: CreditForm, prime_report: BureauReport
) -> None:
    values = build_features(replace(prime_form, annual_income_minor=0), prime_report)
    assert values[FEATURE_NAMES.index("loan_to_income")] == 10.0
    assert values[FEATURE_NAMES.index("debt_to_income")] == 20.0


def test_other_currencies_are_refused(prime_form: CreditForm, prime_report: BureauReport) -> None:
    with pytest.raises(ValueError, match="USD"):
        build_features(replace(prime_form, currency="EUR"), prime_report)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_feature_that_is_no_number_is_refused(
    value: float,
    prime_form: CreditForm,
    prime_report: BureauReport,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = replace(FEATURES[0], compute=lambda _form, _bureau: value)
    monkeypatch.setattr(features, "FEATURES", (broken, *FEATURES[1:]))
    with pytest.raises(ValueError, match="finite"):
        build_features(prime_form, prime_report)


def test_shape_and_type(prime_form: CreditForm, prime_report: BureauReport) -> None:
    values = build_features(prime_form, prime_report)
    assert values.shape == (len(FEATURES),)
    assert values.dtype == np.float64


def test_nothing_forbidden_is_a_feature() -> None:
    words = [word for name in FEATURE_NAMES for word in name.split("_")]
    assert not [word for word in words if word in FORBIDDEN_WORDS]
    assert not {"int_rate", "sub_grade", "addr_state"} & set(FEATURE_NAMES)


def test_every_feature_is_published_in_full() -> None:
    assert len(set(FEATURE_NAMES)) == len(FEATURES)
    assert len({feature.reason_code for feature in FEATURES}) == len(FEATURES)
    assert set(DIRECTIONS) <= {1, -1}
    for feature in FEATURES:
        # What it measures, and what improves it: two sentences at least.
        assert feature.explanation.count(". ") >= 1, feature.name
        assert feature.explanation.endswith(".")
        assert feature.reason_text[0].isupper()
        assert not feature.reason_text.endswith(".")
