"""The metrics that decide, computed by the pipeline itself on held-out rows."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from ml_pipeline.domain.errors import DataError
from ml_pipeline.domain.evidence import Check
from ml_pipeline.domain.formulas import (
    FORMULAS,
    ROWS,
    Numbers,
    classes,
    is_binary,
    paired,
    two_classes,
    weighted_median,
    without_zero,
)
from ml_pipeline.domain.intervals import relative_difference_interval
from ml_pipeline.domain.likelihoods import (
    Likelihoods,
    Predictions,
    base_rates,
    log_losses,
    points,
    score,
)
from ml_pipeline.domain.policies.gate import Direction, MetricName, MetricPolicy

#: Which way each metric gets better.
DIRECTIONS: Mapping[MetricName, Direction] = MappingProxyType(
    {
        MetricName.MAE: Direction.LOWER,
        MetricName.RMSE: Direction.LOWER,
        MetricName.MAPE: Direction.LOWER,
        MetricName.LOG_LOSS: Direction.LOWER,
        MetricName.R2: Direction.HIGHER,
        MetricName.ACCURACY: Direction.HIGHER,
        MetricName.F1: Direction.HIGHER,
        MetricName.ROC_AUC: Direction.HIGHER,
    }
)
_PROBABILITIES = frozenset({MetricName.ROC_AUC, MetricName.LOG_LOSS})
_OF_CLASSES = _PROBABILITIES | {MetricName.ACCURACY, MetricName.F1}


def needs_probabilities(name: MetricName) -> bool:
    """Whether the metric scores probabilities of classes rather than a predicted value or class."""
    return name in _PROBABILITIES


def scores_classes(name: MetricName) -> bool:
    """Whether the metric is one of a classifier: its model predicts labels, not values."""
    return name in _OF_CLASSES


def compute(name: MetricName, truth: Sequence[float], predicted: Predictions) -> float:
    """The metric of predictions against what came true.

    Which classes there are is read from `truth` alone, so two models scored on the same rows
    are scored by the same formula, whatever they predict: `f1` is that of class 1 where truth
    holds only 0 and 1, else the plain mean over the classes truth holds.

    Args:
        name: the metric. `mape` is a share: 0.1 means 10 %.
        truth: shape (n,), n >= 1; values, or class positions.
        predicted: n values, class positions, or where `needs_probabilities` P(class 1), of
            more classes the probability of each; `roc_auc` is then the plain mean over classes.

    Raises:
        DataError: no rows, different lengths, a value that is not finite, or rows the metric
            is not defined on: `mape` with a zero, `r2` of a constant, `roc_auc` of one class,
            classes that are no whole numbers, probabilities outside 0 to 1.

    Source:
        scikit-learn's user guide, "Metrics and scoring", whose definitions these follow;
        `roc_auc`: Mann & Whitney (1947), The Annals of Mathematical Statistics 18(1), 50-60,
        ties counted half.

    >>> compute(MetricName.MAE, [1.0, 2.0], [2.0, 4.0])
    1.5
    >>> compute(MetricName.ROC_AUC, [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    if isinstance(predicted, Likelihoods):
        return score(name, truth, predicted)
    known, guessed = paired(name, truth, predicted)
    with np.errstate(over="ignore"):  # too large for a float: infinite, and `read` refuses it
        return float(FORMULAS[name](known, guessed))


def row_contributions(
    name: MetricName, truth: Sequence[float], predicted: Predictions
) -> Numbers | None:
    """What each row adds to a metric that is a mean over rows (`rmse`: to its square).

    Returns:
        Shape (n,); None for a metric that is no such mean (`r2`, `f1`, `roc_auc`).

    Raises:
        DataError: as `compute`.
    """
    formula = ROWS.get(name)
    if formula is None:
        return None
    if isinstance(predicted, Likelihoods):
        return log_losses(truth, predicted)
    return formula(*paired(name, truth, predicted))


def difference_interval(
    name: MetricName,
    truth: Sequence[float],
    challenger: Predictions,
    champion: Predictions,
    *,
    seed: int,
) -> tuple[float, float] | None:
    """95 % interval of the metric's difference, relative to the champion; see the gate.

    Args:
        name: the metric.
        truth: shape (n,).
        challenger: its n predictions for the same rows.
        champion: its n predictions for the same rows.
        seed: of the resampling.

    Returns:
        (low, high) of (challenger - champion) / |champion|; None where the metric is no mean
        over rows, or the champion's is 0 in some resample.

    Raises:
        DataError: as `compute`.
    """
    ours = row_contributions(name, truth, challenger)
    theirs = row_contributions(name, truth, champion)
    if ours is None or theirs is None:
        return None
    return relative_difference_interval(ours, theirs, seed=seed, root=name is MetricName.RMSE)


def read(policy: MetricPolicy, metrics: Mapping[str, float], *, key: str, whose: str) -> float:
    """The metric from a mapping, believed only within the policy's range.

    Args:
        policy: its `min` and `max` bound what is believed.
        metrics: as measured or stored.
        key: which of them.
        whose: for the message, such as "the champion".

    Raises:
        DataError: absent, not a number, NaN, infinite or out of range; never a default.

    >>> from ml_pipeline.domain.policies.gate import MetricPolicy
    >>> policy = MetricPolicy(name="mae", min=0, max=60, prediction_min=0, prediction_max=240)
    >>> read(policy, {"mae": 4.5}, key="mae", whose="the champion")
    4.5
    """
    if key not in metrics:
        there = ", ".join(sorted(metrics)) or "nothing"
        nested = sorted(name for name in metrics if name.rpartition(".")[2] == key)
        remedy = f"Have it report {key!r}, or correct 'metric' in the settings."
        raise DataError(
            f"metric {key!r} of {whose} is absent; there is {there}",
            remedy=f"Set metric.reported_as = {nested[0]!r}." if nested else remedy,
        )
    value: object = metrics[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(
            f"metric {key!r} of {whose} is {value!r}: not a number",
            remedy="Report the metric as a finite number.",
        )
    if not (math.isfinite(value) and policy.min <= value <= policy.max):
        raise DataError(
            f"metric {key!r} of {whose} is {value!r}, outside what is believed:"
            f" {policy.min:g} to {policy.max:g}",
            remedy="Mend what measured it, or widen 'metric.min' and 'metric.max'.",
        )
    return float(value)


def naive_prediction(name: MetricName, training_target: Sequence[float]) -> float:
    """The constant that scores best on the training rows: what a model has to beat.

    Median for `mae`, median weighted by 1/|y| for `mape`, mean for `rmse` and `r2`, the most
    frequent class for `accuracy` and `f1` (of two classes 0 and 1, always 1: any other
    constant has an `f1` of 0), the base rate for `log_loss` and `roc_auc`.

    Args:
        name: the metric.
        training_target: shape (n,), n >= 1.

    Raises:
        DataError: as `compute`, of the target itself.

    >>> naive_prediction(MetricName.MAE, [1.0, 2.0, 9.0])
    2.0
    """
    target, _ = paired(name, training_target, training_target)
    if name is MetricName.MAE:
        return float(np.median(target))
    if name is MetricName.MAPE:
        return weighted_median(target, 1 / np.abs(without_zero(target)))
    if name in {MetricName.RMSE, MetricName.R2}:
        return float(np.mean(target))
    if name in _PROBABILITIES:
        return float(np.mean(two_classes(name, target)))
    labels, counts = np.unique(classes(name, target), return_counts=True)
    if name is MetricName.F1 and is_binary(labels):
        return 1.0
    return float(labels[np.argmax(counts)])


def naive_predictions(name: MetricName, training_target: Sequence[float], rows: int) -> Predictions:
    """`naive_prediction` for so many rows; of more than two classes, how often each occurs.

    Raises:
        DataError: as `naive_prediction`.
    """
    if name in _PROBABILITIES and not is_binary(np.asarray(training_target)):
        return base_rates(training_target, rows)
    return [naive_prediction(name, training_target)] * rows


def bounded_predictions(policy: MetricPolicy, predicted: Predictions) -> Check:
    """Whether every prediction is one the policy calls possible at all.

    The value is the share of predictions outside, or not finite; no predictions never pass. Of
    probabilities of every class, the likeliest class counts as the prediction.
    """
    values = np.asarray(points(predicted), dtype=np.float64)
    low, high = policy.prediction_min, policy.prediction_max
    name = "predictions in the declared range"
    if values.size == 0:
        return Check(name=name, passed=False, limit=0.0, message="there are no predictions")
    outside = ~((values >= low) & (values <= high))
    message = f"all {values.size} predictions lie in {low:g} to {high:g}"
    if outside.any():
        first = int(np.argmax(outside))
        message = (
            f"{int(outside.sum())} of {values.size} predictions lie outside {low:g} to {high:g},"
            f" first that of row {first + 1}: {values[first]:g}"
        )
    share = float(outside.mean())
    return Check(
        name=name, passed=share == 0, value=share, limit=0.0, unit="share", message=message
    )
