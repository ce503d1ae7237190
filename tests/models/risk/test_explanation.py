"""Contributions: hand-computed, complete, and refused when they do not add up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from models.domain.risk import POINTS_PER_LOG_ODDS
from models.risk.explanation import Explainer, ExplanationFailed, principal_reasons
from models.risk.features import FEATURE_NAMES, FEATURES
from models.risk.scoring import LoadedModel
from models.risk.trees import FlatTrees

WIDTH = len(FEATURES)


def one_tree() -> FlatTrees:
    """x0 <= 5 ? (x1 <= 2 ? 0 : 1) : 3, with 50, 30 and 20 training loans; margin starts at -3."""
    return FlatTrees(
        roots=np.array([0], dtype=np.int32),
        left=np.array([1, 2, -1, -1, -1], dtype=np.int32),
        right=np.array([4, 3, -1, -1, -1], dtype=np.int32),
        feature=np.array([0, 1, 0, 0, 0], dtype=np.int32),
        threshold=np.array([5.0, 2.0, 0.0, 0.0, 0.0]),
        missing_left=np.zeros(5, dtype=np.bool_),
        value=np.array([0.0, 0.0, 0.0, 1.0, 3.0]),
        weight=np.array([100.0, 80.0, 50.0, 30.0, 20.0]),
        base_margin=-3.0,
    )


def row(first: float, second: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    values = np.zeros(WIDTH)
    values[:2] = first, second
    return values


@pytest.mark.parametrize(
    ("features", "first", "second"),
    [
        # Knowing nothing: 0.9. Left known: 0.375. x1 high known: 0.8 · 1 + 0.2 · 3 = 1.4.
        # Both known: 1. First = ((0.375 - 0.9) + (1 - 1.4)) / 2, second = (0.5 + 0.625) / 2.
        (row(1.0, 3.0), -0.4625, 0.5625),
        # x1 low known: 0.2 · 3 = 0.6; both known: 0.
        (row(1.0, 1.0), -0.5625, -0.3375),
        # Right known: 3 whatever x1 is. First = ((3 - 0.9) + (3 - 1.4)) / 2.
        (row(9.0, 3.0), 1.85, 0.25),
    ],
)
def test_contributions_by_hand(
    features: np.ndarray[Any, np.dtype[np.float64]], first: float, second: float
) -> None:
    explainer = Explainer(one_tree())
    assert explainer.baseline_margin == pytest.approx(-2.1)
    expected = np.zeros(WIDTH)
    expected[:2] = first, second
    np.testing.assert_allclose(explainer.contributions(features), expected, atol=1e-12)


def test_contributions_add_up_on_all_stored_questions(model: LoadedModel) -> None:
    rng = np.random.default_rng(1)
    rows = rng.uniform(model.ranges[:, 0], model.ranges[:, -1], size=(200, WIDTH))
    for features in rows:
        total = model.explainer.contributions(features).sum() + model.explainer.baseline_margin
        margin = model.trees.margins(features[np.newaxis, :])[0]
        assert total == pytest.approx(margin, abs=1e-9)


@pytest.mark.parametrize(
    "answer",
    [
        np.zeros((1, WIDTH)),
        np.full((1, WIDTH), np.nan),
        np.full((1, WIDTH), np.inf),
        np.zeros((1, WIDTH - 1)),
    ],
)
def test_contributions_that_do_not_add_up_are_refused(
    answer: np.ndarray[Any, np.dtype[np.float64]], monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer = Explainer(one_tree())
    wrong = SimpleNamespace(shap_values=lambda *_, **__: answer)
    monkeypatch.setattr(explainer, "_shap", wrong)
    with pytest.raises(ExplanationFailed):
        explainer.contributions(row(1.0, 3.0))


def test_a_group_is_one_reason_worded_by_its_heaviest_feature() -> None:
    contributions = np.zeros(WIDTH)
    contributions[0], contributions[1] = 0.1, 0.3  # the amount, and the amount to income
    reasons = principal_reasons(one_tree(), row(9.0, 3.0), contributions, row(0.0, 0.0))
    assert [reason.code for reason in reasons] == ["income_insufficient_for_amount"]
    assert reasons[0].feature == FEATURE_NAMES[1]
    assert reasons[0].text == "Income is insufficient for the amount of credit requested"
    assert reasons[0].impact_points == pytest.approx(0.4 * POINTS_PER_LOG_ODDS)


@pytest.mark.parametrize("contribution", [-0.5, 0.0, 0.0138])
def test_what_lowers_the_score_by_less_than_a_point_is_no_reason(contribution: float) -> None:
    contributions = np.zeros(WIDTH)
    contributions[0] = contribution
    assert principal_reasons(one_tree(), row(9.0, 3.0), contributions, row(0.0, 0.0)) == ()


def test_what_would_not_help_is_no_reason() -> None:
    contributions = np.zeros(WIDTH)
    contributions[3] = 0.5  # the term, which this tree never asks for
    assert principal_reasons(one_tree(), row(9.0, 3.0), contributions, row(0.0, 0.0)) == ()
