"""Which table is the data, and which of its columns are target, features, time and key."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_pipeline.settings.survey.files import in_tests
from ml_pipeline.settings.survey.scripts import Script
from ml_pipeline.settings.survey.tables import Column, Table, header, measured

_TARGET_WEIGHT = 10
_CLASSES_AT_MOST = 20
_IDENTIFIER = re.compile(r"(^|_)(id|key|uuid|number|no)$", re.IGNORECASE)
_FEATURES = re.compile(r"features?|feature_(cols|columns|names)|columns|x_cols", re.IGNORECASE)
_NO_FEATURES = re.compile(
    r"(^|_)(drop\w*|exclu\w*|ignore\w*|skip\w*|unused|target\w*|labels?|ids?|keys?|index|dates?"
    r"|times?|y|meta\w*)(_|$)",
    re.IGNORECASE,
)


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
    """The likeliest table, measured, and its columns; no table when there is none to read.

    Args:
        source: the project's folder.
        paths: tables, the likeliest first where scripts do not tell.
        scripts: those first whose word counts most.
    """
    own = [script for script in scripts if not in_tests(script.path)]
    targets = [name for script in own for name in script.targets]
    known = {name for script in own for names in script.lists.values() for name in names}
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
        lists = list(_named_features(own))
        named = tuple(name for name in (lists or [()])[0] if name != target)
        return Choice(target=target, features=named), None
    most = max(hits for hits, _ in ranked)
    table = measured(source, next(path for hits, path in ranked if hits == most))
    return _columns(table, targets, own), table


def is_classes(column: Column, *, regresses: bool = False) -> bool:
    """Whether a target looks like classes and not like a quantity.

    Args:
        column: the target as measured.
        regresses: the training uses an estimator of quantities.
    """
    few = 0 < column.distinct <= _CLASSES_AT_MOST and not regresses
    return column.kind in {"text", "boolean"} or (column.kind == "integer" and few)


def _columns(table: Table, targets: Sequence[str], scripts: Sequence[Script]) -> Choice:
    target, target_doubt = _target(table, targets)
    time, time_doubt = _time(table, target)
    keys = tuple(
        column.name
        for column in table.columns
        if _IDENTIFIER.search(column.name) and column.distinct == table.rows > 1
    )[:1]
    taken = {target, time, *keys}
    features, doubt, absent = _features(table, scripts, taken)
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
    table: Table, scripts: Sequence[Script], taken: set[str]
) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    lists = list(_named_features(scripts))
    best = max(
        lists, key=lambda names: sum(table.column(name) is not None for name in names), default=()
    )
    named = [name for name in best if name not in taken]
    if any(table.column(name) for name in named):
        absent = tuple(name for name in named if table.column(name) is None)
        doubt = "a script lists them" if len(lists) > 1 or absent else ""
        return tuple(dict.fromkeys(named)), doubt, absent
    found, doubt = _unnamed_features(table, scripts, taken)
    return found, doubt, ()


def _named_features(scripts: Sequence[Script]) -> Iterator[Sequence[str]]:
    """Different lists under a name for features; those that say "feature" first."""
    lists = [pair for script in scripts for pair in script.lists.items()]
    found = [
        (name, texts)
        for name, texts in lists
        if _FEATURES.search(name) and not _NO_FEATURES.search(name)
    ]
    found.sort(key=lambda pair: "feature" not in pair[0].lower())
    yield from dict.fromkeys(tuple(texts) for _, texts in found)


def _unnamed_features(
    table: Table, scripts: Sequence[Script], taken: set[str]
) -> tuple[tuple[str, ...], str]:
    """Columns a script selects, lists or leaves after `drop`, else all numbers, else all texts."""
    candidates = [pair for script in scripts for pair in script.selected.items()]
    lists = [pair for script in scripts for pair in script.lists.items()]
    candidates += [(name, texts) for name, texts in lists if not _NO_FEATURES.search(name)]
    fitting = [
        (tuple(dict.fromkeys(name for name in texts if name not in taken)), source)
        for source, texts in candidates
        if all(table.column(name) for name in texts)
    ]
    names, source = max(fitting, key=lambda pair: len(pair[0]), default=((), ""))
    if names:
        return names, f"as the scripts' {source} says"
    rest = [column for column in table.columns if column.name not in taken]
    gone = {name for script in scripts for name in script.dropped}
    if gone & {column.name for column in table.columns}:
        kept = tuple(column.name for column in rest if column.name not in gone)
        return kept, "all columns that the scripts do not drop; the order is that of the training"
    numbers = tuple(column.name for column in rest if column.is_number)
    texts = tuple(column.name for column in rest if column.kind == "text")
    kind = "numbers" if numbers else "text"
    return numbers or texts, f"all columns of {kind}; the order is that of the training"
