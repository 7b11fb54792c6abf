"""The formula of each metric, and what its rows must be for it to be defined."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ml_pipeline.domain.errors import DataError
from ml_pipeline.domain.policies.gate import MetricName

Numbers = NDArray[np.float64]

#: A probability of exactly 0 or 1 that is wrong would cost infinity; scikit-learn clips alike.
CLIP = float(np.finfo(np.float64).eps)

#: A forest in float32 sums its trees' shares to 1.0000001.
ROUNDING = 1e-5


def paired(
    name: MetricName, truth: Sequence[float], predicted: Sequence[float]
) -> tuple[Numbers, Numbers]:
    """Target and predictions as arrays, finite and of one length.

    Args:
        name: of the metric, for the message.
        truth: shape (n,), n >= 1.
        predicted: shape (n,).

    Raises:
        DataError: no rows, different lengths, or a value that is not finite.
    """
    known = np.asarray(truth, dtype=np.float64)
    guessed = np.asarray(predicted, dtype=np.float64)
    if known.size == 0:
        raise DataError(f"{name} of no rows", remedy="Hold more rows out.")
    if known.shape != guessed.shape:
        raise DataError(
            f"{name}: {known.size} rows but {guessed.size} predictions",
            remedy="Have the model predict once a row, in order.",
        )
    for values, what in ((known, "target"), (guessed, "prediction")):
        bad = ~np.isfinite(values)
        if bad.any():
            row = int(np.argmax(bad))
            raise DataError(
                f"{name}: {int(bad.sum())} of {values.size} values of the {what} are not finite,"
                f" first in row {row + 1}: {values[row]}",
                remedy=f"Mend the {what}s.",
            )
    return known, guessed


def without_zero(truth: Numbers) -> Numbers:
    """The target itself, when a relative error is defined on every row.

    Raises:
        DataError: a row's target is 0.
    """
    zero = truth == 0
    if zero.any():
        raise DataError(
            f"mape: the target is 0 in {int(zero.sum())} of {truth.size} rows,"
            f" first in row {int(np.argmax(zero)) + 1}",
            remedy="Set 'metric.name' to 'mae', or leave rows with a target of 0 out.",
        )
    return truth


def classes(name: MetricName, values: Numbers) -> Numbers:
    """The values themselves, when each is a class position.

    Raises:
        DataError: a value is no whole number.
    """
    broken = values != np.floor(values)
    if broken.any():
        row = int(np.argmax(broken))
        raise DataError(
            f"{name}: row {row + 1} holds {values[row]:g}, which is no class",
            remedy="Have the model predict classes as whole numbers, or choose another metric.",
        )
    return values


def is_binary(labels: Numbers) -> bool:
    """Whether 0 and 1 are all the classes there are."""
    return bool(np.isin(labels, (0.0, 1.0)).all())


def two_classes(name: MetricName, truth: Numbers) -> Numbers:
    """The target itself, when it holds only 0 and 1.

    Raises:
        DataError: it holds anything else.
    """
    other = ~np.isin(truth, (0.0, 1.0))
    if other.any():
        row = int(np.argmax(other))
        raise DataError(
            f"{name}: the target of row {row + 1} is {truth[row]:g}, neither 0 nor 1",
            remedy="Choose a metric for more than two classes, such as 'f1' or 'accuracy'.",
        )
    return truth


def weighted_median(values: Numbers, weights: Numbers) -> float:
    """The least value with half the weight at or below it."""
    order = np.argsort(values, kind="stable")
    passed = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(passed, passed[-1] / 2)])


def _r2(truth: Numbers, predicted: Numbers) -> float:
    if np.ptp(truth) == 0:  # the mean of equal floats need not equal them
        raise DataError(
            f"r2: the target is {truth[0]:g} in all {truth.size} rows",
            remedy="Hold more rows out, or set 'metric.name' to 'mae' or 'rmse'.",
        )
    spread = float(np.sum((truth - truth.mean()) ** 2))
    return 1 - float(np.sum((truth - predicted) ** 2)) / spread


def _f1(truth: Numbers, predicted: Numbers) -> float:
    labels = np.unique(classes(MetricName.F1, truth))
    classes(MetricName.F1, predicted)
    asked = np.array([1.0]) if is_binary(labels) else labels
    return float(np.mean([_f1_of(label, truth, predicted) for label in asked]))


def _f1_of(label: float, truth: Numbers, predicted: Numbers) -> float:
    hits = int(np.sum((truth == label) & (predicted == label)))
    named = int(np.sum(truth == label)) + int(np.sum(predicted == label))
    if named == 0:
        raise DataError(
            f"f1: no row is of class {label:g}, and none is predicted so",
            remedy="Hold more rows out, or set 'metric.name' to 'accuracy'.",
        )
    return 2 * hits / named


def roc_auc(truth: Numbers, predicted: Numbers) -> float:
    """The area under the ROC curve of class 1.

    Raises:
        DataError: another class than 0 and 1, or all rows are of one.
    """
    positive = two_classes(MetricName.ROC_AUC, truth) == 1
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not (ones and zeros):
        raise DataError(
            f"roc_auc: all {truth.size} rows are of one class",
            remedy="Hold more rows out, or set 'metric.name' to 'accuracy'.",
        )
    _, where, counts = np.unique(predicted, return_inverse=True, return_counts=True)
    mean_rank = (np.cumsum(counts) - (counts - 1) / 2)[where]
    return float((mean_rank[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def _log_losses(truth: Numbers, predicted: Numbers) -> Numbers:
    outside = (predicted < -ROUNDING) | (predicted > 1 + ROUNDING)
    if outside.any():
        row = int(np.argmax(outside))
        raise DataError(
            f"log_loss: the prediction for row {row + 1} is {predicted[row]:g}, no probability",
            remedy="Have the model predict P(class 1), within 0 to 1.",
        )
    positive = two_classes(MetricName.LOG_LOSS, truth) == 1
    likely = np.clip(np.where(positive, predicted, 1 - predicted), CLIP, 1.0)
    losses: Numbers = -np.log(likely)
    return losses


def _hits(truth: Numbers, predicted: Numbers) -> Numbers:
    same = classes(MetricName.ACCURACY, truth) == classes(MetricName.ACCURACY, predicted)
    return np.where(same, 1.0, 0.0)


ROWS: Mapping[MetricName, Callable[[Numbers, Numbers], Numbers]] = {
    MetricName.MAE: lambda truth, predicted: np.abs(truth - predicted),
    MetricName.RMSE: lambda truth, predicted: (truth - predicted) ** 2,
    MetricName.MAPE: lambda truth, predicted: np.abs((predicted - truth) / without_zero(truth)),
    MetricName.ACCURACY: _hits,
    MetricName.LOG_LOSS: _log_losses,
}
FORMULAS: Mapping[MetricName, Callable[[Numbers, Numbers], float]] = {
    MetricName.MAE: lambda truth, predicted: float(np.mean(np.abs(truth - predicted))),
    MetricName.RMSE: lambda truth, predicted: math.sqrt(np.mean((truth - predicted) ** 2)),
    MetricName.MAPE: lambda truth, predicted: float(
        np.mean(ROWS[MetricName.MAPE](truth, predicted))
    ),
    MetricName.ACCURACY: lambda truth, predicted: float(np.mean(_hits(truth, predicted))),
    MetricName.LOG_LOSS: lambda truth, predicted: float(np.mean(_log_losses(truth, predicted))),
    MetricName.R2: _r2,
    MetricName.F1: _f1,
    MetricName.ROC_AUC: roc_auc,
}
