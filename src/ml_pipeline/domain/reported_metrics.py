"""The metrics file a training leaves: a JSON object of names and finite numbers."""

import json
import math
from collections.abc import Iterator
from typing import TypeVar

from pydantic import JsonValue

from ml_pipeline.domain.errors import DataError

T = TypeVar("T")
_REMEDY = "Let the training write a JSON object, name to finite number."


def reported_metrics(text: str, *, where: str) -> dict[str, float]:
    """Metrics by name, every one a finite number; of nested objects by their dotted path.

    Text, truth values and lists stand beside metrics in many such files (a date, a confusion
    matrix): they are no metrics and are passed over. A null is where a number should have been.

    Args:
        text: content of the file.
        where: the file, for the message.

    Raises:
        DataError: it is no JSON object, holds no number, names a key twice, or a value is null,
            NaN, infinite or too large; names the key.

    >>> reported_metrics('{"valid": {"mae": 4, "r2": 0.5}, "by": "me"}', where="metrics.json")
    {'valid.mae': 4.0, 'valid.r2': 0.5}
    """
    try:
        found = json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, where))
        if not isinstance(found, dict):
            raise DataError(f"{where} holds no metrics, but {str(found)[:80]}", remedy=_REMEDY)
        metrics = _unique(list(_numbers("", found, where)), where)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is no JSON: {error}", remedy=_REMEDY) from error
    if not metrics:
        raise DataError(f"{where} holds no metrics, but {str(found)[:80]}", remedy=_REMEDY)
    return metrics


def _numbers(prefix: str, found: dict[str, JsonValue], where: str) -> Iterator[tuple[str, float]]:
    for name, value in found.items():
        if isinstance(value, dict):
            yield from _numbers(f"{prefix}{name}.", value, where)
        elif value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            yield f"{prefix}{name}", _finite(f"{prefix}{name}", value, where)


def _unique(pairs: list[tuple[str, T]], where: str) -> dict[str, T]:
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{where} holds {twice!r} twice", remedy=_REMEDY)
    return dict(pairs)


def _finite(name: str, value: float | None, where: str) -> float:
    if value is None:
        raise DataError(f"{where}: {name} = null is no number", remedy=_REMEDY)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise DataError(f"{where}: {name} = {number} is not finite", remedy=_REMEDY)
    return number
