"""Tables as files: CSV read as the text it is, Parquet as it is typed; both written whole.

A CSV's cells stay text until somebody asks what they mean, so that rows which only move from
one file to another (`split`, `comparable`, `sample`) leave it as they came: `007`, `1.50` and
`9007199254740993` unchanged.
"""

import csv
import io
import json
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import polars as pl

from ml_pipeline.domain.errors import DataError, StorageError
from ml_pipeline.domain.policies.data import ENDINGS

PARQUET = ".parquet"
_AS_CSV = "Write it as CSV: UTF-8, a header, double quotes around cells that hold a separator."

#: Parquet's magic, and the first byte of the Thrift struct that follows it in every such file.
_PARQUET_START = b"PAR1\x15"
#: A tag, a declaration or a comment; a column may well be called `<18`.
_MARKUP_START = re.compile(rb"\s*<[!?A-Za-z]")


def read(path: Path, separator: str = "") -> pl.DataFrame:
    """The table with at least one row; a CSV's columns are all text, empty cells null.

    Args:
        path: Parquet or CSV.
        separator: what parts a CSV's cells; empty when the file's name tells.

    Raises:
        DataError: not there, not readable, without rows, with two columns of one name, or
            with a row that has more or fewer cells than the header; names file, row and line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}",
            remedy="Correct the path, or have the command write it.",
        ) from error
    frame = (
        _parquet(path, content)
        if is_parquet(path)
        else _csv(path, content, separator or separator_of(path))
    )
    if frame.height == 0:
        raise DataError(f"{path} has no rows", remedy="Fetch at least one row.")
    return frame


def write(frame: pl.DataFrame, path: Path) -> None:
    """Write a table, in the form its ending names.

    Raises:
        DataError: a column that CSV cannot hold, such as lists.
        StorageError: the disk is full or the folder is not writable.
    """
    try:
        if is_parquet(path):
            buffer = io.BytesIO()
            frame.write_parquet(buffer)
            path.write_bytes(buffer.getbuffer())
        else:
            cells = frame.select(as_cells(column, path) for column in frame.iter_columns())
            cells.write_csv(path, separator=separator_of(path))
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror or error}",
            remedy="Free disk space, or make the folder writable.",
        ) from error


def inferred(frame: pl.DataFrame, text: Collection[str]) -> pl.DataFrame:
    """A frame of text cells with the types that all cells of a column have; `text` stay text."""
    as_they_are = {name: pl.String for name in frame.columns if name in text}
    return pl.read_csv(
        frame.write_csv().encode(),
        infer_schema_length=None,
        schema_overrides=as_they_are,
        try_parse_dates=True,
    )


def column(frame: pl.DataFrame, name: str, path: Path) -> pl.Series:
    """One column.

    Raises:
        DataError: there is none of that name; says which there are.
    """
    return require(frame, [name], path).get_column(name)


def require(frame: pl.DataFrame, names: Sequence[str], path: Path) -> pl.DataFrame:
    """The frame itself, when it has all these columns.

    Raises:
        DataError: one or more are absent; names all of them at once.
    """
    absent = [name for name in names if name not in frame.columns]
    if not absent:
        return frame
    remedy = "Correct the names under 'data' in the settings, or what writes the file."
    parting = [mark for mark in ",;\t|" if frame.width == 1 and mark in frame.columns[0]]
    if parting:
        remedy = f"Set data.separator = {json.dumps(parting[0])} if that parts its cells."
    listed = ", ".join(repr(name) for name in absent)
    there = ", ".join(repr(name) for name in frame.columns)
    raise DataError(f"{path} lacks {listed}; its columns are {there}", remedy=remedy)


def is_parquet(path: Path) -> bool:
    """Whether a file's ending says Parquet."""
    return path.suffix.lower() == PARQUET


def separator_of(path: Path) -> str:
    """What parts the cells of a CSV of that name."""
    named = (sign for sign, end in ENDINGS.items() if path.name.lower().endswith(f".{end}"))
    return max(named, key=lambda sign: len(ENDINGS[sign]), default=",")


def _parquet(path: Path, content: bytes) -> pl.DataFrame:
    try:
        return pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"{path} is no readable Parquet: {_first_line(error)}",
            remedy=f"Write it anew, or name it .csv where it is no Parquet ({len(content)} bytes).",
        ) from error


def _csv(path: Path, content: bytes, separator: str) -> pl.DataFrame:
    content = content.removeprefix(b"\xef\xbb\xbf")
    _refuse_look_alike(path, content)
    names = _header(path, content, separator)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"{path} has the column {twice[0]!r} {names.count(twice[0])} times",
            remedy="Give every column a name of its own.",
        )
    try:
        frame = pl.read_csv(content, infer_schema=False, separator=separator)
    except pl.exceptions.PolarsError as error:
        _even_rows(path, content, len(names), separator)  # says which row, where it is that
        raise DataError(
            f"{path} is no readable CSV: {_first_line(error)}", remedy=_AS_CSV
        ) from error
    parted = (frame.height + 1) * (len(names) - 1)
    if frame.width == 1 or _between(content, frame, separator) == parted:
        return frame
    blank = _even_rows(path, content, len(names), separator)
    return frame.filter(~pl.int_range(pl.len()).is_in(blank))


def _refuse_look_alike(path: Path, content: bytes) -> None:
    """Name what is no CSV from its first bytes, before it passes for one without rows."""
    if content.startswith(_PARQUET_START):
        raise DataError(f"{path} is Parquet, whatever its name says", remedy=f"Name it {PARQUET}.")
    if _MARKUP_START.match(content):
        raise DataError(
            f"{path} looks like a web page: it begins with"
            f" {content[:40].decode(errors='replace').strip()!r}",
            remedy="Fetch the file itself: the address may ask for a login first.",
        )
    if b"\r" in content and b"\n" not in content:
        raise DataError(
            f"{path} has carriage returns alone as line ends",
            remedy="Write it with a line feed at the end of each line.",
        )


def _header(path: Path, content: bytes, separator: str) -> list[str]:
    names = next((record for record, _ in _records(path, content, separator) if record), None)
    if names is None:
        raise DataError(f"{path} is empty", remedy="Write a header and at least one row.")
    return names


def _between(content: bytes, frame: pl.DataFrame, separator: str) -> int:
    """Separators that part cells: `width - 1` a line, or a row is ragged.

    Counting costs 20 ms on 336,000 rows of 20 columns, where parsing in Python takes 2 s.
    """
    all_there_are = content.count(separator.encode())
    if b'"' not in content:
        return all_there_are
    inside = frame.select(pl.all().str.count_matches(separator, literal=True).sum()).row(0)
    return (
        all_there_are
        - sum(int(count) for count in inside)
        - sum(name.count(separator) for name in frame.columns)
    )


def _even_rows(path: Path, content: bytes, width: int, separator: str) -> list[int]:
    """Positions of blank lines among the rows; every other row has `width` cells.

    Raises:
        DataError: a row has not.
    """
    records = ((record, line) for record, line in _records(path, content, separator))
    next(one for one in records if one[0])
    blank = []
    for index, (record, line) in enumerate(records):
        if not record:
            blank.append(index)
        elif len(record) != width:
            raise DataError(
                f"{path}: row {index + 1 - len(blank)} (line {line}) has {len(record)} cells,"
                f" the header {width}: {separator.join(record)[:80]!r}",
                remedy="Give every row as many cells as the header has.",
            )
    return blank


def _records(path: Path, content: bytes, separator: str) -> Iterator[tuple[list[str], int]]:
    """Records as Python's own parser sees them, each with the number of its last line."""
    text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline="")
    reader = csv.reader(text, delimiter=separator)
    try:
        for record in reader:
            yield record, reader.line_num
    except UnicodeDecodeError:
        raise DataError(
            f"{path}: line {_undecodable_line(content)} is not UTF-8", remedy=_AS_CSV
        ) from None
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num}: {error}", remedy=_AS_CSV) from error


def _undecodable_line(content: bytes) -> int:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return content.count(b"\n", 0, error.start) + 1
    return 0


def as_cells(column: pl.Series, path: Path) -> pl.Series:
    """What stands in a CSV for a typed column: times in ISO 8601, floats to their last digit."""
    kind = column.dtype
    if isinstance(kind, pl.Datetime):
        times = column.dt.epoch("us").cast(pl.Datetime("us"))
        zone = "Z" if kind.time_zone else ""
        return times.dt.strftime(f"%Y-%m-%dT%H:%M:%S%.6f{zone}")
    if kind == pl.Float32:
        return column.cast(pl.Float64)
    if kind.is_nested() or kind in (pl.Binary, pl.Object):
        raise DataError(
            f"{path}: column {column.name!r} holds {kind}, which CSV cannot",
            remedy="Leave the column out of the table, or write its parts as columns.",
        )
    return column


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
