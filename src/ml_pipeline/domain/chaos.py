"""Drills: how a deployment of the embedded platform misbehaves on request."""

import math
from dataclasses import dataclass
from typing import NoReturn

from ml_pipeline.domain.errors import ConfigurationError

MAX_SLOW_MS = 60_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chaos:
    """What a model server does wrong to prediction requests; health checks are left alone.

    Attributes:
        errors_share: share (0-1) of requests answered with 500.
        slow_ms: milliseconds each answer is held back, 0 for none.
        crash_after: requests answered before the next one ends the process; 0 for never.
    """

    errors_share: float = 0.0
    slow_ms: float = 0.0
    crash_after: int = 0

    @property
    def harmless(self) -> bool:
        """Whether nothing at all goes wrong."""
        return self == Chaos()

    def fails(self, request: int) -> bool:
        """Whether the `request`-th request (from 1) is answered with an error.

        Errors are spread evenly, so that among any n requests their share is exact to one.

        >>> [request for request in range(1, 11) if Chaos(errors_share=0.2).fails(request)]
        [5, 10]
        """
        return math.floor(request * self.errors_share) > math.floor(
            (request - 1) * self.errors_share
        )

    def crashes(self, request: int) -> bool:
        """Whether the process ends on the `request`-th request (from 1)."""
        return 0 < self.crash_after < request


def parse_chaos(spec: str) -> Chaos:
    """The drill a text such as `errors=0.2,slow_ms=800` asks for; an empty one asks for none.

    Raises:
        ConfigurationError: an unknown or repeated key, or a value out of its range.

    >>> parse_chaos("errors=0.2, crash_after=50")
    Chaos(errors_share=0.2, slow_ms=0.0, crash_after=50)
    """
    given: dict[str, str] = {}
    for part in spec.split(",") if spec.strip() else ():
        key, equals, value = (word.strip() for word in part.partition("="))
        if not equals or key not in _RANGES or key in given:
            what = "given twice" if key in given else "not a drill"
            _refuse(spec, f"{part.strip()!r} is {what}")
        given[key] = value
    return Chaos(
        errors_share=_number(spec, "errors", given, 1.0),
        slow_ms=_number(spec, "slow_ms", given, MAX_SLOW_MS),
        crash_after=_count(spec, "crash_after", given),
    )


_RANGES = {
    "errors": "a share from 0 to 1",
    "slow_ms": f"milliseconds from 0 to {MAX_SLOW_MS:g}",
    "crash_after": "a whole number of requests from 1",
}


def _number(spec: str, key: str, given: dict[str, str], highest: float) -> float:
    try:
        value = float(given.get(key, "0"))
    except ValueError:
        value = math.nan
    if not 0 <= value <= highest:
        _refuse(spec, f"{key}={given[key]} is not {_RANGES[key]}")
    return value


def _count(spec: str, key: str, given: dict[str, str]) -> int:
    if key not in given:
        return 0
    text = given[key]
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) < 1:
        _refuse(spec, f"{key}={text} is not {_RANGES[key]}")
    return int(text)


def _refuse(spec: str, what: str) -> NoReturn:
    allowed = ", ".join(f"{key} ({meaning})" for key, meaning in _RANGES.items())
    raise ConfigurationError(
        f"chaos {spec!r}: {what}",
        remedy=f"Use {allowed}, separated by commas, as in errors=0.2,slow_ms=800.",
    )
