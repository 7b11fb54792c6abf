"""Histograms a model was accepted on, and how far later rows are from them.

A baseline is JSON: `{"format": 1, "rows": n, "columns": {name: histogram}}`. A histogram has
`kind`, `counts`, `missing` (rows without a value), `other` (rows that fit no bin) and
- kind `edges`: rising `edges`; bin i holds what lies above edge i - 1 and up to edge i,
- kind `values`: a number with few distinct values has one bin for each of the `values`,
- kind `labels`: the most frequent `labels` of a text column.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from ml_pipeline.adapters.local import tables_cells as cells
from ml_pipeline.adapters.local.tables_files import column as column_of
from ml_pipeline.domain.drift import binned, quantile_edges, stability_index
from ml_pipeline.domain.errors import DataError
from ml_pipeline.domain.policies.data import ColumnType, DataPolicy

#: Text columns keep a bin of their own for so many labels; the rest share `other`.
_LABELS = 50
Count = Annotated[int, Field(ge=0)]


class _Histogram(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["edges", "values", "labels"]
    edges: list[FiniteFloat] = []
    values: list[FiniteFloat] = []
    labels: list[str] = []
    counts: list[Count]
    other: Count
    missing: Count

    @property
    def bins(self) -> list[int]:
        """Counts of all bins, those without a value and of other values last."""
        return [*self.counts, self.other, self.missing]


class _Baseline(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1]
    rows: Annotated[int, Field(ge=1)]
    columns: dict[str, _Histogram]


def baseline(frame: pl.DataFrame, data: DataPolicy, *, bins: int, path: Path) -> dict[str, object]:
    """Histograms of features and target.

    Raises:
        DataError: a column is absent.
    """
    histograms = {
        name: _histogram(column_of(frame, name, path), _is_text(name, data), bins)
        for name in (*data.features, data.target)
    }
    made = _Baseline(format=1, rows=frame.height, columns=histograms)
    return made.model_dump(mode="json", exclude_defaults=True)


def drift(frame: pl.DataFrame, against: Mapping[str, object], path: Path) -> dict[str, float]:
    """The stability index of each column of a baseline.

    Raises:
        DataError: the baseline is none, or a column of it is absent.
    """
    try:
        known = _Baseline.model_validate(against)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"the drift baseline is not readable: {where or 'it'}: {first['msg']}",
            remedy="Promote a model anew: its baseline will replace this one.",
        ) from error
    return {
        name: stability_index(before.bins, _again(column_of(frame, name, path), before).bins)
        for name, before in known.columns.items()
    }


def _is_text(name: str, data: DataPolicy) -> bool:
    declared = data.columns.get(name)
    if declared is not None and declared.type is ColumnType.TEXT:
        return True
    return name == data.target and bool(data.classes)


def _histogram(column: pl.Series, text: bool, bins: int) -> _Histogram:
    meant = cells.typed(column)
    if text or not (meant.dtype.is_numeric() or meant.dtype == pl.Boolean):
        labels = cells.texts(column).filter(~cells.missing(column, text=True))
        counted = (
            labels.rename("label")
            .value_counts(sort=True)
            .sort(["count", "label"], descending=[True, False])
        )
        return _by_label(column, counted.get_column("label").head(_LABELS).to_list())
    values = cells.numbers(meant).drop_nulls()
    finite = values.filter(values.is_finite())
    if finite.n_unique() <= bins:
        return _by_value(meant, finite.unique().sort().to_list())
    return _by_edge(meant, quantile_edges(finite.to_numpy(), bins).tolist())


def _again(column: pl.Series, before: _Histogram) -> _Histogram:
    if before.kind == "labels":
        return _by_label(column, before.labels)
    meant = cells.typed(column)
    if before.kind == "values":
        return _by_value(meant, before.values)
    return _by_edge(meant, before.edges)


def _by_label(column: pl.Series, labels: Sequence[str]) -> _Histogram:
    empty = cells.missing(column, text=True)
    places = cells.positions(column, labels).filter(~empty)
    counts = _counted(places, len(labels))
    return _Histogram(
        kind="labels",
        labels=list(labels),
        counts=counts,
        other=places.null_count(),
        missing=int(empty.sum()),
    )


def _by_value(column: pl.Series, values: Sequence[float]) -> _Histogram:
    empty = cells.missing(column)
    found = {value: place for place, value in enumerate(values)}
    numbers = cells.numbers(column).filter(~empty)
    places = numbers.replace_strict(found, default=None, return_dtype=pl.Int64)
    return _Histogram(
        kind="values",
        values=list(values),
        counts=_counted(places, len(values)),
        other=places.null_count(),
        missing=int(empty.sum()),
    )


def _by_edge(column: pl.Series, edges: Sequence[float]) -> _Histogram:
    empty = cells.missing(column)
    numbers = cells.numbers(column).filter(~empty)
    counts = binned(numbers.drop_nulls().to_numpy(), np.array(edges))
    return _Histogram(
        kind="edges",
        edges=list(edges),
        counts=counts,
        other=numbers.null_count(),
        missing=int(empty.sum()),
    )


def _counted(places: pl.Series, bins: int) -> list[int]:
    counts = np.bincount(places.drop_nulls().to_numpy(), minlength=bins)
    return [int(count) for count in counts]
