"""What a stage may read of its run and where it may write."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

from ml_pipeline.domain.evidence import RunRecord, StageResult


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What was asked of this run beside the settings; stands in the evidence."""

    force: bool = False
    force_promote: bool = False
    reason: str = ""
    approve: bool = False
    chaos: str = ""
    trigger: str = "manual"
    source_digest: str = ""
    settings_digest: str = ""
    commit: str | None = None


class StageFolder(Protocol):
    """One attempt of one stage: its own folder, and the finished stages of the same run."""

    @property
    def run_id(self) -> str:
        """The run this attempt belongs to."""

    @property
    def stage(self) -> str:
        """The stage's id."""

    @property
    def attempt(self) -> int:
        """1 for the first attempt, counted up by `resume` and single-stage runs."""

    @property
    def path(self) -> Path:
        """The folder this attempt writes to; it exists."""

    def result(self, stage: str) -> StageResult:
        """The newest finished result of an earlier stage.

        Raises:
            ConfigurationError: that stage has not passed in this run.
        """

    def find(self, stage: str) -> StageResult | None:
        """The newest finished result of a stage, None when it has not run."""

    def file(self, stage: str, name: str) -> Path:
        """An artifact of an earlier stage, its digest verified.

        Raises:
            ConfigurationError: there is no such artifact.
            DataError: the file is not what the evidence says.
        """

    def journal(self, event: str, **facts: JsonValue) -> None:
        """Append a line to the run's journal, on disk before this returns.

        Raises:
            StorageError: it could not be written.
        """

    def journalled(self, event: str) -> Sequence[Mapping[str, JsonValue]]:
        """Earlier lines of this run with that event, oldest first."""


class RunStore(Protocol):
    """All runs of a project."""

    def record(self, run_id: str) -> RunRecord:
        """One run as far as it got.

        Raises:
            ConfigurationError: there is no such run.
        """

    def newest(self) -> str | None:
        """Id of the newest run, None when there is none."""
