"""Scoring: from a form and a report to PD, score and reasons, or to a person.

    PD     = 1 / (1 + exp(-margin))
    score  = 404.7 - 72.13 · margin, clipped to 300..850 and rounded down

Fails closed: whatever goes wrong, the answer is a referral with numbers that approve nobody.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from models.domain.risk import (
    Assessment,
    BureauReport,
    CreditForm,
    clipped_score,
    unclipped_score,
)
from models.risk.artefact import DIRECTORY, ModelUnavailable, read_verified
from models.risk.explanation import Explainer, ExplanationFailed, principal_reasons
from models.risk.features import DIRECTIONS, FEATURE_NAMES, build_features
from models.risk.trees import FlatTrees

__all__ = ["CreditScorer", "LoadedModel", "ModelUnavailable", "UnavailableScorer"]

# Why the model gave no answer; published, never reused.
REFER_NO_MODEL: Final = "model_unavailable"
REFER_INPUT: Final = "input_not_scorable"
REFER_OUTSIDE: Final = "outside_model_range"
REFER_EXPLANATION: Final = "explanation_inconsistent"
REFER_FAILURE: Final = "scoring_failed"

# Beyond the largest loan and the longest term it has seen, a tree model would quietly answer as if
# the loan were that size: such a loan is a person's to judge.
LIMITING_FEATURES: Final = ("requested_amount", "term_months")

BASELINE_TOLERANCE: Final = 1e-9  # log-odds, between our own sum and the explainer's
# scikit-learn's margins must be met exactly; the exponential may differ in its last bits between
# processors' mathematics libraries.
PD_TOLERANCE: Final = 1e-15

Floats = NDArray[np.float64]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A verified model, ready to score; kept for the life of the process."""

    trees: FlatTrees
    explainer: Explainer
    ranges: Floats  # (n_features, 4): least, 1st and 99th percentile, greatest in training
    version: str
    sha256: str

    @classmethod
    def load(cls, directory: Path = DIRECTORY) -> LoadedModel:
        """Loads the model in `directory` and makes it repeat its stored answers.

        Raises ModelUnavailable if a file is missing or damaged, if the model was made for other
        features than the code's, or if it no longer gives the answers it was tested with.
        """
        artefact, manifest = read_verified(directory)
        trees = artefact.trees
        margins = trees.margins(artefact.check_features)
        if not np.array_equal(margins, artefact.check_margins):
            raise ModelUnavailable("the trees do not repeat the margins they were tested with")
        if not np.allclose(expit(margins), artefact.check_pds, rtol=0.0, atol=PD_TOLERANCE):
            raise ModelUnavailable("the trees do not repeat the PDs they were tested with")
        try:
            explainer = Explainer(trees)
            explainer.contributions(artefact.check_features[0])
        except Exception as error:
            raise ModelUnavailable("the model cannot be explained") from error
        for baseline in (trees.baseline_margin(), manifest.get("baseline_margin")):
            if (
                not isinstance(baseline, float)
                or not abs(explainer.baseline_margin - baseline) < BASELINE_TOLERANCE
            ):
                raise ModelUnavailable("the baseline of the reasons is not the recorded one")
        return cls(trees, explainer, artefact.ranges, manifest["model_version"], manifest["sha256"])

    def best_values(self) -> Floats:
        """Per feature the least risky value of the training data, shape (n_features,)."""
        return np.where(np.array(DIRECTIONS) > 0, self.ranges[:, 0], self.ranges[:, -1])

    def outside_use(self, features: Floats) -> bool:
        """Whether the loan is larger or longer than any the model has seen."""
        indices = [FEATURE_NAMES.index(name) for name in LIMITING_FEATURES]
        return bool((features[indices] > self.ranges[indices, -1]).any())

    def confidence(self, features: Floats) -> float:
        """The share of features between the 1st and 99th percentile of the training data."""
        inside = (features >= self.ranges[:, 1]) & (features <= self.ranges[:, 2])
        return float(inside.mean())


class CreditScorer:
    """Scores with one loaded model. Pure computation: the same input, the same assessment."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._best = model.best_values()

    @property
    def version(self) -> str:
        return self._model.version

    def score(self, form: CreditForm, bureau: BureauReport) -> Assessment:
        """The assessment, or a referral with its reason; never an exception, never a NaN."""
        try:
            features = build_features(form, bureau)
        except (ValueError, ArithmeticError):
            return self._refer(REFER_INPUT)
        try:
            if self._model.outside_use(features):
                return self._refer(REFER_OUTSIDE)
            return self._assess(features)
        except ExplanationFailed:
            _log.error("an explanation did not add up to its margin")
            return self._refer(REFER_EXPLANATION)
        except Exception as error:  # whatever it is, it must end at a person, not at an approval
            # The type alone: a message could quote the applicant's data.
            _log.error("scoring failed: %s", type(error).__name__)
            return self._refer(REFER_FAILURE)

    def _assess(self, features: Floats) -> Assessment:
        model = self._model
        margin = model.trees.margins(features[np.newaxis, :])
        pd = float(expit(margin)[0])
        contributions = model.explainer.contributions(features)
        unclipped = unclipped_score(pd)
        return Assessment(
            pd=pd,
            score=clipped_score(unclipped),
            score_unclipped=unclipped,
            reasons=principal_reasons(model.trees, features, contributions, self._best),
            model_version=model.version,
            model_sha256=model.sha256,
            outcome="scored",
            reason_referred=None,
            confidence=model.confidence(features),
        )

    def _refer(self, reason: str) -> Assessment:
        return Assessment.refer(
            reason, model_version=self._model.version, model_sha256=self._model.sha256
        )


class UnavailableScorer:
    """Stands in when no model may be used: every application goes to a person."""

    version = "unavailable"

    def score(self, form: CreditForm, bureau: BureauReport) -> Assessment:  # noqa: ARG002
        """A referral, always."""
        return Assessment.refer(REFER_NO_MODEL, model_version=self.version, model_sha256="")
