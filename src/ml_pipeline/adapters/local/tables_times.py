"""Times out of cells: ISO 8601, dates, and epoch numbers, all as microseconds since 1970 UTC.

Whole numbers, not datetimes: nothing here needs a time zone database.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from ml_pipeline.adapters.local.tables_cells import by_distinct, typed
from ml_pipeline.domain.errors import DataError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ISO = (
    r"^(\d{4}-\d{2}-\d{2})"
    r"(?:[Tt ](\d{2}:\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?"
    r" ?(?:[Zz]|([+-])(\d{2}):?(\d{2})?)?)?$"
)
#: Epoch numbers: from which size on they count in which unit, and microseconds a unit. Each
#: decade of sizes belongs to one unit, from March 1973 to the year 5138, so nothing is
#: guessed; smaller numbers, such as 20240131 or a day of the year, are no times.
_UNITS = ((1e8, 1e11, 1e6), (1e11, 1e14, 1e3), (1e14, 1e17, 1.0), (1e17, 1e20, 1e-3))
_REMEDY = "Write times as ISO 8601, such as 2024-01-31T12:00:00Z, or as epoch seconds."


def times(column: pl.Series, path: Path) -> pl.Series:
    """Every row's time.

    Returns:
        Int64, microseconds since 1970 UTC, no nulls.

    Raises:
        DataError: a row has none, or one that cannot be read; names row and value.
    """
    read = epoch_us(column)
    unread = read.is_null()
    if unread.any():
        row = unread.arg_max() or 0
        value = column[row]
        what = "is empty" if value is None else f"is {value!r}, no time we can read"
        raise DataError(
            f"{path}: the time {column.name!r} of row {row + 1} {what};"
            f" {unread.sum()} of {len(column)} rows are so",
            remedy=_REMEDY,
        )
    return read


def epoch_us(column: pl.Series) -> pl.Series:
    """Microseconds since 1970 UTC, Int64; null where a cell is no time. Naive times are UTC."""
    if column.dtype == pl.Date or isinstance(column.dtype, pl.Datetime):
        return column.dt.epoch("us")
    numbers = typed(column)
    if numbers.dtype.is_numeric():
        return _from_numbers(numbers.cast(pl.Float64))
    if numbers.dtype == pl.String:
        return from_iso(numbers)
    return pl.Series(column.name, [None] * len(column), dtype=pl.Int64)


def from_iso(text: pl.Series) -> pl.Series:
    """Microseconds of ISO 8601 dates and times, cell by cell; null where it is none."""
    return by_distinct(text, _from_iso)


def _from_iso(text: pl.Series) -> pl.Series:
    name = text.name
    parts = (
        text.str.strip_chars()
        .to_frame("cell")
        .select(pl.col("cell").str.extract_groups(_ISO).struct.rename_fields(list("dtsfgHM")))
        .unnest("cell")
    )
    clock = pl.concat_str(
        "d",
        pl.lit(" "),
        pl.col("t").fill_null("00:00"),
        pl.lit(":"),
        pl.col("s").fill_null("00"),
        pl.lit("."),
        pl.col("f").fill_null("0"),
    ).str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)
    minutes = pl.col("H").cast(pl.Int64) * 60 + pl.col("M").fill_null("0").cast(pl.Int64)
    ahead = pl.when(pl.col("g") == "-").then(-minutes).otherwise(minutes).fill_null(0)
    return parts.select((clock.dt.epoch("us") - ahead * 60_000_000).alias(name)).to_series()


def moment(us: int) -> datetime:
    """A time in UTC."""
    return _EPOCH + us * _MICROSECOND


def microseconds(time: datetime) -> int:
    """Since 1970 UTC; a naive time is UTC."""
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MICROSECOND


def _from_numbers(numbers: pl.Series) -> pl.Series:
    """All in one unit, that of the first: a column that changes unit is mixed."""
    present = numbers.drop_nulls()
    first = abs(float(present[0])) if len(present) else 0.0
    fitting = [unit for unit in _UNITS if unit[0] <= first < unit[1]]
    if not fitting:
        return pl.Series(numbers.name, [None] * len(numbers), dtype=pl.Int64)
    low, high, factor = fitting[0]
    inside = (numbers >= low) & (numbers < high)
    return (
        numbers.to_frame("n")
        .select(pl.when(inside).then((pl.col("n") * factor).round().cast(pl.Int64, strict=False)))
        .to_series()
        .alias(numbers.name)
    )
