"""What a classifier thinks of every class, row by row, and the metrics that score it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from ml_pipeline.domain.errors import DataError
from ml_pipeline.domain.formulas import CLIP, ROUNDING, Numbers, paired, roc_auc
from ml_pipeline.domain.policies.gate import MetricName

#: How far a row's probabilities may be from 1 in all; float32 over a thousand classes stays below.
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Likelihoods:
    """Probabilities of classes, none of which is the positive one.

    Attributes:
        labels: the class of each column, as its position in the project's classes; a label that
            is a number is its own position.
        rows: shape (n, k), k = len(labels).
    """

    labels: tuple[float, ...]
    rows: Sequence[Sequence[float]]

    def __len__(self) -> int:
        return len(self.rows)

    def likeliest(self) -> list[float]:
        """The likeliest class of each row, shape (n,)."""
        return [self.labels[max(range(len(row)), key=row.__getitem__)] for row in self.rows]

    def column(self, label: float) -> list[float]:
        """The probability of one class, shape (n,): 0 for a class the model never met."""
        if label not in self.labels:
            return [0.0] * len(self.rows)
        at = self.labels.index(label)
        return [row[at] for row in self.rows]


#: One number a row (a value, a class's position, P(class 1)), or the probability of every class.
Predictions = Sequence[float] | Likelihoods


def of_classes(labels: Sequence[float], rows: Sequence[Sequence[float]]) -> Predictions:
    """P(class 1) of each row where 0 and 1 are all the classes, else all probabilities.

    >>> of_classes([1.0, 0.0], [[0.75, 0.25]])
    [0.75]
    """
    likely = Likelihoods(tuple(labels), rows)
    return likely.column(1.0) if sorted(labels) == [0.0, 1.0] else likely


def points(predicted: Predictions) -> Sequence[float]:
    """One number a row: of probabilities of every class, the likeliest class."""
    return predicted.likeliest() if isinstance(predicted, Likelihoods) else predicted


def every_number(predicted: Predictions) -> list[float]:
    """All there is, row after row."""
    if isinstance(predicted, Likelihoods):
        return list(chain.from_iterable(predicted.rows))
    return list(predicted)


def base_rates(training_target: Sequence[float], rows: int) -> Likelihoods:
    """The share of each class in training, for so many rows: what a model has to beat."""
    labels, counts = np.unique(np.asarray(training_target, dtype=np.float64), return_counts=True)
    shares = (counts / counts.sum()).tolist()
    return Likelihoods(tuple(labels.tolist()), [shares] * rows)


def log_losses(truth: Sequence[float], predicted: Likelihoods) -> Numbers:
    """What each row adds to `log_loss`: shape (n,).

    Raises:
        DataError: rows that cannot be scored, or numbers that are no probabilities.
    """
    known = _checked(MetricName.LOG_LOSS, truth, predicted)
    likely = np.zeros(len(known))
    for label in np.unique(known):
        of_label = known == label
        likely[of_label] = np.asarray(predicted.column(float(label)))[of_label]
    losses: Numbers = -np.log(np.clip(likely, CLIP, 1.0))
    return losses


def mean_auc(truth: Sequence[float], predicted: Likelihoods) -> float:
    """The plain mean, over the classes truth holds, of the AUC of each against all others.

    Raises:
        DataError: as `log_losses`, or all rows are of one class.
    """
    known = _checked(MetricName.ROC_AUC, truth, predicted)
    areas = [
        roc_auc(np.where(known == label, 1.0, 0.0), np.asarray(predicted.column(float(label))))
        for label in np.unique(known)
    ]
    return float(np.mean(areas))


def score(name: MetricName, truth: Sequence[float], predicted: Likelihoods) -> float:
    """`log_loss` or `roc_auc` of probabilities of every class."""
    if name is MetricName.ROC_AUC:
        return mean_auc(truth, predicted)
    return float(np.mean(log_losses(truth, predicted)))


def _checked(name: MetricName, truth: Sequence[float], predicted: Likelihoods) -> Numbers:
    known, _ = paired(name, truth, truth)
    paired(name, truth, [sum(row) for row in predicted.rows])  # of one length, and finite
    table = np.asarray(predicted.rows, dtype=np.float64)
    wrong = ((table < -ROUNDING) | (table > 1 + ROUNDING)).any(axis=1)
    wrong |= np.abs(table.sum(axis=1) - 1) > _SUM_TOLERANCE
    if wrong.any():
        row = int(np.argmax(wrong))
        told = ", ".join(f"{value:g}" for value in table[row][:5])
        raise DataError(
            f"{name}: row {row + 1} holds {told}, which are no probabilities of"
            f" {table.shape[1]} classes",
            remedy="Have the model give probabilities that sum to 1, as softmax does.",
        )
    return known


def named(
    labels: Sequence[str | int | float], classes: Mapping[str, float], *, whose: str
) -> list[float]:
    """Labels as positions: of text by the project's classes, a number is its own.

    Raises:
        DataError: a label of text is none of the classes.
    """
    unknown = [label for label in labels if isinstance(label, str) and label not in classes]
    if unknown:
        listed = ", ".join(classes) or "nothing"
        raise DataError(
            f"{whose} knows the class {unknown[0]!r}, and data.classes lists {listed}",
            remedy="List every label of the target in data.classes.",
        )
    return [classes[label] if isinstance(label, str) else float(label) for label in labels]
