"""How far a difference between two models may be chance, from the rows they were compared on."""

import numpy as np
from numpy.typing import NDArray

#: What is left out on either side of a 95 % interval.
_TAIL = 0.025


def relative_difference_interval(
    per_row_challenger_loss: NDArray[np.float64],
    per_row_champion_loss: NDArray[np.float64],
    *,
    seed: int,
    resamples: int = 1000,
    root: bool = False,
) -> tuple[float, float] | None:
    """95 % interval of (challenger - champion) / |champion| for a metric that is a mean.

    A paired bootstrap: rows are drawn with replacement, both models keep the same rows, so
    what makes a row hard for both cancels. Percentile bounds.

    Args:
        per_row_challenger_loss: shape (n,), n >= 1; what each row adds to the metric's mean.
        per_row_champion_loss: shape (n,); the same rows in the same order.
        seed: of the draws; the same seed gives the same interval.
        resamples: how many times n rows are drawn.
        root: the metric is the square root of the mean, as `rmse` is.

    Returns:
        (low, high); None when the champion's metric is 0 in some resample, where a relative
        difference means nothing.

    Raises:
        ValueError: different or empty shapes.

    Source:
        Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapters 10 and 13.

    >>> relative_difference_interval(np.array([2.0, 4.0]), np.array([1.0, 2.0]), seed=0)
    (1.0, 1.0)
    """
    ours, theirs = per_row_challenger_loss, per_row_champion_loss
    if ours.shape != theirs.shape or ours.ndim != 1 or ours.size == 0:
        raise ValueError(f"losses of shapes {ours.shape} and {theirs.shape} are no pairs of rows")
    means = _resampled_means(np.stack([ours, theirs], axis=1), seed, resamples)
    metrics = np.sqrt(means) if root else means
    if (metrics[:, 1] == 0).any():
        return None
    relative = (metrics[:, 0] - metrics[:, 1]) / np.abs(metrics[:, 1])
    low, high = np.quantile(relative, [_TAIL, 1 - _TAIL])
    return float(low), float(high)


def _resampled_means(pairs: NDArray[np.float64], seed: int, resamples: int) -> NDArray[np.float64]:
    """Shape (resamples, 2): the mean of both columns over rows drawn with replacement."""
    rng = np.random.default_rng(seed)
    rows = len(pairs)
    means = np.empty((resamples, 2))
    for resample in range(resamples):
        # How often each row was drawn: 3 times as fast as gathering the rows (67,000 of them).
        drawn = np.bincount(rng.integers(0, rows, size=rows, dtype=np.uint32), minlength=rows)
        means[resample] = drawn @ pairs / rows
    return means
