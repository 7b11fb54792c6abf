"""Rows in files, by polars: CSV, or Parquet by its ending.

`row 1` in a message is the first row below the header.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_pipeline.adapters.local import tables_cells as cells
from ml_pipeline.adapters.local import tables_drift, tables_files, tables_prints
from ml_pipeline.adapters.local.tables_checks import checks, needed
from ml_pipeline.adapters.local.tables_times import microseconds, moment, times
from ml_pipeline.domain.errors import ConfigurationError, DataError
from ml_pipeline.domain.evidence import Check
from ml_pipeline.domain.holdout import held_out_by_hash, time_cutoff
from ml_pipeline.domain.policies.data import DataPolicy
from ml_pipeline.ports.tables import Comparable, Split, TableStore


class PolarsTables:
    """Speaks `ports.tables.TableStore`.

    Args:
        separator: what parts the cells of a CSV of which `check_columns` is asked; empty when its
            name tells, as the names of a run's own files do.
    """

    def __init__(self, separator: str = "") -> None:
        self._separator = separator

    def check_columns(self, table: Path, data: DataPolicy) -> int:
        frame = tables_files.require(tables_files.read(table, self._separator), needed(data), table)
        target = frame.get_column(data.target)
        values = _numbers(target, data.classes, table)
        absent = ~np.isfinite(values)
        if absent.any():
            row = int(np.argmax(absent))
            raise DataError(
                f"{table}: the target {data.target!r} is empty, NaN or infinite in"
                f" {int(absent.sum())} of {len(values)} rows, first in row {row + 1}:"
                f" {target[row]!r}",
                remedy="Leave rows without a target out, in 'data.fetch' or 'data.prepare'.",
            )
        return frame.height

    def split(
        self,
        table: Path,
        data: DataPolicy,
        *,
        training: Path,
        holdout: Path,
        fingerprints: Path,
        cutoff: datetime | None,
    ) -> Split:
        frame = tables_files.read(table)
        columns = tables_prints.identifying(frame, data.key_columns)
        prints = tables_prints.fingerprints(frame, columns, table)
        cutoff = cutoff or data.cutoff
        if data.time_column is not None:
            moments = times(tables_files.column(frame, data.time_column, table), table).to_numpy()
            from_us = microseconds(cutoff) if cutoff else time_cutoff(moments, data.holdout_share)
            held = moments >= from_us
            told = _by_time(moments, held, from_us)
        elif cutoff is not None:
            raise ConfigurationError(
                f"rows cannot be cut off at {cutoff}: 'data.time_column' is not set",
                remedy="Set 'data.time_column', or leave '--cutoff-date' out.",
            )
        else:
            # A row's fingerprint decides: it stays on its side while keys and share stay.
            held = held_out_by_hash(prints, data.holdout_share)
            told = _counted(held)
        _both_sides(told, table, data)
        tables_files.write(frame.filter(~held), training)
        tables_files.write(frame.filter(held), holdout)
        tables_prints.write(fingerprints, columns, prints[~held])
        return told

    def comparable(
        self, holdout: Path, data: DataPolicy, *, seen: Sequence[Path], target: Path
    ) -> Comparable:
        frame = tables_files.require(tables_files.read(holdout), needed(data), holdout)
        known = tables_prints.seen(frame, seen, holdout)
        tables_files.write(frame.filter(~known), target)
        return Comparable(rows=int((~known).sum()), seen_rows=int(known.sum()))

    def validate(self, table: Path, data: DataPolicy) -> Sequence[Check]:
        return tuple(checks(tables_files.read(table), data, table))

    def sample(self, table: Path, target: Path, *, rows: int, seed: int) -> int:
        frame = tables_files.read(table)
        count = min(rows, frame.height)
        # numpy promises the same draws in later versions; polars does not.
        drawn = np.random.default_rng(seed).choice(frame.height, size=count, replace=False)
        tables_files.write(frame[np.sort(drawn)], target)
        return count

    def convert(self, table: Path, target: Path, *, text: Collection[str] = ()) -> None:
        frame = tables_files.read(table)
        if tables_files.is_parquet(target) and not tables_files.is_parquet(table):
            frame = tables_files.inferred(frame, text)
        tables_files.write(frame, target)

    def column(self, table: Path, name: str, classes: Sequence[str] = ()) -> Sequence[float]:
        column = tables_files.column(tables_files.read(table), name, table)
        values: list[float] = _numbers(column, classes, table).tolist()
        return values

    def records(
        self, table: Path, columns: Sequence[str], limit: int, *, text: Collection[str] = ()
    ) -> Sequence[Sequence[object]]:
        frame = tables_files.require(tables_files.read(table), columns, table)
        lists = [_json(frame.get_column(name), limit, table, text=name in text) for name in columns]
        return [list(row) for row in zip(*lists, strict=True)]

    def baseline(self, table: Path, data: DataPolicy, *, bins: int) -> Mapping[str, object]:
        return tables_drift.baseline(tables_files.read(table), data, bins=bins, path=table)

    def drift(self, table: Path, baseline: Mapping[str, object]) -> Mapping[str, float]:
        return tables_drift.drift(tables_files.read(table), baseline, table)


def _by_time(moments: NDArray[np.int64], held: NDArray[np.bool_], from_us: int) -> Split:
    before = moments[~held]
    return Split(
        training_rows=int(before.size),
        holdout_rows=int(held.sum()),
        cutoff=moment(from_us),
        trained_through=moment(int(before.max())) if before.size else None,
        newest=moment(int(moments.max())),
    )


def _counted(held: NDArray[np.bool_]) -> Split:
    return Split(
        training_rows=int((~held).sum()),
        holdout_rows=int(held.sum()),
        cutoff=None,
        trained_through=None,
        newest=None,
    )


def _both_sides(told: Split, table: Path, data: DataPolicy) -> None:
    if told.training_rows and told.holdout_rows:
        return
    side = "to train on" if told.holdout_rows else "held out"
    how = f"the cut-off {told.cutoff}" if told.cutoff else f"a share of {data.holdout_share:g}"
    raise DataError(
        f"{table}: with {how} none of {told.training_rows + told.holdout_rows} rows is {side}",
        remedy="Choose a cut-off within the rows' times, or fetch more rows.",
    )


def _numbers(column: pl.Series, classes: Sequence[str], table: Path) -> NDArray[np.float64]:
    """Shape (n,): values, or positions in `classes`; NaN where there is no value."""
    empty = cells.missing(column, text=bool(classes))
    values = cells.positions(column, classes) if classes else cells.numbers(column)
    alien = values.is_null() & ~empty
    if alien.any():
        row = alien.arg_max() or 0
        what = f"none of 'data.classes' ({', '.join(classes)})" if classes else "no number"
        raise DataError(
            f"{table}: column {column.name!r} holds {column[row]!r} in row {row + 1}: {what};"
            f" {int(alien.sum())} of {len(column)} rows are so",
            remedy="Mend the rows, or list the labels of a text target in 'data.classes'.",
        )
    return values.cast(pl.Float64).fill_null(math.nan).to_numpy()


def _json(column: pl.Series, limit: int, table: Path, *, text: bool) -> list[object]:
    """The first cells as JSON values; a missing one is None."""
    meant = column.cast(pl.String) if text else cells.typed(column)
    if meant.dtype.is_temporal() or meant.dtype.is_decimal():
        meant = tables_files.as_cells(meant, table).cast(pl.String)
    values = meant.head(limit).to_list()
    for row, value in enumerate(values):
        if isinstance(value, float) and math.isinf(value):
            raise DataError(
                f"{table}: column {column.name!r} holds {value} in row {row + 1},"
                " which JSON cannot",
                remedy="Replace infinite values, in 'data.fetch' or 'data.prepare'.",
            )
    return values


if TYPE_CHECKING:
    _speaks: type[TableStore] = PolarsTables
