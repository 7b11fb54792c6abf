"""Runs as folders: `runs/<run-id>/<stage>/<attempt>/result.json`, a journal, a record."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock
from pydantic import BaseModel, JsonValue, ValidationError

from ml_pipeline.adapters.local.disk import digest_of, unwritable, write_whole
from ml_pipeline.adapters.local.journal_lines import event_in, journal_lines
from ml_pipeline.domain.errors import ConfigurationError, DataError
from ml_pipeline.domain.evidence import Artifact, RunRecord, StageResult, Status
from ml_pipeline.domain.identifiers import RUN_ID, checked_run_id
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.evidence import Folder

RESULT = "result.json"
RECORD = "run.json"
JOURNAL = "journal.jsonl"
#: What the folder of a rollback is called before its id, and the journal lines that end things.
ROLLBACK = "rollback-"
#: How the id of a run ends that made a first champion, after the id of the run it was made for.
BOOTSTRAP = "-bootstrap"
_WRITTEN = "result-written"
ROLLBACK_FINISHED = "rollback-finished"
RUN_ABORTED = "run-aborted"
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderOfStage:
    """Speaks `ports.evidence.StageFolder`."""

    run_id: str
    stage: str
    attempt: int
    run_folder: Path
    clock: Clock

    @property
    def path(self) -> Path:
        return self.run_folder / self.stage / str(self.attempt)

    def result(self, stage: str) -> StageResult:
        found = self.find(stage)
        if found is None or found.status is not Status.PASSED:
            how = "has not run" if found is None else f"ended {found.status}"
            raise ConfigurationError(
                f"stage {self.stage} needs {stage}, which {how} in run {self.run_id}",
                remedy=f"Run `ml-pipeline run {stage} --run {self.run_id}` first.",
            )
        return found

    def find(self, stage: str) -> StageResult | None:
        return newest_result(self.run_folder, stage)

    def file(self, stage: str, name: str) -> Path:
        result = self.result(stage)
        for artifact in result.artifacts:
            if artifact.path == name:
                path = self.run_folder / stage / str(result.attempt) / name
                if not path.is_file() or digest_of(path) != artifact.sha256:
                    raise DataError(
                        f"{path} is not the file that stage {stage} recorded",
                        remedy=f"Run `ml-pipeline run {stage} --run {self.run_id}` again.",
                    )
                return path
        raise ConfigurationError(
            f"stage {stage} of run {self.run_id} left no {name}",
            remedy=f"Run `ml-pipeline run {stage} --run {self.run_id}` again.",
        )

    def journal(self, event: str, **facts: Any) -> None:
        append_journal(
            self.run_folder, self.clock, event, stage=self.stage, attempt=self.attempt, **facts
        )

    def journalled(self, event: str) -> Sequence[Mapping[str, JsonValue]]:
        return [line for line in read_journal(self.run_folder) if line.get("event") == event]


def append_journal(run_folder: Path, clock: Clock, event: str, **facts: Any) -> None:
    """Append one line, on disk before this returns: a journal is written before the action.

    Raises:
        StorageError: it could not be written.
    """
    line = json.dumps({"at": clock.now().isoformat(), "event": event, **facts})
    path = run_folder / JOURNAL
    try:
        with FileLock(run_folder / ".journal.lock"), path.open("ab") as file:
            # A line cut off by a crash must not swallow the next one.
            torn = file.tell() > 0 and path.read_bytes()[-1:] != b"\n"
            file.write((b"\n" if torn else b"") + line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise unwritable(path, error) from error


def read_journal(run_folder: Path) -> list[dict[str, JsonValue]]:
    """All events of a run's journal, oldest first; what a crash or a person damaged is left out.

    Raises:
        DataError: the file cannot be opened.
    """
    return [line for line in journal_lines(run_folder / JOURNAL) if line is not None]


def is_damaged(run_folder: Path) -> bool:
    """Whether a run's journal holds anything that is no event."""
    return None in journal_lines(run_folder / JOURNAL)


def attempts(run_folder: Path, stage: str) -> list[int]:
    """Numbers of the attempts of a stage, rising."""
    folder = run_folder / stage
    if not folder.is_dir():
        return []
    return sorted(int(one.name) for one in folder.iterdir() if one.name.isdecimal())


def newest_result(run_folder: Path, stage: str) -> StageResult | None:
    """The newest attempt's result that was written; an attempt without one did not finish.

    Raises:
        DataError: it cannot be read, or is not the one that the journal says was written.
    """
    for attempt in reversed(attempts(run_folder, stage)):
        path = run_folder / stage / str(attempt) / RESULT
        if path.is_file():
            _refuse_edited(run_folder, stage, attempt, path)
            return read_model(path, StageResult)
    return None


def _refuse_edited(run_folder: Path, stage: str, attempt: int, path: Path) -> None:
    """A verdict is what was judged, not what stands in the file by now."""
    this = {"event": _WRITTEN, "stage": stage, "attempt": attempt}
    written = [line for line in read_journal(run_folder) if this.items() <= line.items()]
    # A crash right after the file was written leaves no line.
    if written and written[-1].get("sha256") != digest_of(path):
        raise DataError(
            f"{path} is not the result that was written: it was changed since",
            remedy=f"Run `ml-pipeline run {stage} --run {run_folder.name}` again.",
        )


def read_model(path: Path, model: type[M]) -> M:
    """A JSON file as its model.

    Raises:
        DataError: it is not what this version of the pipeline writes.
    """
    try:
        return model.model_validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        raise DataError(
            f"{path} cannot be read as evidence: {error}",
            remedy="Remove that run's folder, or read it with the version that wrote it.",
        ) from error


class LocalRuns:
    """All runs of a project below one folder. Speaks `ports.evidence.RunStore`."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self.root = root
        self._clock = clock

    def folder(self, run_id: str) -> Path:
        return self.root / checked_run_id(run_id)

    def create(self, run_id: str) -> Path:
        """The folder of a run, made when it is not there."""
        folder = self.folder(run_id)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            ignore = self.root / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
        except OSError as error:
            raise unwritable(folder, error) from error
        return folder

    def existing(self, run_id: str) -> Path:
        """The folder of a run that is there.

        Raises:
            ConfigurationError: there is no such run.
        """
        folder = self.folder(run_id)
        if not folder.is_dir():
            known = ", ".join(self.ids()[:5]) or "none"
            raise ConfigurationError(
                f"there is no run {run_id!r} in {self.root}",
                remedy=f"Choose one of the newest runs ({known}).",
            )
        return folder

    def called(self, run_id: str) -> str:
        """The id of the run that was begun as `run_id`.

        It is another one where that ended, or was killed, while its first champion was made.

        Raises:
            ConfigurationError: there is no such run.
        """
        if not self.folder(run_id).is_dir() and (self.root / f"{run_id}{BOOTSTRAP}").is_dir():
            return f"{run_id}{BOOTSTRAP}"
        return self.existing(run_id).name

    def ids(self) -> list[str]:
        """Run ids, newest first by when their folders were made."""
        if not self.root.is_dir():
            return []
        folders = [
            one
            for one in self.root.iterdir()
            if RUN_ID.fullmatch(one.name) and (one / JOURNAL).is_file()
        ]
        folders.sort(key=_started, reverse=True)
        return [one.name for one in folders]

    def newest(self) -> str | None:
        """The newest run of stages; a rollback has a journal too, but no evidence."""
        return next((one for one in self.ids() if not one.startswith(ROLLBACK)), None)

    def begin(self, run_id: str, stage: str) -> FolderOfStage:
        """The folder of the next attempt of a stage."""
        run_folder = self.create(run_id)
        number = max(attempts(run_folder, stage), default=0) + 1
        folder = FolderOfStage(
            run_id=run_id, stage=stage, attempt=number, run_folder=run_folder, clock=self._clock
        )
        try:
            folder.path.mkdir(parents=True)
        except OSError as error:
            raise unwritable(folder.path, error) from error
        return folder

    def finish(self, folder: Folder, result: StageResult) -> None:
        """Write a result; from then on the attempt counts."""
        text = result.model_dump_json(indent=1) + "\n"
        write_whole(folder.path / RESULT, text)
        folder.journal(_WRITTEN, sha256=hashlib.sha256(text.encode()).hexdigest())

    def artifact(self, folder: Path, path: Path) -> Artifact:
        return Artifact(
            path=path.relative_to(folder).as_posix(),
            sha256=digest_of(path),
            bytes=path.stat().st_size,
        )

    def forget_record(self, run_id: str) -> None:
        """Remove `run.json`: the run goes on, and has not come to anything yet."""
        path = self.folder(run_id) / RECORD
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(path, error) from error

    def write_record(self, record: RunRecord) -> None:
        """Write `run.json`."""
        write_whole(self.folder(record.run_id) / RECORD, record.model_dump_json(indent=1) + "\n")

    def record(self, run_id: str) -> RunRecord:
        path = self.existing(run_id) / RECORD
        if not path.is_file():
            raise ConfigurationError(
                f"run {run_id} has not been concluded",
                remedy=f"Run `ml-pipeline resume {run_id}` or `ml-pipeline abort {run_id}`.",
            )
        return read_model(path, RunRecord)

    def history(self) -> Iterator[RunRecord]:
        for run_id in self.ids():
            try:
                yield self.record(run_id)
            except (ConfigurationError, DataError):
                continue


def _started(run_folder: Path) -> str:
    try:
        with (run_folder / JOURNAL).open(encoding="utf-8", errors="replace") as file:
            first = event_in(file.readline())
    except OSError:
        return ""
    return "" if first is None else str(first.get("at", ""))
