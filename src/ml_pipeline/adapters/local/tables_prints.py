r"""Fingerprints: which rows training saw, in 8 bytes a row.

**A row's fingerprint** is BLAKE2b with 8 bytes of digest over the names of its columns in
alphabetical order, joined by `\x1f`, then `\x1e`, then its cells in that order, joined by
`\x1f`. Which columns: `data.key_columns` where set, else all.

**A cell** is written by what it means, so that CSV or Parquet, `1` or `1.0`, `Z` or `+00:00`
do not matter, and cell by cell, so that other rows do not matter either:

| cell | written as |
|---|---|
| no value: null, NaN, empty, and what stands for it (`MISSING`) | nothing |
| true, false in any case | `btrue`, `bfalse` |
| a whole number below 1e37 | `n` and its digits |
| any other number | `f` and its IEEE 754 bits, as a signed 64-bit number |
| an ISO 8601 date or time; naive is UTC | `@` and microseconds since 1970 |
| other text | `t` and the text, without blanks around it |

**The file** has one line of JSON, `{"format": 1, "columns": [...], "rows": n}`, and then the
fingerprints, big-endian, ascending, each once. It names its columns so that a later table
with more columns is still compared by the ones both have.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from ml_pipeline.adapters.local.tables_cells import MISSING, by_distinct, typed
from ml_pipeline.adapters.local.tables_files import require
from ml_pipeline.adapters.local.tables_times import from_iso
from ml_pipeline.domain.errors import DataError, StorageError

_BYTES = 8
_CELL, _ROW = "\x1f", "\x1e"
#: Larger whole floats do not fit 128 bits.
_WHOLE = 1e37
#: Rows turned into Python text at once: 25,000 of 20 columns are about 5 MB.
_AT_ONCE = 25_000
Prints = NDArray[np.uint64]


class _Head(BaseModel):
    format: Literal[1]
    columns: Annotated[tuple[str, ...], Field(min_length=1)]
    rows: Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True)
class PrintFile:
    """What a fingerprint file holds; `prints` is ascending, each once."""

    columns: tuple[str, ...]
    prints: Prints


def identifying(frame: pl.DataFrame, keys: Sequence[str]) -> tuple[str, ...]:
    """The columns a row is known by, in alphabetical order."""
    return tuple(sorted(keys or frame.columns))


def fingerprints(frame: pl.DataFrame, columns: Sequence[str], path: Path) -> Prints:
    """One fingerprint a row, in the rows' order.

    Raises:
        DataError: a column is absent, or holds what has no canonical form, such as lists.
    """
    asked = require(frame, columns, path).select(columns)
    start = hashlib.blake2b((_CELL.join(columns) + _ROW).encode(), digest_size=_BYTES)
    digests = bytearray()
    cells = pl.DataFrame([_canonical(column, path) for column in asked])
    for part in cells.iter_slices(_AT_ONCE):
        rows = part.select(pl.concat_str(pl.all(), separator=_CELL)).to_series()
        for row in rows.to_list():
            digest = start.copy()
            digest.update(row.encode())
            digests += digest.digest()
    return np.frombuffer(bytes(digests), dtype=">u8").astype(np.uint64)


def write(path: Path, columns: Sequence[str], prints: Prints) -> None:
    """Write a fingerprint file.

    Raises:
        StorageError: the disk is full or the folder is not writable.
    """
    distinct = np.unique(prints)
    head = _Head(format=1, columns=tuple(columns), rows=int(prints.size))
    try:
        with path.open("wb") as file:
            file.write(head.model_dump_json().encode() + b"\n")
            file.write(distinct.astype(">u8").tobytes())
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror or error}",
            remedy="Free disk space, or make the folder writable.",
        ) from error


def read(path: Path) -> PrintFile:
    """What a fingerprint file holds.

    Raises:
        DataError: not there, or not such a file.
    """
    try:
        head, _, body = path.read_bytes().partition(b"\n")
        told = _Head.model_validate_json(head)
        prints = np.frombuffer(body, dtype=">u8").astype(np.uint64)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} holds no fingerprints: {str(error).partition(chr(10))[0]}",
            remedy="Run the stage that wrote it again; without it nobody knows what was seen.",
        ) from error
    return PrintFile(told.columns, prints)


def seen(frame: pl.DataFrame, files: Iterable[Path], path: Path) -> NDArray[np.bool_]:
    """Which rows stand in at least one of the files, by the columns each file names.

    Raises:
        DataError: a file is no fingerprint file, or names a column the frame lacks.
    """
    found = np.zeros(frame.height, dtype=np.bool_)
    by_columns: dict[tuple[str, ...], Prints] = {}
    for file in files:
        known = read(file)
        if known.columns not in by_columns:
            by_columns[known.columns] = fingerprints(frame, known.columns, path)
        found |= np.isin(by_columns[known.columns], known.prints)
    return found


def _canonical(column: pl.Series, path: Path) -> pl.Series:
    column = typed(column)
    kind = column.dtype
    if kind.is_nested() or kind in (pl.Binary, pl.Object):
        raise DataError(
            f"{path}: column {column.name!r} holds {kind}, by which rows cannot be told apart",
            remedy="Set 'data.key_columns' to columns of numbers, text or times.",
        )
    if kind.is_integer():
        written = "n" + column.cast(pl.String)
    elif kind.is_float():
        written = _of_floats(column.cast(pl.Float64))
    elif kind == pl.Boolean:
        written = "b" + column.cast(pl.String)
    elif kind == pl.Date or isinstance(kind, pl.Datetime):
        written = "@" + column.dt.epoch("us").cast(pl.String)
    else:
        written = by_distinct(column.cast(pl.String).str.strip_chars(), _of_text)
    return written.fill_null("").alias(column.name)


def _of_floats(column: pl.Series) -> pl.Series:
    bits = pl.Series(column.fill_null(0.0).to_numpy().view(np.int64)).cast(pl.String)
    whole = (column == column.floor()) & (column.abs() < _WHOLE)
    digits = column.cast(pl.Int128, strict=False).cast(pl.String)
    written = ("n" + digits).zip_with(whole.fill_null(value=False), "f" + bits)
    return written.zip_with(column.is_not_null(), pl.Series([None], dtype=pl.String))


def _of_text(text: pl.Series) -> pl.Series:
    whole = text.cast(pl.Int128, strict=False)
    floats = text.cast(pl.Float64, strict=False).fill_nan(None)
    lower = text.str.to_lowercase()
    written = "t" + text
    written = ("b" + lower).zip_with(_true(lower.is_in(["true", "false"])), written)
    written = ("@" + from_iso(text).cast(pl.String)).fill_null(written)
    written = _of_floats(floats).zip_with(floats.is_not_null(), written)
    written = ("n" + whole.cast(pl.String)).zip_with(whole.is_not_null(), written)
    return pl.Series([None], dtype=pl.String).zip_with(_true(text.is_in(MISSING)), written)


def _true(mask: pl.Series) -> pl.Series:
    return mask.fill_null(value=False)
