"""Types and bounds of settings in words: the same in faults and in the reference."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

_BOUNDS = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}
_TEXT_PATTERNS = {
    r"^[a-z0-9][a-z0-9-]{0,62}$": "at most 63 lower-case letters, digits and hyphens",
    r"^[A-Za-z0-9-]{1,64}$": "at most 64 letters, digits and hyphens",
}


def kinds_of(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of an annotation, None left out."""
    if get_origin(annotation) in {Union, UnionType}:
        return tuple(kind for kind in get_args(annotation) if kind is not NoneType)
    return (annotation,)


def words(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """What a value of this type may be, in words that follow "must be".

    >>> words(int | None)
    'a whole number'
    """
    kinds = kinds_of(annotation)
    if len(kinds) > 1:
        return "true, false, a number or text"
    kind = kinds[0]
    if get_origin(kind) is Annotated:
        inner, *more = get_args(kind)
        return words(inner, [*metadata, *_flat(more)])
    if get_origin(kind) is tuple:
        least = " with at least one entry" if _bound(metadata, "min_length") else ""
        return f"a list{least}, each {words(get_args(kind)[0])}"
    return _scalar_words(kind, metadata)


def choices(annotation: Any, metadata: Sequence[Any] = ()) -> tuple[str, ...]:
    """The values of a closed set of texts, none when the set is open."""
    kind = kinds_of(annotation)[0]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return tuple(str(member.value) for member in kind)
    listed = re.fullmatch(r"\^\(([\w|]+)\)\$", _bound(metadata, "pattern") or "")
    return tuple(listed[1].split("|")) if listed else ()


def _flat(metadata: Sequence[Any]) -> Iterator[Any]:
    for item in metadata:
        yield from item.metadata if isinstance(item, FieldInfo) else (item,)


def _scalar_words(kind: Any, metadata: Sequence[Any]) -> str:
    if kind is bool:
        return "true or false"
    if kind in {int, float}:
        return ("a whole number" if kind is int else "a number") + _range_words(metadata)
    if kind is datetime:
        return "a date or a date and time, such as 2025-06-30T12:00:00Z"
    closed = choices(kind, metadata)
    return "one of " + ", ".join(closed) if closed else _text_words(metadata)


def _text_words(metadata: Sequence[Any]) -> str:
    pattern = _bound(metadata, "pattern")
    if pattern is not None:
        return _TEXT_PATTERNS.get(pattern, f"text that matches {pattern}")
    return "text, not empty" if _bound(metadata, "min_length") else "text"


def _range_words(metadata: Sequence[Any]) -> str:
    lower = _tightest(metadata, "gt", max) or _tightest(metadata, "ge", max)
    upper = _tightest(metadata, "lt", min) or _tightest(metadata, "le", min)
    bounds = " and ".join(bound for bound in (lower, upper) if bound)
    return f" {bounds}" if bounds else ""


def _tightest(metadata: Sequence[Any], name: str, pick: Callable[[list[Any]], Any]) -> str:
    bounds = [bound for item in metadata if (bound := getattr(item, name, None)) is not None]
    return f"{_BOUNDS[name]} {pick(bounds)}" if bounds else ""


def _bound(metadata: Sequence[Any], name: str) -> Any:
    bounds = (getattr(item, name, None) for item in metadata)
    return next((bound for bound in bounds if bound is not None), None)
