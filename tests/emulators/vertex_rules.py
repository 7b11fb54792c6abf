"""What Google's own wheel says of a message, and rules it only writes down in words."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import proto
from proto.marshal.collections import RepeatedComposite

_REQUIRED = re.compile(r"^ {8,}(\w+) \(.*?\):\s*\n\s+Required\.", re.MULTILINE)
_LABEL_KEY, _LABEL_VALUE = re.compile(r"^[a-z][a-z0-9_-]{0,62}$"), re.compile(r"^[a-z0-9_-]{0,63}$")
_FILTER = re.compile(r'([\w./]+)="([^"]*)"')


class RefusedError(Exception):
    """An answer other than OK: a gRPC status by name, and what goes with it."""

    def __init__(self, code: str, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


def check(request: Any) -> None:
    """Hold a request against its class: unknown fields, required fields, labels."""
    problems = list(_problems(request, type(request).__name__))
    if problems:
        raise RefusedError("INVALID_ARGUMENT", "; ".join(problems))


def _problems(message: Any, where: str) -> Iterator[str]:
    if not isinstance(message, proto.Message):
        return
    kind = type(message)
    pb = kind.pb(message)
    # an enum's first value and "not set" are the same on the wire
    known = {field.name for field in pb.DESCRIPTOR.fields if field.enum_type is None}
    told = {field.name for field, _ in pb.ListFields()}
    for name in _REQUIRED.findall(kind.__doc__ or ""):
        if name in known and name not in told:
            yield f"{where}.{name} is required"
    if "labels" in told:
        for key, value in pb.labels.items():
            if not _LABEL_KEY.match(key) or not _LABEL_VALUE.match(value):
                yield f"{where}.labels: {key}={value!r} is no label"
    for name in told:
        yield from _inner(getattr(message, name, None), f"{where}.{name}")


def _inner(value: Any, where: str) -> Iterator[str]:
    if isinstance(value, proto.Message):
        yield from _problems(value, where)
    elif isinstance(value, RepeatedComposite):
        for place, one in enumerate(value):
            yield from _problems(one, f"{where}[{place}]")


def now() -> datetime:
    """The platform's own time."""
    return datetime.now(UTC)


def fits(filter_: str, facts: dict[str, str]) -> bool:
    """Whether facts fit a filter of equalities joined by AND; anything else is refused."""
    if not filter_:
        return True
    for part in filter_.split(" AND "):
        found = _FILTER.fullmatch(part.strip())
        if not found:
            raise RefusedError("INVALID_ARGUMENT", f"the filter {part!r} cannot be read")
        if facts.get(found[1]) != found[2]:
            return False
    return True
