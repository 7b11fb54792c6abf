"""A version's metrics in a registry, which keeps text: every one finite, on the way in and out."""

import math
from collections.abc import Mapping

from ml_pipeline.domain.errors import DataError


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics as floats.

    Raises:
        DataError: one is NaN or infinite; names it.
    """
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise DataError(
                f"the metric {name} = {value} is not finite, so it is not stored",
                remedy="Find out why it could not be computed.",
            )
    return {name: float(value) for name, value in metrics.items()}


def metric_entries(metrics: Mapping[str, float], *, prefix: str) -> dict[str, str]:
    """Metrics as a registry's entries, to the last digit.

    Raises:
        DataError: one is NaN or infinite; names it.

    >>> metric_entries({"mae": 4}, prefix="metric.")
    {'metric.mae': '4.0'}
    """
    return {f"{prefix}{name}": repr(value) for name, value in finite(metrics).items()}


def metrics_in(entries: Mapping[str, str], *, prefix: str, where: str) -> dict[str, float]:
    """The metrics among a version's entries; the other way round than `metric_entries`.

    Args:
        entries: all of the version's; those that do not begin with the prefix are passed over.
        prefix: what a metric's entry begins with.
        where: the version, for the message.

    Raises:
        DataError: one is no finite number; names it.

    >>> metrics_in({"metric.mae": "4.0", "commit": "a1"}, prefix="metric.", where="eta version 1")
    {'mae': 4.0}
    """
    return {
        key.removeprefix(prefix): _number(key, text, where)
        for key, text in entries.items()
        if key.startswith(prefix)
    }


def _number(key: str, text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DataError(
            f"{where}: {key} = {text!r} is no finite number",
            remedy=f"Set {key} to the metric the version was promoted on.",
        )
    return number
