"""Tables of the project, measured: columns, types, ranges, gaps."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_pipeline.settings.survey.classes import in_order
from ml_pipeline.settings.survey.files import in_tests, walk

if TYPE_CHECKING:
    import polars as pl

#: What a constant scores whatever the rows are.
_ALWAYS = {"roc_auc": 0.5, "r2": 0.0}
_MANY_ROWS_TO_INFER = 100_000
_FEW_VALUES = 20
_LONGEST_HEADER = 1 << 20
_QUOTED = re.compile(r'"[^"]*"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column; `low` and `high` are measured, None where the column has no order.

    `values` are all of them, sorted, when they are few.
    """

    name: str
    kind: str
    missing_share: float
    distinct: int
    low: Any = None
    high: Any = None
    values: tuple[Any, ...] = ()

    @property
    def is_number(self) -> bool:
        """Whether it can be computed with."""
        return self.kind in {"number", "integer", "boolean"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One file of rows; `fault` says why it could not be read."""

    path: Path
    rows: int = 0
    columns: tuple[Column, ...] = ()
    separator: str = ","
    fault: str = field(default="")

    def column(self, name: str) -> Column | None:
        """The column of that name."""
        return next((column for column in self.columns if column.name == name), None)


def tables(source: Path) -> Sequence[Path]:
    """CSV and Parquet files outside the tests, the largest first."""
    found = [path for path in walk(source, ".csv", ".tsv", ".parquet") if not in_tests(path)]
    return sorted(found, key=lambda path: (-(source / path).stat().st_size, path))


def header(file: Path) -> Sequence[str]:
    """The columns' names.

    Raises:
        ValueError: the file cannot be read as a table; says why.
    """
    import polars as pl  # noqa: PLC0415  # only where a table is looked at

    try:
        return _scan(file, rows_to_infer=1).collect_schema().names()
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise ValueError(str(error).splitlines()[0]) from error


def measured(source: Path, path: Path, *, only: str | None = None) -> Table:
    """The table with every column, or one of them, measured over all its rows."""
    import polars as pl  # noqa: PLC0415  # only where a table is looked at

    try:
        scan = _scan(source / path, rows_to_infer=_MANY_ROWS_TO_INFER)
        frame = (scan if only is None else scan.select(only)).collect()
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        return Table(path=path, fault=str(error).splitlines()[0])
    columns = tuple(_column(frame[name]) for name in frame.columns)
    separator = separator_of(source / path)
    return Table(path=path, rows=frame.height, columns=columns, separator=separator)


def labels(source: Path, path: Path, target: str, *, most: int) -> Sequence[str]:
    """The different texts of a column, sorted; none when there are more than `most`."""
    import polars as pl  # noqa: PLC0415  # only where a table is looked at

    frame = _scan(source / path, rows_to_infer=_MANY_ROWS_TO_INFER).select(target).collect()
    found = frame[target].drop_nulls().cast(pl.String).unique().sort().to_list()
    return found if len(found) <= most else []


def naive_error(source: Path, path: Path, target: str, metric: str) -> float | None:
    """What a model that always gives the same answer would score; None where that says little."""
    import polars as pl  # noqa: PLC0415  # only where a table is looked at

    frame = _scan(source / path, rows_to_infer=_MANY_ROWS_TO_INFER).select(target).collect()
    values = frame[target].drop_nulls()
    if metric in _ALWAYS or not len(values):
        return _ALWAYS.get(metric)
    if metric in {"accuracy", "log_loss", "f1"}:
        return _naive_of_classes(values, metric)
    numbers = values.cast(pl.Float64, strict=False).drop_nulls().drop_nans()
    if len(numbers) == 0:
        return None
    if metric == "mae":
        return float((numbers - numbers.median()).abs().mean())  # type: ignore[arg-type]
    if metric == "rmse":
        return float(numbers.std(ddof=0))  # type: ignore[arg-type]
    return None


def _naive_of_classes(values: "pl.Series", metric: str) -> float | None:
    """Of the most frequent class, of how often each occurs, or of the positive one always."""
    counts = values.value_counts().iter_rows()
    shares: dict[str, float] = {str(label): count / len(values) for label, count in counts}
    if metric == "accuracy":
        return max(shares.values())
    if metric == "log_loss":
        return -sum(share * math.log(share) for share in shares.values())
    positive = shares[in_order([*shares])[-1]]
    return 2 * positive / (1 + positive) if len(shares) == 2 else None


def separator_of(file: Path) -> str:
    """What parts the cells of a CSV, going by its header: a comma where there is one."""
    if file.suffix == ".parquet":
        return ","
    with file.open("rb") as lines:
        header = lines.readline(_LONGEST_HEADER).decode("utf-8", errors="replace")
    bare = _QUOTED.sub("", header)
    return max(",;\t|", key=lambda sign: ("," in bare and sign == ",", bare.count(sign)))


def _scan(file: Path, *, rows_to_infer: int) -> "pl.LazyFrame":
    import polars as pl  # noqa: PLC0415  # only where a table is looked at

    if file.suffix == ".parquet":
        return pl.scan_parquet(file)
    return pl.scan_csv(
        file,
        separator=separator_of(file),
        try_parse_dates=True,
        infer_schema_length=rows_to_infer,
    )


def _column(series: "pl.Series") -> Column:
    present = series.drop_nulls()
    kind = _kind(series)
    ordered = kind in {"number", "integer", "time"} and len(present) > 0
    distinct = present.n_unique()
    few = distinct <= _FEW_VALUES
    return Column(
        name=series.name,
        kind=kind,
        missing_share=series.null_count() / max(1, len(series)),
        distinct=distinct,
        low=present.min() if ordered else None,
        high=present.max() if ordered else None,
        values=tuple(present.unique().sort().to_list()) if few else (),
    )


def _kind(series: "pl.Series") -> str:
    import polars as pl  # noqa: PLC0415  # only where a table is looked at

    dtype = series.dtype
    if dtype.is_integer():
        return "integer"
    if dtype.is_numeric():
        return "number"
    if dtype.is_temporal():
        return "time"
    return "boolean" if series.dtype.is_(pl.Boolean) else "text"
