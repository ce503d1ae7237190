"""Flat trees: exact sums, hand-computed walks, and broken arrays refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from models.risk.artefact import DIRECTORY, read_verified
from models.risk.trees import FlatTrees


def two_trees() -> FlatTrees:
    """x0 <= 5 ? 0 : 1 (75 loans and 25), then x1 <= 2 ? -2 : (x0 <= 1 ? 3 : 4)."""
    return FlatTrees(
        roots=np.array([0, 3], dtype=np.int32),
        left=np.array([1, -1, -1, 4, -1, 6, -1, -1], dtype=np.int32),
        right=np.array([2, -1, -1, 5, -1, 7, -1, -1], dtype=np.int32),
        feature=np.array([0, 0, 0, 1, 0, 0, 0, 0], dtype=np.int32),
        threshold=np.array([5.0, 0, 0, 2.0, 0, 1.0, 0, 0]),
        missing_left=np.zeros(8, dtype=np.bool_),
        value=np.array([0, 0.0, 1.0, 0, -2.0, 0, 3.0, 4.0]),
        weight=np.array([100.0, 75, 25, 100, 50, 50, 20, 30]),
        base_margin=-3.0,
    )


@pytest.mark.parametrize(
    ("row", "margin"),
    [
        ([5.0, 2.0], -5.0),  # on both thresholds: left, -3 + 0 - 2
        ([5.0000001, 2.0], -4.0),
        ([1.0, 3.0], 0.0),
        ([2.0, 3.0], 1.0),
        ([9.0, 3.0], 2.0),
    ],
)
def test_walks_by_hand(row: list[float], margin: float) -> None:
    assert two_trees().margins(np.array([row]))[0] == margin


def test_the_baseline_is_the_mean_over_training_loans() -> None:
    # -3, plus 0.25, plus (50 · -2 + 20 · 3 + 30 · 4) / 100
    assert two_trees().baseline_margin() == pytest.approx(-3 + 0.25 + 0.8)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_margins_refuse_what_is_not_finite(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        two_trees().margins(np.array([[1.0, value]]))


@pytest.mark.parametrize(
    ("field", "index", "value"),
    [
        ("left", 0, 0),  # a loop
        ("left", 5, 3),  # back to an ancestor
        ("right", 0, 4),  # into another tree
        ("right", 3, 8),  # beyond the nodes
        ("right", 3, -1),  # one child only
        ("left", 3, -2),
        ("value", 1, np.nan),
        ("threshold", 0, np.inf),
        ("weight", 0, 0.0),
        ("feature", 0, -1),
        ("roots", 1, 0),
        ("roots", 0, 1),
        ("roots", 1, 8),
    ],
)
def test_broken_arrays_are_refused(field: str, index: int, value: Any) -> None:
    trees = two_trees()
    array = getattr(trees, field).copy()
    array[index] = value
    with pytest.raises(ValueError, match=r".+"):
        replace(trees, **{field: array})


def test_arrays_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="length"):
        replace(two_trees(), value=np.zeros(7))


def test_margins_equal_those_of_scikit_learn_bit_for_bit() -> None:
    artefact, _ = read_verified(DIRECTORY)
    assert artefact.check_features.shape[0] >= 100
    margins = artefact.trees.margins(artefact.check_features)
    assert np.array_equal(margins, artefact.check_margins)
    assert np.unique(margins).size > 50
    np.testing.assert_allclose(expit(margins), artefact.check_pds, rtol=0, atol=1e-15)


def test_one_row_at_a_time_gives_the_same_bits() -> None:
    artefact, _ = read_verified(DIRECTORY)
    single = [artefact.trees.margins(row[np.newaxis, :])[0] for row in artefact.check_features]
    assert np.array_equal(single, artefact.check_margins)


def test_storing_and_reading_gives_the_same_trees() -> None:
    trees = two_trees()
    again = FlatTrees.from_arrays(trees.arrays())
    for name, array in trees.arrays().items():
        assert np.array_equal(again.arrays()[name], array), name
