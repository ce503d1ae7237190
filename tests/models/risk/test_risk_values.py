"""The values of credit risk: they refuse what cannot be, and the score follows its formula."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter

from models.domain.risk import (
    Assessment,
    BureauReport,
    CreditForm,
    Reason,
    clipped_score,
    unclipped_score,
)

SHA = "0" * 64


def scored(**changes: Any) -> Assessment:
    values: dict[str, Any] = {
        "pd": 1 / 16,
        "score": 600,
        "score_unclipped": unclipped_score(1 / 16),
        "reasons": (Reason("term_long", "The term is long", "term_months", 12.5),),
        "model_version": "credit-v1",
        "model_sha256": SHA,
        "outcome": "scored",
        "reason_referred": None,
        "confidence": 1.0,
    }
    return Assessment(**{**values, **changes})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount_minor", 0),
        ("amount_minor", -1),
        ("amount_minor", 2**256),
        ("amount_minor", 1_000.0),
        ("amount_minor", True),
        ("amount_minor", math.nan),
        ("currency", "usd"),
        ("currency", "US"),
        ("currency", "USD\n"),
        ("currency", None),
        ("term_months", 0),
        ("term_months", 481),
        ("annual_income_minor", -1),
        ("annual_income_minor", "1000"),
        ("employment_months", -1),
        ("employment_months", 1_201),
    ],
)
def test_a_form_refuses(field: str, value: object, prime_form: CreditForm) -> None:
    with pytest.raises(ValueError, match=field):
        replace(prime_form, **{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("report_id", ""),
        ("report_id", "x" * 201),
        ("delinquencies_2y", -1),
        ("inquiries_6m", 10_001),
        ("inquiries_12m", 1.5),
        ("revolving_utilisation_bps", -1),
        ("revolving_utilisation_bps", 100_001),
        ("total_utilisation_bps", math.inf),
        ("instalment_accounts_opened_12m", 1),  # more than in 24 months
        ("instalment_accounts_opened_24m", 9),  # more than ever
        ("instalment_accounts_total", -1),
        ("instalment_balance_minor", -1),
        ("instalment_balance_minor", False),
    ],
)
def test_a_report_refuses(field: str, value: object, prime_report: BureauReport) -> None:
    with pytest.raises(ValueError, match=field):
        replace(prime_report, **{field: value})


@pytest.mark.parametrize("impact", [0.0, -1.0, math.nan, math.inf])
def test_a_reason_lowers_the_score(impact: float) -> None:
    with pytest.raises(ValueError, match="impact_points"):
        Reason("term_long", "The term is long", "term_months", impact)


@pytest.mark.parametrize(
    "changes",
    [
        {"pd": 0.0},
        {"pd": 1.0},
        {"pd": math.nan},
        {"score": 601},
        {"score_unclipped": 600.5},
        {"score_unclipped": math.nan},
        {"confidence": 1.1},
        {"confidence": math.nan},
        {"model_sha256": ""},
        {"model_version": ""},
        {"outcome": "approved"},
        {"outcome": "referred"},
        {"reason_referred": "scoring_failed"},
        {"reasons": (Reason("a", "a", "a", 1.0), Reason("b", "b", "b", 2.0))},
        {"reasons": (Reason("a", "a", "a", 1.0),) * 5},
    ],
)
def test_an_assessment_refuses(changes: dict[str, Any]) -> None:
    scored()
    with pytest.raises(ValueError, match=r".+"):
        scored(**changes)


def test_a_referral_carries_the_worst_numbers() -> None:
    referral = Assessment.refer("model_unavailable", model_version="none", model_sha256="")
    assert (referral.pd, referral.score, referral.confidence) == (1.0, 300, 0.0)
    for better in ({"pd": 0.01}, {"score": 700}, {"confidence": 1.0}, {"reason_referred": None}):
        with pytest.raises(ValueError, match="refer"):
            replace(referral, **better)


@pytest.mark.parametrize(
    ("pd", "unclipped", "score"),
    [
        # ln 15 = 2.708050, times 72.13 = 195.332
        (1 / 16, 600.032, 600),
        # ln 30 = 3.401197: twice the odds, 49.997 points more
        (1 / 31, 650.028, 650),
        (1 / 61, 700.025, 700),
        (1 / 2, 404.7, 404),
        (0.81, 300.111, 300),
        (0.9, 246.213, 300),
        (0.0021, 849.289, 849),
        (0.0001, 1069.033, 850),
    ],
)
def test_scores_by_hand(pd: float, unclipped: float, score: int) -> None:
    assert unclipped_score(pd) == pytest.approx(unclipped, abs=5e-3)
    assert clipped_score(unclipped_score(pd)) == score


@pytest.mark.parametrize(("value", "score"), [(599.999, 599), (600.0, 600), (-1e9, 300)])
def test_scores_are_rounded_down(value: float, score: int) -> None:
    assert clipped_score(value) == score


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_score_without_a_number(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        clipped_score(value)
    with pytest.raises(ValueError, match="strictly"):
        unclipped_score(value)


@pytest.mark.parametrize("kind", ["form", "report", "scored", "referred"])
async def test_values_travel_through_temporal(
    kind: str, prime_form: CreditForm, prime_report: BureauReport
) -> None:
    value = {
        "form": prime_form,
        "report": prime_report,
        "scored": scored(),
        "referred": Assessment.refer("scoring_failed", model_version="v", model_sha256=SHA),
    }[kind]
    payloads = await pydantic_data_converter.encode([value])
    assert await pydantic_data_converter.decode(payloads, [type(value)]) == [value]


def test_the_model_sees_nothing_else_of_a_person() -> None:
    assert {field.name for field in fields(CreditForm)} == {
        "amount_minor",
        "currency",
        "term_months",
        "annual_income_minor",
        "employment_months",
    }
    assert {field.name for field in fields(BureauReport)} == {
        "report_id",
        "delinquencies_2y",
        "inquiries_6m",
        "inquiries_12m",
        "revolving_utilisation_bps",
        "total_utilisation_bps",
        "instalment_accounts_opened_12m",
        "instalment_accounts_opened_24m",
        "instalment_accounts_total",
        "instalment_balance_minor",
    }


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("models.domain.risk", {"numpy", "scipy", "sklearn", "shap", "pandas", "pydantic"}),
        ("activities.ports.scorer", {"numpy", "scipy", "sklearn", "shap", "pandas", "pydantic"}),
        ("models.risk.scoring", {"sklearn", "shap", "pandas", "numba"}),
    ],
)
def test_importing_stays_cheap(module: str, heavy: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert module in result.stdout.split()
    assert not heavy & set(result.stdout.split())
