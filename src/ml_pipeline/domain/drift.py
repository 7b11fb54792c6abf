"""How far rows have moved from those a model was accepted on, sample size taken out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ml_pipeline.domain.errors import DataError

#: Added to every bin's count, so that a bin only one side has weighs much but not infinitely.
#: Half a row is Jeffreys' prior.
_SMOOTHING = 0.5


def stability_index(baseline: Sequence[int], current: Sequence[int]) -> float:
    """Population stability index between two histograms, less what chance alone gives.

    Two samples of the same rows never have equal histograms: the plain index is on average
    (B - 1) (1/n + 1/m) although nothing moved, 0.036 at 10 bins with 500 rows on either
    side. That expectation is taken off, so that one limit means the same at every sample
    size; what is left is clipped at 0.

    Args:
        baseline: shape (b,); rows of the baseline by bin, n >= 1 in all.
        current: shape (b,); rows now in the same bins, m >= 1 in all.

    Returns:
        >= 0; by the usual reading 0.1 is a small change and 0.2 a large one.

    Raises:
        DataError: a histogram is empty, or they have not the same bins.

    Source:
        Yurdakul (2018), Statistical Properties of Population Stability Index, Western
        Michigan University, dissertation 3208: without drift, PSI is distributed as
        (1/n + 1/m) times chi-square with B - 1 degrees of freedom.
        Smoothing: Jeffreys (1946), Proceedings of the Royal Society A 186(1007), 453-461.

    >>> stability_index([50, 50], [50, 50])
    0.0
    >>> round(stability_index([500, 500], [900, 100]), 2)
    0.87
    """
    before, now = np.asarray(baseline, dtype=np.float64), np.asarray(current, dtype=np.float64)
    if before.shape != now.shape:
        raise DataError(
            f"{before.size} bins in the baseline, {now.size} now",
            remedy="Promote a model anew: its baseline will have the bins of today.",
        )
    filled = (before + now) > 0
    before, now = before[filled], now[filled]
    n, m = float(before.sum()), float(now.sum())
    if n == 0 or m == 0:
        raise DataError(
            f"a histogram without rows: {n:g} in the baseline, {m:g} now",
            remedy="Fetch more rows.",
        )
    expected, actual = _shares(before), _shares(now)
    index = float(np.sum((actual - expected) * np.log(actual / expected)))
    return max(0.0, index - expected_by_chance(int(n), int(m), bins=before.size))


def expected_by_chance(n: int, m: int, *, bins: int) -> float:
    """What the plain index is on average when both samples come from the same rows.

    Args:
        n: rows of one sample, >= 1.
        m: rows of the other, >= 1.
        bins: bins that hold a row of either.

    Source:
        See `stability_index`.

    >>> round(expected_by_chance(500, 500, bins=10), 3)
    0.036
    """
    return (bins - 1) * (1 / n + 1 / m)


def quantile_edges(values: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Edges between bins that hold about equally many of the values.

    Args:
        values: shape (n,), n >= 1; finite.
        bins: how many, >= 2.

    Returns:
        Shape (e,), e <= bins - 1, rising; each one of the values. Bin i holds the values above
        edge i - 1 and up to edge i; ties make it fewer.

    >>> quantile_edges(np.array([1.0, 2.0, 3.0, 4.0]), bins=2).tolist()
    [2.0]
    """
    ranks = np.arange(1, bins) * values.size // bins  # whole numbers: no rounding of shares
    return np.unique(np.sort(values)[np.maximum(ranks, 1) - 1])


def binned(values: NDArray[np.float64], edges: NDArray[np.float64]) -> list[int]:
    """How many of the values each bin between the edges holds.

    Args:
        values: shape (n,); finite.
        edges: shape (e,), rising.

    Returns:
        Length e + 1.

    >>> binned(np.array([1.0, 2.0, 3.0]), np.array([2.0]))
    [2, 1]
    """
    where = np.searchsorted(edges, values, side="left")
    return [int(count) for count in np.bincount(where, minlength=edges.size + 1)]


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    smoothed = counts + _SMOOTHING
    shares: NDArray[np.float64] = smoothed / smoothed.sum()
    return shares
