"""Whether two forms of one model predict the same."""

from collections.abc import Sequence
from dataclasses import dataclass

from ml_pipeline.domain.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How far two lists of predictions are apart.

    Attributes:
        rows: predictions compared.
        differing_rows: those further apart than the tolerance.
        worst: the largest difference, relative to 1 + |expected|.
        worst_row: where it is, from 0.
    """

    rows: int
    differing_rows: int
    worst: float
    worst_row: int

    @property
    def equal(self) -> bool:
        """Whether no row differs."""
        return self.differing_rows == 0


def relative_difference(expected: float, actual: float) -> float:
    """Absolute near zero, relative for large predictions.

    >>> relative_difference(99.0, 100.0)
    0.01
    """
    return abs(actual - expected) / (1 + abs(expected))


def parity(expected: Sequence[float], actual: Sequence[float], *, tolerance: float) -> Parity:
    """Compare predictions row by row.

    Args:
        expected: shape (n,), n >= 1, finite.
        actual: shape (n,), finite.
        tolerance: largest difference let through, relative to 1 + |expected|.

    Raises:
        DataError: there is nothing to compare, or the lists are not equally long.

    >>> parity([1.0, 3.0], [1.0, 3.4], tolerance=0.01).worst_row
    1
    """
    if not expected or len(expected) != len(actual):
        raise DataError(
            f"{len(expected)} predictions cannot be compared with {len(actual)}",
            remedy="Give both forms of the model the same rows, at least one.",
        )
    differences = [
        relative_difference(ours, theirs) for ours, theirs in zip(expected, actual, strict=True)
    ]
    worst = max(differences)
    return Parity(
        rows=len(differences),
        differing_rows=sum(not difference <= tolerance for difference in differences),
        worst=worst,
        worst_row=differences.index(worst),
    )
