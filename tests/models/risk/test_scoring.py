"""Scoring: direction, bounds and reasons for any applicant, and a referral for any failure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.ports.scorer import Scorer
from models.domain.risk import BureauReport, CreditForm
from models.risk import features
from models.risk.explanation import Explainer, ExplanationFailed
from models.risk.features import FEATURES
from models.risk.scoring import CreditScorer, LoadedModel, UnavailableScorer
from models.risk.trees import FlatTrees

forms = st.builds(
    CreditForm,
    amount_minor=st.integers(50_000, 4_000_000),
    currency=st.just("USD"),
    term_months=st.integers(6, 60),
    annual_income_minor=st.integers(0, 60_000_000),
    employment_months=st.integers(0, 240),
)


@st.composite
def reports(draw: st.DrawFn) -> BureauReport:
    opened = sorted(draw(st.lists(st.integers(0, 25), min_size=3, max_size=3)))
    return BureauReport(
        report_id="drawn",
        delinquencies_2y=draw(st.integers(0, 10)),
        inquiries_6m=draw(st.integers(0, 8)),
        inquiries_12m=draw(st.integers(0, 20)),
        revolving_utilisation_bps=draw(st.integers(0, 15_000)),
        total_utilisation_bps=draw(st.integers(0, 15_000)),
        instalment_accounts_opened_12m=opened[0],
        instalment_accounts_opened_24m=opened[1],
        instalment_accounts_total=opened[2],
        instalment_balance_minor=draw(st.integers(0, 20_000_000)),
    )


# Per reason group: what an applicant would have to change, and the best it could become.
BEST: dict[str, dict[str, int]] = {
    "loan_and_income": {"amount_minor": 50_000, "annual_income_minor": 500_000_000},
    "term": {"term_months": 6},
    "employment": {"employment_months": 240},
    "obligations": {"instalment_balance_minor": 0},
    "delinquency": {"delinquencies_2y": 0},
    "inquiries": {"inquiries_6m": 0, "inquiries_12m": 0},
    "utilisation": {"revolving_utilisation_bps": 0, "total_utilisation_bps": 0},
    "recent_accounts": {"instalment_accounts_opened_12m": 0, "instalment_accounts_opened_24m": 0},
    "experience": {"instalment_accounts_total": 100},
}
# Fields of which more is better; of all others less is better.
MORE_IS_BETTER = {"annual_income_minor", "employment_months", "instalment_accounts_total"}


def changed(
    form: CreditForm, report: BureauReport, changes: dict[str, int]
) -> tuple[CreditForm, BureauReport]:
    on_form = {name: value for name, value in changes.items() if hasattr(form, name)}
    on_report = {name: value for name, value in changes.items() if hasattr(report, name)}
    assert on_form.keys() | on_report.keys() == changes.keys()
    return replace(form, **on_form), replace(report, **on_report)


@settings(deadline=None)
@given(
    form=forms,
    report=reports(),
    field=st.sampled_from(sorted(name for changes in BEST.values() for name in changes)),
    share=st.floats(0, 1),
)
def test_improving_any_input_never_lowers_the_score(
    scorer: CreditScorer, form: CreditForm, report: BureauReport, field: str, share: float
) -> None:
    before = getattr(form, field, None)
    now = int(before if before is not None else getattr(report, field))
    if field in MORE_IS_BETTER:
        better = now + round(share * 100)
        if field == "annual_income_minor":
            better = now + round(share * 50_000_000)
    else:
        least = {"amount_minor": 1, "term_months": 1}.get(field, 0)
        if field == "instalment_accounts_opened_24m":
            least = report.instalment_accounts_opened_12m
        better = least + int(share * (now - least))
    improved = scorer.score(*changed(form, report, {field: better}))
    assert improved.score_unclipped >= scorer.score(form, report).score_unclipped


@settings(deadline=None)
@given(form=forms, report=reports())
def test_every_stated_reason_is_one_whose_improvement_raises_the_score(
    scorer: CreditScorer, form: CreditForm, report: BureauReport
) -> None:
    assessment = scorer.score(form, report)
    groups = {feature.reason_code: feature.group for feature in FEATURES}
    assert len({groups[reason.code] for reason in assessment.reasons}) == len(assessment.reasons)
    for reason in assessment.reasons:
        better = scorer.score(*changed(form, report, BEST[groups[reason.code]]))
        assert better.score_unclipped > assessment.score_unclipped, reason.code


@settings(deadline=None)
@given(form=forms, report=reports())
def test_any_applicant_in_range_is_scored_within_bounds(
    scorer: CreditScorer, form: CreditForm, report: BureauReport
) -> None:
    assessment = scorer.score(form, report)
    assert assessment.outcome == "scored"
    assert 300 <= assessment.score <= 850
    assert 0 < assessment.pd < 1
    assert len(assessment.reasons) <= 4
    impacts = [reason.impact_points for reason in assessment.reasons]
    assert impacts == sorted(impacts, reverse=True)
    assert scorer.score(form, report) == assessment


def test_a_prime_borrower(
    scorer: CreditScorer, prime_form: CreditForm, prime_report: BureauReport
) -> None:
    assessment = scorer.score(prime_form, prime_report)
    assert assessment.pd == pytest.approx(0.0139, abs=5e-5)
    assert assessment.score == 711
    assert assessment.confidence == 1.0
    assert assessment.reasons == ()
    assert assessment.model_version == scorer.version == "credit-v1"


def test_a_strained_borrower_and_the_reasons_in_order(
    scorer: CreditScorer, strained_form: CreditForm, strained_report: BureauReport
) -> None:
    assessment = scorer.score(strained_form, strained_report)
    assert assessment.pd == pytest.approx(0.4196, abs=5e-5)
    assert assessment.score == 428
    assert assessment.confidence < 1
    assert [(reason.code, reason.text) for reason in assessment.reasons] == [
        (
            "accounts_opened_12m",
            "Number of instalment loans opened in the last twelve months",
        ),
        (
            "income_insufficient_for_amount",
            "Income is insufficient for the amount of credit requested",
        ),
        (
            "inquiries_6m",
            "Number of credit inquiries on the bureau report in the last six months",
        ),
        ("employment_short", "Time in present employment is short"),
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"currency": "EUR"}, "input_not_scorable"),
        ({"amount_minor": 4_000_001}, "outside_model_range"),
        ({"term_months": 61}, "outside_model_range"),
    ],
)
def test_what_the_model_has_not_seen_goes_to_a_person(
    changes: dict[str, Any],
    reason: str,
    scorer: CreditScorer,
    prime_form: CreditForm,
    prime_report: BureauReport,
) -> None:
    assessment = scorer.score(replace(prime_form, **changes), prime_report)
    assert (assessment.outcome, assessment.reason_referred) == ("referred", reason)
    assert (assessment.pd, assessment.score, assessment.reasons) == (1.0, 300, ())


class NotANumberTrees(FlatTrees):
    def margins(self, features: Any) -> Any:
        return np.full(features.shape[0], np.nan)


class CertainTrees(FlatTrees):
    """So sure that the PD is rounded to zero."""

    def margins(self, features: Any) -> Any:
        return np.full(features.shape[0], -1e6)


class UnfaithfulExplainer(Explainer):
    def contributions(self, features: Any) -> Any:
        raise ExplanationFailed("planted")


class BrokenExplainer(Explainer):
    def contributions(self, features: Any) -> Any:
        raise MemoryError("planted")


@pytest.mark.parametrize("kind", [NotANumberTrees, CertainTrees])
def test_a_margin_that_is_no_usable_number_goes_to_a_person(
    kind: type[FlatTrees],
    model: LoadedModel,
    prime_form: CreditForm,
    prime_report: BureauReport,
) -> None:
    trees = kind.from_arrays(model.trees.arrays())
    assessment = CreditScorer(replace(model, trees=trees)).score(prime_form, prime_report)
    assert (assessment.outcome, assessment.reason_referred) == ("referred", "scoring_failed")
    assert (assessment.pd, assessment.score, assessment.reasons) == (1.0, 300, ())


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (UnfaithfulExplainer, "explanation_inconsistent"),
        (BrokenExplainer, "scoring_failed"),
    ],
)
def test_a_score_without_reasons_goes_to_a_person(
    kind: type[Explainer],
    reason: str,
    model: LoadedModel,
    prime_form: CreditForm,
    prime_report: BureauReport,
) -> None:
    broken = replace(model, explainer=kind(model.trees))
    assessment = CreditScorer(broken).score(prime_form, prime_report)
    assert (assessment.outcome, assessment.reason_referred) == ("referred", reason)


def test_a_nan_feature_goes_to_a_person(
    scorer: CreditScorer,
    prime_form: CreditForm,
    prime_report: BureauReport,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = replace(FEATURES[0], compute=lambda _form, _bureau: float("nan"))
    monkeypatch.setattr(features, "FEATURES", (broken, *FEATURES[1:]))
    assessment = scorer.score(prime_form, prime_report)
    assert (assessment.outcome, assessment.reason_referred) == ("referred", "input_not_scorable")


def test_a_failure_s_message_is_not_logged(
    model: LoadedModel,
    prime_form: CreditForm,
    prime_report: BureauReport,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = replace(model, explainer=BrokenExplainer(model.trees))
    CreditScorer(broken).score(prime_form, prime_report)
    assert "MemoryError" in caplog.text
    assert "planted" not in caplog.text


def test_without_a_model_everybody_goes_to_a_person(
    prime_form: CreditForm, prime_report: BureauReport
) -> None:
    scorer: Scorer = UnavailableScorer()
    assessment = scorer.score(prime_form, prime_report)
    assert (assessment.outcome, assessment.reason_referred) == ("referred", "model_unavailable")
    assert (assessment.pd, assessment.score) == (1.0, 300)
    assert assessment.model_version == scorer.version == "unavailable"
