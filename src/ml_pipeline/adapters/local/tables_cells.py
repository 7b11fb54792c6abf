"""What the cells of a column mean: numbers, labels, nothing."""

from collections.abc import Callable, Sequence

import polars as pl

#: Cells that stand for "no value" in an otherwise numeric column: what R, pandas, polars and
#: SQL tools write. In a column of text, NA stays text (a country, a name).
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "-NaN", "NULL", "null", "None")
_TRUTH = ("true", "false")


def typed(column: pl.Series) -> pl.Series:
    """The column as numbers or booleans when all its cells are, else as it came.

    Whole numbers with empty cells stay whole; NaN becomes null. Blanks around a number do not
    matter.
    """
    if column.dtype.is_float():
        return column.fill_nan(None)
    if column.dtype != pl.String:
        return column
    text = _present(column)
    empty = text.null_count()
    for kind in (pl.Int64, pl.Float64):
        read = text.cast(kind, strict=False)
        read = read.fill_nan(None) if kind == pl.Float64 else read
        if read.null_count() == empty < len(column):
            return read.alias(column.name)
    lower = text.str.to_lowercase()
    if empty < len(column) and lower.is_in(_TRUTH, nulls_equal=False).fill_null(value=True).all():
        return (lower == "true").alias(column.name)
    return column


def numbers(column: pl.Series) -> pl.Series:
    """Float64, cell by cell; null where there is no number. True is 1."""
    if column.dtype == pl.String:
        meant = typed(column)
        if meant.dtype != pl.String:
            return meant.cast(pl.Float64)
        return _present(column).cast(pl.Float64, strict=False).fill_nan(None)
    if column.dtype == pl.Date or isinstance(column.dtype, pl.Datetime):
        return column.dt.epoch("us").cast(pl.Float64)
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        return column.cast(pl.Float64).fill_nan(None)
    return pl.Series(column.name, [None] * len(column), dtype=pl.Float64)


def missing(column: pl.Series, *, text: bool = False) -> pl.Series:
    """Boolean: which cells hold no value.

    Args:
        column: as read.
        text: the column is of text, where only an empty cell is missing.
    """
    if column.dtype.is_float():
        return column.is_null() | column.is_nan().fill_null(value=True)
    if column.dtype != pl.String:
        return column.is_null()
    if text:
        return column.is_null() | (column.str.strip_chars() == "").fill_null(value=True)
    return _present(column).is_null()


def positions(column: pl.Series, labels: Sequence[str]) -> pl.Series:
    """Int64: each cell's position among the labels; null where it is none of them.

    `1.0` is the label "1" and `True` the label "true" or "True", however the file wrote it.
    """
    exact = {label: place for place, label in enumerate(labels)}
    folded = {_folded(label): place for place, label in enumerate(labels)}
    found = texts(column).replace_strict(exact, default=None, return_dtype=pl.Int64)
    if found.null_count() == 0:
        return found
    meant = texts(typed(column)).replace_strict(folded, default=None, return_dtype=pl.Int64)
    return found.zip_with(found.is_not_null(), meant)


def texts(column: pl.Series) -> pl.Series:
    """String: each cell as a label; a whole number without a decimal point."""
    kind = column.dtype
    if kind.is_float():
        whole = column.cast(pl.Int64, strict=False)
        return whole.cast(pl.String).zip_with(
            (whole == column).fill_null(value=False), column.cast(pl.String)
        )
    if kind == pl.Boolean:
        return column.cast(pl.Int8).cast(pl.String).replace({"1": "true", "0": "false"})
    return column.cast(pl.String).str.strip_chars()


def by_distinct(column: pl.Series, meaning: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """What each cell means, worked out once for each distinct text.

    On 336,000 rows with 4,000 to 9,000 distinct texts 5 to 10 times as fast as cell by cell.
    """
    distinct = column.unique()
    if len(distinct) > len(column) // 4:
        return meaning(column)
    found = meaning(distinct)
    return column.replace_strict(distinct, found, return_dtype=found.dtype)


def _present(column: pl.Series) -> pl.Series:
    """Text without blanks around it, null where it stands for no value."""
    text = column.str.strip_chars()
    return text.replace(dict.fromkeys(MISSING))


def _folded(label: str) -> str:
    return label.lower() if label.lower() in _TRUTH else label
