"""`[data.columns]` held against the rows: one check a question, each with what was measured."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from ml_pipeline.adapters.local import tables_cells as cells
from ml_pipeline.adapters.local.tables_times import epoch_us
from ml_pipeline.domain.evidence import Check
from ml_pipeline.domain.policies.data import ColumnPolicy, ColumnType, DataPolicy

_NUMERIC = (ColumnType.NUMBER, ColumnType.INTEGER)


def needed(data: DataPolicy) -> list[str]:
    """The columns without which there is nothing to train, split or compare."""
    time = [data.time_column] if data.time_column else []
    return list(dict.fromkeys((data.target, *data.features, *time, *data.key_columns)))


def checks(frame: pl.DataFrame, data: DataPolicy, path: Path) -> Iterator[Check]:
    """Every check of a table, in the order of the settings."""
    yield _rows(frame, data)
    yield _columns(frame, data, path)
    for name, policy in _policies(data).items():
        if name not in frame.columns:
            message = f"{path.name} has no column {name!r}"
            yield Check(
                name=f"{name}: present",
                passed=False,
                value="absent",
                limit="present",
                message=message,
            )
        else:
            yield from _column(frame.get_column(name), policy)


def _policies(data: DataPolicy) -> dict[str, ColumnPolicy]:
    """What the settings declare; target and time column are checked without being declared."""
    target = ColumnPolicy()
    if data.classes:
        target = ColumnPolicy(type=ColumnType.TEXT, allowed=data.classes)
    implied = {data.target: target}
    if data.time_column:
        implied[data.time_column] = ColumnPolicy(type=ColumnType.TIME)
    return implied | data.columns


def _rows(frame: pl.DataFrame, data: DataPolicy) -> Check:
    return Check(
        name="rows",
        passed=frame.height >= data.min_rows,
        value=float(frame.height),
        limit=float(data.min_rows),
        unit="rows",
        message=f"{frame.height} rows, of at least {data.min_rows} asked for",
    )


def _columns(frame: pl.DataFrame, data: DataPolicy, path: Path) -> Check:
    names = needed(data)
    absent = [name for name in names if name not in frame.columns]
    message = f"all {len(names)} columns that target, features, time and keys name are there"
    if absent:
        message = f"{path.name} lacks {', '.join(repr(name) for name in absent)}"
    return Check(
        name="columns",
        passed=not absent,
        value=float(len(absent)),
        limit=0.0,
        unit="absent columns",
        message=message,
    )


def _column(column: pl.Series, policy: ColumnPolicy) -> Iterator[Check]:
    text = policy.type is ColumnType.TEXT
    meant = column if text else cells.typed(column)
    empty = cells.missing(meant, text=text)
    yield _share(
        column, empty, f"{column.name}: missing", "hold no value", policy.max_missing_share
    )
    wrong = _of_other_type(meant, policy.type) & ~empty
    yield _share(column, wrong, f"{column.name}: type", f"hold no {policy.type}")
    if policy.min is not None or policy.max is not None:
        outside = ~_within(cells.numbers(meant), policy) & ~empty
        low = "-inf" if policy.min is None else f"{policy.min:g}"
        high = "inf" if policy.max is None else f"{policy.max:g}"
        yield _share(column, outside, f"{column.name}: range", f"lie outside {low} to {high}")
    if policy.allowed is not None:
        other = cells.positions(column, policy.allowed).is_null() & ~empty
        said = f"hold none of {', '.join(policy.allowed)}"
        yield _share(column, other, f"{column.name}: allowed", said)
    if policy.unique:
        again = ~column.is_first_distinct() & ~empty
        yield _share(column, again, f"{column.name}: unique", "repeat an earlier one")


def _share(column: pl.Series, faulty: pl.Series, name: str, said: str, limit: float = 0.0) -> Check:
    """The share of faulty rows against its limit; the message names the first of them."""
    rows, count = len(column), int(faulty.sum())
    message = f"none of {rows} rows {said}"
    if count:
        row = faulty.arg_max() or 0
        value = column[row]
        shown = "empty" if value is None else repr(value)
        message = f"{count} of {rows} rows {said}; first in row {row + 1}: {shown}"
    return Check(
        name=name,
        passed=count / rows <= limit,
        value=count / rows,
        limit=limit,
        unit="share",
        message=message,
    )


def _of_other_type(column: pl.Series, kind: ColumnType) -> pl.Series:
    if kind in _NUMERIC:
        values = cells.numbers(column)
        broken = ~values.is_finite().fill_null(value=False)
        if column.dtype == pl.Boolean or column.dtype.is_temporal():
            broken = pl.repeat(value=True, n=len(column), eager=True)
        if kind is ColumnType.INTEGER:
            broken |= (values != values.floor()).fill_null(value=True)
        return broken
    if kind is ColumnType.TIME:
        return epoch_us(column).is_null()
    if kind is ColumnType.BOOLEAN:
        lower = cells.texts(column).str.to_lowercase()
        return cells.positions(lower, ("false", "true", "0", "1")).is_null()
    texts = column.dtype == pl.String or isinstance(column.dtype, pl.Categorical | pl.Enum)
    return pl.repeat(value=not texts, n=len(column), eager=True)


def _within(values: pl.Series, policy: ColumnPolicy) -> pl.Series:
    inside = values.is_not_null()
    if policy.min is not None:
        inside &= (values >= policy.min).fill_null(value=False)
    if policy.max is not None:
        inside &= (values <= policy.max).fill_null(value=False)
    return inside
