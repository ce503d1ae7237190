"""Boosted trees as flat arrays: read without unpickling, evaluated exactly as they were trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

LEAF: Final = -1
MAX_DEPTH: Final = 32  # the shipped model's trees are at most a few levels deep

Floats = NDArray[np.float64]
Integers = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class FlatTrees:
    """An additive ensemble of binary trees whose sum is a margin in log-odds.

    All node arrays have shape (n_nodes,) and hold the trees one after another; children are given
    as indices into the whole array, LEAF marks a leaf. A value `<= threshold` goes left.
    """

    roots: Integers  # (n_trees,) where each tree begins
    left: Integers
    right: Integers
    feature: Integers  # 0 at leaves, where it is not used
    threshold: Floats  # 0 at leaves, where it is not used
    missing_left: NDArray[np.bool_]  # where a missing value would go; the scorer refuses them
    value: Floats  # log-odds a leaf adds; 0 at inner nodes
    weight: Floats  # training loans that reached the node
    base_margin: float  # log-odds before any tree

    def __post_init__(self) -> None:
        """Refuses arrays that could loop, read outside themselves or add a non-number."""
        nodes = np.arange(self.left.size)
        leaf = self.left == LEAF
        inner = ~leaf
        node_arrays = (self.right, self.feature, self.threshold, self.missing_left, self.value)
        if self.left.ndim != 1 or any(a.shape != self.left.shape for a in node_arrays):
            raise ValueError("node arrays differ in length")
        if self.weight.shape != self.left.shape or not self.roots.size or self.roots[0] != 0:
            raise ValueError("trees do not cover the nodes")
        if (np.diff(self.roots) <= 0).any() or self.roots[-1] >= self.left.size:
            raise ValueError("trees are not in order")
        ends = np.append(self.roots[1:], self.left.size)
        end = ends[np.searchsorted(self.roots, nodes, side="right") - 1]
        if not ((self.right == LEAF) == leaf).all():
            raise ValueError("a node has one child")
        for child in (self.left, self.right):
            # Children lie behind their parent and inside its tree: every walk ends.
            if not ((child[inner] > nodes[inner]) & (child[inner] < end[inner])).all():
                raise ValueError("a child lies outside its tree")
        numbers = (self.threshold, self.value, self.weight, np.float64(self.base_margin))
        if not all(np.isfinite(array).all() for array in numbers) or (self.weight <= 0).any():
            raise ValueError("a node holds no finite number")
        if (self.feature < 0).any():
            raise ValueError("a node reads no feature")

    def margins(self, features: Floats) -> Floats:
        """Log-odds of default, shape (n,), for features of shape (n, n_features).

        Adds the trees in the order of training, one after another: bit for bit the sum that
        scikit-learn forms. Raises ValueError for values that are not finite.
        """
        if features.ndim != 2 or not np.isfinite(features).all():
            raise ValueError("features are a finite matrix")
        rows = np.arange(features.shape[0])[:, np.newaxis]
        at = np.tile(self.roots, (features.shape[0], 1))
        for _ in range(MAX_DEPTH):
            left = self.left[at]
            if (left == LEAF).all():
                break
            goes_left = features[rows, self.feature[at]] <= self.threshold[at]
            step = np.where(goes_left, left, self.right[at])
            at = np.where(left == LEAF, at, step)
        else:
            raise ValueError(f"a tree is deeper than {MAX_DEPTH}")
        start = np.full((features.shape[0], 1), self.base_margin)
        # A cumulative sum adds strictly from left to right; a plain sum would add pairwise.
        return np.cumsum(np.hstack([start, self.value[at]]), axis=1)[:, -1]

    def baseline_margin(self) -> float:
        """The mean margin of the training loans: what every explanation is measured against."""
        ends = np.append(self.roots[1:], self.left.size)
        leaf_mass = np.where(self.left == LEAF, self.value * self.weight, 0.0)
        means = [
            leaf_mass[start:stop].sum() / self.weight[start]
            for start, stop in zip(self.roots, ends, strict=True)
        ]
        return self.base_margin + float(np.sum(means))

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The arrays as they are stored."""
        return {
            "roots": self.roots,
            "left": self.left,
            "right": self.right,
            "feature": self.feature,
            "threshold": self.threshold,
            "missing_left": self.missing_left,
            "value": self.value,
            "weight": self.weight,
            "base_margin": np.array([self.base_margin], dtype=np.float64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> FlatTrees:
        """The inverse of `arrays`. Raises KeyError or ValueError for what is not such a model."""
        base = np.asarray(arrays["base_margin"], dtype=np.float64)
        if base.shape != (1,):
            raise ValueError("base_margin is one number")
        return cls(
            roots=np.asarray(arrays["roots"], dtype=np.int32),
            left=np.asarray(arrays["left"], dtype=np.int32),
            right=np.asarray(arrays["right"], dtype=np.int32),
            feature=np.asarray(arrays["feature"], dtype=np.int32),
            threshold=np.asarray(arrays["threshold"], dtype=np.float64),
            missing_left=np.asarray(arrays["missing_left"], dtype=np.bool_),
            value=np.asarray(arrays["value"], dtype=np.float64),
            weight=np.asarray(arrays["weight"], dtype=np.float64),
            base_margin=float(base[0]),
        )
