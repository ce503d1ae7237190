"""Reasons for a score: SHAP contributions, checked, grouped and put into the applicant's words.

Method: path-dependent TreeSHAP (Lundberg et al. 2020, Nature Machine Intelligence 2, 56-67) of the
margin in log-odds, where the score is linear. The baseline is the mean margin of the training
loans; it is recorded in the model's manifest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.risk import MAX_REASONS, POINTS_PER_LOG_ODDS, Reason
from models.risk.features import FEATURES
from models.risk.trees import LEAF, FlatTrees

ADDITIVITY_TOLERANCE: Final = 1e-6  # log-odds; 0.00007 points
# Below one point a reason could not have moved the published score, which is a whole number.
MIN_IMPACT_POINTS: Final = 1.0

Floats = NDArray[np.float64]


class ExplanationFailed(RuntimeError):
    """The contributions do not add up to the margin: no reason may be drawn from them."""


class Explainer:
    """Explains one model; built once and kept, since building costs a hundred explanations."""

    def __init__(self, trees: FlatTrees) -> None:
        # Imported here because it takes seconds, which only a process that scores should pay.
        import shap  # noqa: PLC0415

        ensemble = {
            "trees": _tree_records(trees),
            "base_offset": trees.base_margin,
            "objective": "binary_crossentropy",
            "tree_output": "log_odds",
        }
        self._trees = trees
        self._shap = shap.TreeExplainer(
            ensemble, model_output="raw", feature_perturbation="tree_path_dependent"
        )
        expected = np.asarray(self._shap.expected_value, dtype=np.float64)
        self.baseline_margin = float(expected.reshape(-1)[0])

    def contributions(self, features: Floats) -> Floats:
        """Log-odds each feature adds to the baseline, shape (n_features,), for one application.

        Raises ExplanationFailed unless baseline and contributions add up to the margin. The check
        is made here because the library's own passes on explanations that are wrong.
        """
        row = features[np.newaxis, :]
        answer = self._shap.shap_values(row, check_additivity=False)
        values = np.asarray(answer, dtype=np.float64).reshape(-1)
        if values.shape != features.shape:
            raise ExplanationFailed("contributions do not match the features")
        margin = float(self._trees.margins(row)[0])
        gap = abs(float(values.sum()) + self.baseline_margin - margin)
        if not gap < ADDITIVITY_TOLERANCE:  # also true for NaN
            raise ExplanationFailed("contributions do not add up to the margin")
        return values


def principal_reasons(
    trees: FlatTrees, features: Floats, contributions: Floats, best: Floats
) -> tuple[Reason, ...]:
    """Up to four reasons that lowered the score, the heaviest first.

    `best` holds, per feature, the least risky value of the training data. A group is a reason only
    if together its features raise the risk above the baseline, by a point or more, and if moving
    them to `best` would raise the score: what is stated is what would help.
    """
    candidates = []
    for members in _groups():
        impact = POINTS_PER_LOG_ODDS * float(contributions[members].sum())
        if impact >= MIN_IMPACT_POINTS:
            heaviest = max(members, key=lambda index: float(contributions[index]))
            candidates.append((impact, heaviest, members))
    helpful = _improving(trees, features, best, [members for _, _, members in candidates])
    reasons = [
        Reason(
            code=FEATURES[heaviest].reason_code,
            text=FEATURES[heaviest].reason_text,
            feature=FEATURES[heaviest].name,
            impact_points=impact,
        )
        for (impact, heaviest, _), helps in zip(candidates, helpful, strict=True)
        if helps
    ]
    # Equal impacts keep the order of the feature list, so that the same input reads the same.
    return tuple(sorted(reasons, key=lambda reason: -reason.impact_points)[:MAX_REASONS])


def _improving(
    trees: FlatTrees, features: Floats, best: Floats, groups: Sequence[list[int]]
) -> list[bool]:
    """For each group whether its best values would lower the margin, all else equal."""
    if not groups:
        return []
    variants = np.tile(features, (len(groups) + 1, 1))
    for row, members in enumerate(groups, start=1):
        variants[row, members] = best[members]
    margins = trees.margins(variants)
    return [bool(margin < margins[0]) for margin in margins[1:]]


def _groups() -> list[list[int]]:
    """Indices of the features of each group, in the order of the feature list."""
    groups: dict[str, list[int]] = {}
    for index, feature in enumerate(FEATURES):
        groups.setdefault(feature.group, []).append(index)
    return list(groups.values())


def _tree_records(trees: FlatTrees) -> list[dict[str, NDArray[np.generic]]]:
    """The trees in the library's own dictionary form, children counted within each tree."""
    ends = np.append(trees.roots[1:], trees.left.size)
    records: list[dict[str, NDArray[np.generic]]] = []
    for start, stop in zip(trees.roots, ends, strict=True):
        part = slice(int(start), int(stop))
        leaf = trees.left[part] == LEAF
        left = np.where(leaf, LEAF, trees.left[part] - start).astype(np.int32)
        right = np.where(leaf, LEAF, trees.right[part] - start).astype(np.int32)
        records.append(
            {
                "children_left": left,
                "children_right": right,
                "children_default": np.where(trees.missing_left[part], left, right),
                "features": trees.feature[part],
                "thresholds": trees.threshold[part],
                "values": trees.value[part][:, np.newaxis],
                "node_sample_weight": trees.weight[part],
            }
        )
    return records
