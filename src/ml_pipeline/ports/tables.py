"""Rows: read, checked, split, fingerprinted."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from ml_pipeline.domain.evidence import Check
from ml_pipeline.domain.policies.data import DataPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """What training may see and what it never sees.

    `cutoff`: rows at or after it are held out; None when split by key hash.
    """

    training_rows: int
    holdout_rows: int
    cutoff: datetime | None
    trained_through: datetime | None
    newest: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparable:
    """Held-out rows neither model was trained on.

    `seen_rows` were left out because one of them had seen them.
    """

    rows: int
    seen_rows: int


class TableStore(Protocol):
    """Tables as files: CSV, or Parquet by its ending. Other files come out as CSV."""

    def check_columns(self, table: Path, data: DataPolicy) -> int:
        """Rows of a readable table that has target, features and time column.

        Raises:
            DataError: it cannot be read, has no rows, lacks a column, or a target is absent.
        """

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
        """Write training and held-out rows, and fingerprints of the training rows.

        Raises:
            DataError: either side would be empty, or a time cannot be read.
        """

    def comparable(
        self,
        holdout: Path,
        data: DataPolicy,
        *,
        seen: Sequence[Path],
        target: Path,
    ) -> Comparable:
        """Write the held-out rows whose fingerprint is in none of `seen`."""

    def convert(self, table: Path, target: Path, *, text: Collection[str] = ()) -> None:
        """The same rows in the form `target`'s ending names.

        From CSV to Parquet a column becomes numbers, truths or times when all its cells are;
        the columns in `text` stay text.

        Raises:
            DataError: a column that the other form cannot hold.
            StorageError: the disk is full.
        """

    def validate(self, table: Path, data: DataPolicy) -> Sequence[Check]:
        """Schema, ranges and completeness, one check a question."""

    def sample(self, table: Path, target: Path, *, rows: int, seed: int) -> int:
        """Write `rows` rows drawn by seed (all when there are fewer); how many."""

    def column(self, table: Path, name: str, classes: Sequence[str] = ()) -> Sequence[float]:
        """One numeric column, or positions in `classes`; a missing value is NaN.

        Raises:
            DataError: no such column, or it holds neither numbers nor only labels of `classes`.
        """

    def records(
        self, table: Path, columns: Sequence[str], limit: int, *, text: Collection[str] = ()
    ) -> Sequence[Sequence[object]]:
        """The first rows as JSON values, in the order of `columns`.

        Cells of the columns in `text` stay text, also where all of them look like numbers.
        """

    def baseline(self, table: Path, data: DataPolicy, *, bins: int) -> Mapping[str, object]:
        """Histograms of features and target (JSON), to compare later rows with."""

    def drift(self, table: Path, baseline: Mapping[str, object]) -> Mapping[str, float]:
        """Population stability index by column against a baseline."""


def request_bodies(tables: TableStore, table: Path, data: DataPolicy, limit: int) -> list[bytes]:
    """Requests of one row each, from the first rows of a table, in MLflow's `dataframe_split`."""
    columns = list(data.features)
    return [
        json.dumps({"dataframe_split": {"columns": columns, "data": [list(row)]}}).encode()
        for row in tables.records(table, columns, limit, text=data.text_columns)
    ]
