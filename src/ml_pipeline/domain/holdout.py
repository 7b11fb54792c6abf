"""Which rows are held out: the newest by time, or a share by a row's hash."""

import numpy as np
from numpy.typing import NDArray

from ml_pipeline.domain.errors import DataError

#: How many values an 8-byte hash can take.
_HASHES = 2**64


def time_cutoff(times: NDArray[np.int64], share: float) -> int:
    """The time from which on rows are held out, so that about `share` of them are.

    Rows of one time stay on one side, so the share is met as closely as the times allow; of
    two equally close cut-offs the earlier one, which holds more rows out.

    Args:
        times: shape (n,); any unit.
        share: of rows to hold out, 0 < share < 1.

    Returns:
        One of `times`, later than the earliest: neither side is empty.

    Raises:
        DataError: all rows have the same time, or there are none.

    >>> time_cutoff(np.array([5, 1, 2, 3, 4]), share=0.4)
    4
    """
    distinct, firsts = np.unique(np.sort(times), return_index=True)
    if distinct.size < 2:
        raise DataError(
            f"{times.size} rows have {distinct.size} different times: no cut-off parts them",
            remedy="Fetch rows of more than one time, or remove 'data.time_column'.",
        )
    held = times.size - firsts[1:]
    nearest = int(np.argmin(np.abs(held - share * times.size)))
    return int(distinct[1:][nearest])


def held_out_by_hash(hashes: NDArray[np.uint64], share: float) -> NDArray[np.bool_]:
    """Which rows are held out when a row's hash decides.

    A row's side depends on its hash and the share alone: other rows, their order and the
    machine do not matter. A larger share holds out the same rows and more.

    Args:
        hashes: shape (n,); evenly spread over all 8-byte numbers.
        share: of rows to hold out, 0 < share < 1.

    Returns:
        Shape (n,).

    >>> held_out_by_hash(np.array([0, 2**63], dtype=np.uint64), share=0.4).tolist()
    [True, False]
    """
    return hashes < np.uint64(share * _HASHES)
