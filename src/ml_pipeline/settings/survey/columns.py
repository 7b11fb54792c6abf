"""Which table is the data, and which of its columns are target, features, time and key."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_pipeline.settings.survey.files import in_tests
from ml_pipeline.settings.survey.scripts import Script
from ml_pipeline.settings.survey.tables import Column, Table, header, measured

_TARGET_WEIGHT = 10
_CLASSES_AT_MOST = 20
_IDENTIFIER = re.compile(r"(^|_)(id|key|uuid|number|no)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Columns and what they are for; a doubt says why a guess needs eyes (empty: none).

    `absent` are features a script names that the table does not have.
    """

    target: str = ""
    target_doubt: str = ""
    features: tuple[str, ...] = ()
    features_doubt: str = ""
    absent: tuple[str, ...] = ()
    time: str = ""
    time_doubt: str = ""
    keys: tuple[str, ...] = ()


def choose(
    source: Path, paths: Sequence[Path], scripts: Sequence[Script]
) -> tuple[Choice, Table | None]:
    """The likeliest table, measured, and its columns; no table when there is none to read."""
    own = [script for script in scripts if not in_tests(script.path)]
    targets = [name for script in own for name in script.targets]
    lists = [names for script in own for names in script.features]
    known = {name for names in lists for name in names}
    ranked = []
    for path in paths:
        try:
            names = header(source / path)
        except ValueError:
            continue
        hits = len(known & set(names)) + _TARGET_WEIGHT * any(name in names for name in targets)
        ranked.append((hits, path))
    if not ranked:
        target = targets[0] if targets else ""
        named = tuple(name for name in (lists or [()])[0] if name != target)
        return Choice(target=target, features=named), None
    most = max(hits for hits, _ in ranked)
    table = measured(source, next(path for hits, path in ranked if hits == most))
    return _columns(table, targets, lists), table


def is_classes(column: Column) -> bool:
    """Whether a target looks like classes and not like a quantity."""
    few = 0 < column.distinct <= _CLASSES_AT_MOST
    return column.kind in {"text", "boolean"} or (column.kind == "integer" and few)


def _columns(table: Table, targets: Sequence[str], lists: Sequence[Sequence[str]]) -> Choice:
    target, target_doubt = _target(table, targets)
    time, time_doubt = _time(table, target)
    keys = tuple(
        column.name
        for column in table.columns
        if _IDENTIFIER.search(column.name) and column.distinct == table.rows > 1
    )[:1]
    taken = {target, time, *keys}
    features, doubt, absent = _features(table, lists, taken)
    return Choice(
        target=target,
        target_doubt=target_doubt,
        features=features,
        features_doubt=doubt,
        absent=absent,
        time=time,
        time_doubt=time_doubt,
        keys=keys,
    )


def _target(table: Table, targets: Sequence[str]) -> tuple[str, str]:
    found = next((name for name in targets if table.column(name)), "")
    if found or not table.columns:
        return found, ""
    return table.columns[-1].name, "no script names its target, so this is the last column"


def _time(table: Table, target: str) -> tuple[str, str]:
    times = [column.name for column in table.columns if column.kind == "time"]
    times = [name for name in times if name != target]
    if not times:
        return "", ""
    return times[0], f"there are also {', '.join(times[1:])}" if times[1:] else ""


def _features(
    table: Table, lists: Sequence[Sequence[str]], taken: set[str]
) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    best = max(
        lists, key=lambda names: sum(table.column(name) is not None for name in names), default=()
    )
    named = [name for name in best if name not in taken]
    if any(table.column(name) for name in named):
        absent = tuple(name for name in named if table.column(name) is None)
        doubt = "a script lists them" if len(lists) > 1 or absent else ""
        return tuple(dict.fromkeys(named)), doubt, absent
    numbers = [column.name for column in table.columns if column.is_number]
    rest = tuple(name for name in numbers if name not in taken)
    return rest, "all columns of numbers; the order is that of the training", ()
