"""What a stage may read of its run and where it may write."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from pydantic import JsonValue

from ml_pipeline.domain.evidence import Artifact, RunRecord, StageResult


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
    cutoff: datetime | None = None
    bootstrap: bool = False


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

    def journal(self, event: str, **facts: Any) -> None:
        """Append a line of JSON values to the run's journal, on disk before this returns.

        Raises:
            StorageError: it could not be written.
        """

    def journalled(self, event: str) -> Sequence[Mapping[str, JsonValue]]:
        """Earlier lines of this run with that event, oldest first."""


class Folder(StageFolder, Protocol):
    """A stage's folder as the pipeline itself sees it."""

    @property
    def run_folder(self) -> Path:
        """The folder of the whole run."""


class RunStore(Protocol):
    """All runs of a project."""

    def begin(self, run_id: str, stage: str) -> "Folder":
        """The folder of the next attempt of a stage, made.

        Raises:
            StorageError: it cannot be made.
        """

    def finish(self, folder: "Folder", result: StageResult) -> None:
        """Write the result; from then on the attempt counts.

        Raises:
            StorageError: it cannot be written.
        """

    def artifact(self, folder: Path, path: Path) -> Artifact:
        """The evidence of a file in a stage's folder."""

    def record(self, run_id: str) -> RunRecord:
        """One run as far as it got.

        Raises:
            ConfigurationError: there is no such run.
        """

    def folder(self, run_id: str) -> Path:
        """Where a run's evidence lies."""

    def history(self) -> Iterator[RunRecord]:
        """Concluded runs, newest first; a run whose record cannot be read is left out."""


class Memo(Protocol):
    """Remembers what follows from named inputs alone, across runs."""

    def get(self, kind: str, key: str) -> Path | None:
        """The folder kept under that key, None when there is none."""

    def put(self, kind: str, key: str, files: Sequence[Path], root: Path) -> None:
        """Keep files below `root` under a key, by their relative paths; whole or not at all."""
