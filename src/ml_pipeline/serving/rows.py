"""Rows of a request or a file, checked against the columns a model takes."""

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from ml_pipeline.domain.errors import DataError
from ml_pipeline.serving.package import InputColumn, ValueType

_REMEDY = "Send every column the model takes, with values of its type."
_PLAIN = frozenset({float, int})
_ABSENT = math.nan
_LARGEST = float(np.finfo(np.float32).max)
#: What a text cell says when a number is missing, besides nothing at all.
_MISSING = frozenset({"", "nan", "na", "n/a", "null", "none", "<na>"})
_TRUTHS = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}
_ASKED = {
    ValueType.FLOAT: "a finite number",
    ValueType.INT: "a whole number",
    ValueType.STRING: "text",
    ValueType.BOOL: "true or false",
}


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as a model takes them.

    Attributes:
        columns: k inputs, in order.
        numbers: shape (n, k); truth values as 0 and 1, missing values and text as NaN.
        texts: by column position, n texts each; a missing one is None.
    """

    columns: tuple[InputColumn, ...]
    numbers: NDArray[np.float64]
    texts: Mapping[int, Sequence[str | None]]

    def __len__(self) -> int:
        return len(self.numbers)

    def unfit(self) -> str | None:
        """The first value that is missing or beyond float32, which many models cannot take."""
        for at, column in enumerate(self.columns):
            where = f"column {column.name!r}"
            if at in self.texts:
                if None in self.texts[at]:
                    return f"row {self.texts[at].index(None)}, {where} has no value"
                continue
            fit = np.abs(self.numbers[:, at]) <= _LARGEST
            if not fit.all():
                row = int(np.argmin(fit))
                value = self.numbers[row, at]
                what = "has no value" if np.isnan(value) else f"is {value}"
                return f"row {row}, {where} {what}"
        return None

    def part(self, start: int, stop: int) -> "Batch":
        """Rows `start` to `stop` (exclusive)."""
        texts = {position: text[start:stop] for position, text in self.texts.items()}
        return Batch(self.columns, self.numbers[start:stop], texts)


class Schema:
    """The columns a model takes; turns rows of values or of text cells into batches."""

    def __init__(self, columns: Sequence[InputColumn]) -> None:
        self.columns = tuple(columns)
        self.names = [column.name for column in columns]
        kinds = [column.type for column in columns]
        self._texts = [at for at, kind in enumerate(kinds) if kind is ValueType.STRING]
        self._whole = [at for at, kind in enumerate(kinds) if kind is ValueType.INT]
        self._truths = [at for at, kind in enumerate(kinds) if kind is ValueType.BOOL]
        self._all_numbers = not self._texts
        self._fills = [column.fill for column in columns]

    def order(self, names: Sequence[object]) -> list[int] | None:
        """Where each column of the model stands among `names`; None when they are the same.

        Other names are left out.

        Raises:
            DataError: a column is missing, or a name is there twice.
        """
        if names == self.names:
            return None
        where: dict[object, int] = {}
        for at, name in enumerate(names):
            if not isinstance(name, str) or name in where:
                problem = "stands twice" if isinstance(name, str) else "is no column name"
                refuse(f"{name!r} {problem}")
            where[name] = at
        if missing := [name for name in self.names if name not in where]:
            refuse(f"column {', '.join(map(repr, missing))} is missing")
        return [where[name] for name in self.names]

    def batch(self, rows: Sequence[Sequence[object]]) -> Batch:
        """Rows of JSON values, each in the model's order; its parser lets no infinity through.

        Raises:
            DataError: a row has another length, or a value another type; names both.
        """
        self._check_widths(rows)
        if self._all_numbers and all(_PLAIN.issuperset(map(type, row)) for row in rows):
            numbers = np.array(rows, dtype=np.float64).reshape(len(rows), len(self.names))
            self._check_numbers(numbers)
            return Batch(self.columns, numbers, {})
        return self._batch_by_value(rows)

    def batch_of_cells(self, rows: Sequence[Sequence[str]]) -> Batch:
        """Rows of text cells (CSV), each in the model's order.

        Raises:
            DataError: as for `batch`.
        """
        self._check_widths(rows)
        kinds = [column.type for column in self.columns]
        return self.batch([list(map(_cell, kinds, row)) for row in rows])

    def _check_widths(self, rows: Sequence[Sequence[object]]) -> None:
        width = len(self.names)
        for at, row in enumerate(rows):
            if len(row) != width:
                refuse(f"row {at} holds {len(row)} values, the model takes {width}")

    def _check_numbers(self, numbers: NDArray[np.float64]) -> None:
        for column in self._whole:
            self._check_column(numbers, column, numbers[:, column] % 1 != 0)
        for column in self._truths:
            self._check_column(numbers, column, ~np.isin(numbers[:, column], (0.0, 1.0)))

    def _check_column(
        self, numbers: NDArray[np.float64], column: int, wrong: NDArray[np.bool_]
    ) -> None:
        if wrong.any():
            row = int(np.argmax(wrong))
            self._refuse_value(row, column, float(numbers[row, column]))

    def _batch_by_value(self, rows: Sequence[Sequence[object]]) -> Batch:
        numbers = np.full((len(rows), len(self.names)), _ABSENT)
        texts: dict[int, list[str | None]] = {at: [] for at in self._texts}
        for at, row in enumerate(rows):
            for position, value in enumerate(row):
                if position in texts:
                    texts[position].append(self._text(at, position, value))
                else:
                    numbers[at, position] = self._number(at, position, value)
        return Batch(self.columns, numbers, texts)

    def _text(self, row: int, position: int, value: object) -> str | None:
        """The text; an empty one is a missing value, for which the column's fill stands."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)  # a code of digits only: many clients send it as a number
        if not (value is None or isinstance(value, str)):
            self._refuse_value(row, position, value)
        return value or self._fills[position]  # type: ignore[return-value]

    def _number(self, row: int, position: int, value: object) -> float:
        if value is None:
            fill = self._fills[position]
            return _ABSENT if fill is None else float(fill)
        kind = self.columns[position].type
        if kind is ValueType.BOOL:
            fits = isinstance(value, bool | int | float) and value in {0, 1}
        else:
            fits = isinstance(value, int | float) and not isinstance(value, bool)
            fits = fits and math.isfinite(value)  # type: ignore[arg-type]
            fits = fits and (kind is ValueType.FLOAT or value % 1 == 0)  # type: ignore[operator]
        if not fits:
            self._refuse_value(row, position, value)
        return float(value)  # type: ignore[arg-type]

    def _refuse_value(self, row: int, position: int, value: object) -> NoReturn:
        column = self.columns[position]
        shown = repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:60]}…"
        refuse(f"row {row}, column {column.name!r}: {shown} is not {_ASKED[column.type]}")


def read_rows(path: Path, schema: Schema) -> Batch:
    """The model's columns of a CSV file with a header.

    Raises:
        DataError: it cannot be read, lacks a column, or holds a value of another type.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            order = schema.order(next(reader, []))
            return schema.batch_of_cells(list(_cells(reader, order)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        remedy = "Give a CSV file in UTF-8 with a header."
        raise DataError(f"{path} cannot be read: {error}", remedy=remedy) from error
    except DataError as error:
        raise DataError(f"{path}: {error}", remedy=error.remedy) from error


def _cells(rows: Iterable[list[str]], order: list[int] | None) -> Iterator[list[str]]:
    for row in rows:
        if not row:
            continue
        try:
            yield row if order is None else [row[at] for at in order]
        except IndexError:
            refuse(f"a row holds only {len(row)} values: {','.join(row)[:60]}")


def _cell(kind: ValueType, cell: str) -> object:
    """The value a cell means, or the cell itself when it means none of that type."""
    if kind is ValueType.STRING:
        return cell or None
    word = cell.strip().lower()
    if word in _MISSING:
        return None
    if kind is ValueType.BOOL:
        return _TRUTHS.get(word, cell)
    try:
        value = float(word)
    except ValueError:
        return cell
    # Python alone reads 1_000 as a number.
    return value if math.isfinite(value) and "_" not in word else cell


def refuse(what: str) -> NoReturn:
    """Raise the DataError of rows that are not what the model takes."""
    raise DataError(what, remedy=_REMEDY)
