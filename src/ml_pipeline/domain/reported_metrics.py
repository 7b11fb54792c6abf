"""The metrics file a training leaves: flat JSON, name to finite number."""

import json
import math

from pydantic import JsonValue

from ml_pipeline.domain.errors import DataError

_REMEDY = "Let the training write a flat JSON object, name to finite number."


def reported_metrics(text: str, *, where: str) -> dict[str, float]:
    """Metrics by name, every one a finite number.

    Args:
        text: content of the file.
        where: the file, for the message.

    Raises:
        DataError: it is no flat JSON object, it is empty, names a key twice, or a value is no
            finite number (a boolean, text, null, NaN, infinite, too large); names the key.

    >>> reported_metrics('{"mae": 4, "r2": 0.5}', where="metrics.json")
    {'mae': 4.0, 'r2': 0.5}
    """
    try:
        found = json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, where))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is no JSON: {error}", remedy=_REMEDY) from error
    if not isinstance(found, dict) or not found:
        raise DataError(f"{where} holds no metrics, but {str(found)[:80]}", remedy=_REMEDY)
    return {name: _finite(name, value, where) for name, value in found.items()}


def _unique(pairs: list[tuple[str, JsonValue]], where: str) -> dict[str, JsonValue]:
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{where} holds {twice!r} twice", remedy=_REMEDY)
    return dict(pairs)


def _finite(name: str, value: JsonValue, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{where}: {name} = {str(value)[:80]!r} is no number", remedy=_REMEDY)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise DataError(f"{where}: {name} = {number} is not finite", remedy=_REMEDY)
    return number
