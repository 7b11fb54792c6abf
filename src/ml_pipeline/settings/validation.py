"""Turns given values into sections, and pydantic's errors into faults."""

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from ml_pipeline.settings.faults import Fault, did_you_mean, dotted, shown
from ml_pipeline.settings.given import Given
from ml_pipeline.settings.keys import Leaf, Path, Section, Table, find, meaning, required, root
from ml_pipeline.settings.model import Configuration

Place = tuple[str | int, ...]


def merged(given: Iterable[Given]) -> tuple[dict[str, Any], dict[Path, str]]:
    """Values as one tree and their origins by path; what comes later wins."""
    tree: dict[str, Any] = {}
    origins: dict[Path, str] = {}
    for one in given:
        node = tree
        for name in one.path[:-1]:
            node = node.setdefault(name, {})
        node[one.path[-1]] = one.value
        origins[one.path] = one.origin
    return tree, origins


def origin_of(place: Sequence[str | int], origins: Mapping[Path, str], file: str) -> str:
    """Where a key, the list it stands in, or the keys of the table it names were given."""
    path = tuple(part for part in place if isinstance(part, str))
    for size in range(len(path), 0, -1):
        if path[:size] in origins:
            return origins[path[:size]]
    below = [origin for key, origin in origins.items() if key[: len(path)] == path]
    chosen = dict.fromkeys(origin for origin in below if not origin.startswith("profile "))
    return ", ".join(chosen) or file


@dataclass(slots=True)
class Validation:
    """What came of the sections.

    `sections` are valid; `repaired` have defaults in place of the keys in `dropped`, and serve
    only to find what else is wrong.
    """

    sections: dict[str, Any] = field(default_factory=dict)
    repaired: dict[str, Any] = field(default_factory=dict)
    dropped: set[Path] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)

    def blames_dropped(self, place: Place, message: str) -> bool:
        """Whether a fault may only be there because a faulty value was left out."""
        names = {name for key in self.dropped for name in (repr(key[-1]), dotted(key))}
        return place[:2] in self.dropped or any(name in message for name in names)


def validated(tree: Mapping[str, Any], origins: Mapping[Path, str], *, file: str) -> Validation:
    """The sections that are valid by themselves, and what is wrong with the others.

    Values are checked strictly, as JSON: `"50"` is no number, `true` is no whole number.
    """
    found = Validation()
    for name, declared in Configuration.model_fields.items():
        if name in tree:
            _validate(name, found, tree, origins, file)
        elif declared.is_required():
            found.faults += [_missing(path, file) for path in required((name,))]
        else:
            found.sections[name] = declared.get_default(call_default_factory=True)
    return found


def _validate(
    name: str,
    found: Validation,
    tree: Mapping[str, Any],
    origins: Mapping[Path, str],
    file: str,
) -> None:
    try:
        found.sections[name] = _section(name, tree[name])
    except ValidationError as broken:
        details = broken.errors(include_url=False)
        found.faults += _faults(name, details, tree, origins, file)
        found.dropped |= {(name, str(detail["loc"][0])) for detail in details if detail["loc"]}
        if any(detail["loc"] for detail in details) and isinstance(tree[name], Mapping):
            _repair(name, found, tree, origins, file)


def _repair(
    name: str,
    found: Validation,
    tree: Mapping[str, Any],
    origins: Mapping[Path, str],
    file: str,
) -> None:
    """Look at a section once more without its faulty keys: its own rules may be broken too."""
    rest = {key: value for key, value in tree[name].items() if (name, key) not in found.dropped}
    try:
        found.repaired[name] = _section(name, rest)
    except ValidationError as broken:
        rules = [detail for detail in broken.errors() if detail["type"] == "value_error"]
        found.faults += [
            fault
            for fault in _faults(name, rules, tree, origins, file)
            if not found.blames_dropped((name,), fault.message)
        ]


def _section(name: str, value: Any) -> Any:
    annotation = Configuration.model_fields[name].rebuild_annotation()
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    return adapter.validate_json(json.dumps(value, default=_as_json), strict=True)


def _as_json(value: object) -> str:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return dt.datetime(value.year, value.month, value.day).isoformat()  # noqa: DTZ001  # as given
    if isinstance(value, dt.datetime | dt.time):
        return value.isoformat()
    return str(value)


def _faults(
    name: str,
    details: Iterable[ErrorDetails],
    tree: Mapping[str, Any],
    origins: Mapping[Path, str],
    file: str,
) -> Iterator[Fault]:
    for detail in details:
        place, leaf = _located((name, *detail["loc"]))
        if detail["type"] == "missing":
            yield _missing(tuple(str(part) for part in place), file)
            continue
        origin = origin_of(place, origins, file)
        if leaf is None:
            yield Fault(origin=origin, key=dotted(place), message=_reason(detail))
            continue
        value = value_at(place, tree)
        hint = _hint(leaf, value)
        yield Fault(
            origin=origin,
            key=dotted(place),
            value=shown(place, value),
            message=f"must be {_allowed(detail, place, leaf)}{hint}",
        )


def _located(location: Sequence[str | int]) -> tuple[Place, Leaf | None]:
    """Where an error is, without the names pydantic gives to alternatives of a union."""
    node: Any = root()
    place: Place = ()
    for part in location:
        if isinstance(node, Section) and part in node.children:
            node = node.children[str(part)]
        elif isinstance(node, Table):
            node = node.each
        elif not isinstance(part, int):
            continue
        place = (*place, part)
    return place, node if isinstance(node, Leaf) else None


def _allowed(detail: ErrorDetails, place: Place, leaf: Leaf) -> str:
    if detail["type"] == "finite_number":
        return "a finite number"
    depth = sum(isinstance(part, int) for part in place)
    return leaf.entry(depth).allowed


def _hint(leaf: Leaf, value: object) -> str:
    return did_you_mean(value, leaf.choices) if isinstance(value, str) else ""


def value_at(place: Sequence[str | int], tree: Mapping[str, Any]) -> object:
    """The value as it was given, None when it was not.

    >>> value_at(("a", 1), {"a": [3, 4]}), value_at(("a", "b"), {})
    (4, None)
    """
    value: Any = tree
    for part in place:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _reason(detail: ErrorDetails) -> str:
    error = detail.get("ctx", {}).get("error")
    return str(error) if error is not None else detail["msg"]


def _missing(path: Path, file: str) -> Fault:
    leaf = find(path)
    allowed = leaf.allowed if isinstance(leaf, Leaf) else "a table"
    why = meaning(path)
    message = f"is missing: it must be {allowed}" + (f" ({why})" if why else "")
    return Fault(origin=file, key=dotted(path), message=message)
