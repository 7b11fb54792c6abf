"""Where the rows come from, what they must look like, and which of them training never sees."""

from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import Field, FiniteFloat, model_validator

from ml_pipeline.domain.policies.base import Argv, NotNegative, Policy, Share


class ColumnType(StrEnum):
    """What a column holds."""

    NUMBER = "number"
    INTEGER = "integer"
    TEXT = "text"
    TIME = "time"
    BOOLEAN = "boolean"


class ColumnPolicy(Policy):
    """What one column must hold; `max_missing_share` 0 means every row has a value."""

    #: what its cells hold
    type: ColumnType = ColumnType.NUMBER
    #: the least value that is believed
    min: FiniteFloat | None = None
    #: the greatest value that is believed
    max: FiniteFloat | None = None
    #: the only values a text column may hold
    allowed: tuple[str, ...] | None = None
    #: share of rows that may have no value
    max_missing_share: Share = 0.0
    #: no value may occur twice
    unique: bool = False
    #: what the project's training puts where a feature has no value, such as "" or 0; the model
    #: is scored and served with the same
    fill: FiniteFloat | str | None = None

    @model_validator(mode="after")
    def _fill_is_a_value(self) -> Self:
        if self.fill is None:
            return self
        if self.type is ColumnType.TIME:
            raise ValueError("'fill' is for text and numbers, not for a time")
        if isinstance(self.fill, str) != (self.type is ColumnType.TEXT):
            kind = "text" if self.type is ColumnType.TEXT else "a number"
            raise ValueError(f"'fill' must be {kind}, as the column is {self.type}")
        return self


class DataFormat(StrEnum):
    """What the files are that the project's own commands read and write."""

    CSV = "csv"
    PARQUET = "parquet"


#: How files are called whose cells a sign parts; the name alone says how they are read.
ENDINGS = {",": "csv", ";": "semicolon.csv", "\t": "tsv", "|": "pipe.csv"}


class DataPolicy(Policy):
    """`[data]`: exactly one of `path` and `fetch`.

    Commands may hold `{output}` (the file to write), `{input}` (the file to read; `prepare`
    only), `{cutoff}` (`--cutoff-date`, else empty), `{rows}` and `{seed}` (`generate` only).
    """

    #: the rows' file, CSV or Parquet, relative to the project
    path: str | None = None
    #: the command that brings the rows; instead of `path`
    fetch: Argv | None = None
    #: what the project's commands are handed as `{data}` and `{input}` and write as `{output}`
    format: DataFormat = DataFormat.CSV
    #: what parts the cells of CSV rows as they come: a comma, a semicolon, a tab or a bar; without
    #: `prepare` training is handed the same, and `prepare` writes commas
    separator: str = Field(default=",", pattern="^[,;\t|]$")
    #: raw rows in, rows with the columns training and serving use out
    prepare: Argv | None = None
    #: makes `{rows}` synthetic rows for smoke training; without it rows are sampled
    generate: Argv | None = None
    #: the column to predict
    target: str = Field(min_length=1)
    #: the columns the model sees, in its order
    features: tuple[str, ...] = Field(min_length=1)
    #: labels of a text target, in order; the pipeline computes with their positions
    classes: tuple[str, ...] = ()
    #: when a row happened: ISO 8601, or seconds since 1970; splits rows by time
    time_column: str | None = None
    #: what tells rows apart; splits rows by hash where there is no time
    key_columns: tuple[str, ...] = ()
    #: share of rows held out: the newest by `time_column`, else by a hash of `key_columns`
    holdout_share: Share = Field(default=0.2, gt=0, lt=1)
    #: rows at or after it are held out instead (needs `time_column`); `--cutoff-date` sets it
    cutoff: datetime | None = None
    #: without a champion, one is first trained on the rows before it
    bootstrap_cutoff: datetime | None = None
    #: fewer rows than this stop the run
    min_rows: int = Field(default=100, ge=1)
    #: a stale source stops the run: newest row at most this old (needs `time_column`)
    max_age_h: NotNegative | None = None
    #: what a column must hold, by its name
    columns: dict[str, ColumnPolicy] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.path is None) == (self.fetch is None):
            raise ValueError("set exactly one of 'path' and 'fetch'")
        if self.separator != "," and self.format is not DataFormat.CSV:
            raise ValueError("'separator' is for 'format' \"csv\"")
        if self.target in self.features:
            raise ValueError(f"the target {self.target!r} is also listed in 'features'")
        if len(set(self.features)) != len(self.features):
            raise ValueError("'features' lists a column twice")
        timed = self.cutoff or self.bootstrap_cutoff or self.max_age_h
        if timed is not None and self.time_column is None:
            raise ValueError("'cutoff', 'bootstrap_cutoff' and 'max_age_h' need 'time_column'")
        return self

    @property
    def raw_ending(self) -> str:
        """The ending of files with rows as they come."""
        return ENDINGS[self.separator] if self.format is DataFormat.CSV else self.format

    @property
    def ending(self) -> str:
        """The ending of files with rows as training reads them."""
        return self.format if self.prepare else self.raw_ending

    @property
    def text_columns(self) -> frozenset[str]:
        """Columns declared as text: "007" stays what it is."""
        return frozenset(
            name for name, column in self.columns.items() if column.type is ColumnType.TEXT
        )
