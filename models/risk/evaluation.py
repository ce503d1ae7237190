"""How good a model is: discrimination and calibration, measured on loans it has not seen.

Used by the training tool alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score, roc_curve

BOOTSTRAP_SAMPLES = 2_000
CALIBRATION_BINS = 10  # of equal size
PUBLISHED_DIGITS = 4

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


class UnfitForUse(RuntimeError):
    """The trained model misses a minimum; nothing is written."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Metrics of one model on one set of loans."""

    loans: int
    bad: int
    auc: float
    auc_low: float  # 95 % percentile bootstrap
    auc_high: float
    ks: float  # largest distance between the distributions of good and bad
    brier: float
    log_loss: float
    mean_pd: float
    observed_rate: float
    mean_pd_z: float  # (observed - expected) bad loans in standard errors
    calibration_slope: float  # 1 is ideal; below 1 the model is too sure of itself
    calibration_intercept: float  # of the same fit; 0 is ideal
    expected_calibration_error: float

    def published(self) -> dict[str, float]:
        """Rounded, so that the last bits of a library do not change a committed file."""
        return {name: round(value, PUBLISHED_DIGITS) for name, value in asdict(self).items()}


def evaluate(labels: Labels, pds: Floats, *, seed: int) -> Evaluation:
    """Measures predicted probabilities, shape (n,), against labels (1 = bad), shape (n,)."""
    false_positive, true_positive, _ = roc_curve(labels, pds)
    low, high = _auc_interval(labels, pds, seed)
    log_odds = np.log(pds / (1 - pds))[:, np.newaxis]
    line = LogisticRegression(C=np.inf, max_iter=1_000).fit(log_odds, labels)
    spread = float(np.sqrt((pds * (1 - pds)).sum()))
    return Evaluation(
        loans=int(labels.size),
        bad=int(labels.sum()),
        auc=float(roc_auc_score(labels, pds)),
        auc_low=low,
        auc_high=high,
        ks=float((true_positive - false_positive).max()),
        brier=float(brier_score_loss(labels, pds)),
        log_loss=float(log_loss(labels, pds)),
        mean_pd=float(pds.mean()),
        observed_rate=float(labels.mean()),
        mean_pd_z=float((labels.sum() - pds.sum()) / spread),
        calibration_slope=float(line.coef_[0, 0]),
        calibration_intercept=float(line.intercept_[0]),
        expected_calibration_error=_calibration_error(labels, pds),
    )


def refuse_if_unfit(evaluation: Evaluation) -> None:
    """Raises UnfitForUse for a model that no lender should see.

    The limits only catch a broken training run: ranking must beat chance with 95 % confidence, the
    mean PD must agree with the observed rate within three standard errors, and the PDs must not
    be so overconfident that the slope falls under one half.
    """
    if evaluation.auc_low <= 0.55:
        raise UnfitForUse("ranking is hardly better than chance")
    if abs(evaluation.mean_pd_z) > 3:
        raise UnfitForUse("the mean PD disagrees with the observed rate")
    if evaluation.calibration_slope < 0.5:
        raise UnfitForUse("the PDs are overconfident")


def _auc_interval(labels: Labels, pds: Floats, seed: int) -> tuple[float, float]:
    """95 % interval of the AUC; good and bad are resampled apart, so both are always there."""
    random = np.random.default_rng(seed)
    good, bad = np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)
    aucs = np.empty(BOOTSTRAP_SAMPLES)
    for sample in range(BOOTSTRAP_SAMPLES):
        rows = np.concatenate([random.choice(good, good.size), random.choice(bad, bad.size)])
        aucs[sample] = roc_auc_score(labels[rows], pds[rows])
    low, high = np.percentile(aucs, [2.5, 97.5])
    return float(low), float(high)


def _calibration_error(labels: Labels, pds: Floats) -> float:
    """Mean distance between predicted and observed rate over bins of equal size."""
    bins = np.array_split(np.argsort(pds, kind="stable"), CALIBRATION_BINS)
    gaps = [abs(pds[rows].mean() - labels[rows].mean()) * rows.size for rows in bins]
    return float(sum(gaps) / labels.size)
