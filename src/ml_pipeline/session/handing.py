"""Hands runs and state on: to a caller without this disk, and from there to another machine."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from ml_pipeline.adapters.local.disk import digest_of, write_whole
from ml_pipeline.adapters.local.evidence import (
    RECORD,
    RESULT,
    LocalRuns,
    read_model,
)
from ml_pipeline.domain.errors import ConfigurationError, PipelineError, StorageError
from ml_pipeline.domain.evidence import SCHEMA_VERSION, Outcome, RunRecord, StageResult
from ml_pipeline.domain.identifiers import checked_run_id

#: What of a state folder belongs to this machine or this moment: environments, kept answers,
#: locks, and the running platform's token, address, logs.
_NOT_HANDED_ON = {"envs", "cache", "caches", "run.lock", "run.holder", ".gitignore"}
_PLATFORM_OWN = {"token", "platform.json", "logs", "ready"}
_NO_FILES = (".lock", ".open", "-wal", "-shm", "-journal")
_SQLITE = b"SQLite format 3\0"
#: In a state folder: which snapshot it began with. In a snapshot: what it is one of.
_MARKER, _LABEL = "imported.json", "snapshot.json"
_FORMAT = 1
_UNFINISHED = "unfinished"


def export_run(runs: LocalRuns, run_id: str | None, output: Path) -> str:
    """Copy a run to `output/<id>`, with its report and its outcome on top; the run's id.

    A run that ended while its first champion was made left its evidence under that run's id.

    Raises:
        ConfigurationError: there is no such run.
        StorageError: it cannot be written.
    """
    chosen = run_id or runs.newest()
    if chosen is None:
        raise ConfigurationError(
            f"there is no run in {runs.root}", remedy="Run `full-pipeline` or `ci` first."
        )
    chosen = runs.called(chosen)
    folder = runs.folder(chosen)
    try:
        target = output / chosen
        _copy(folder, target)
        reports = sorted((target / "report").glob("[0-9]*"), key=lambda one: int(one.name))
        for page in reports[-1].iterdir() if reports else ():
            if page.name in {"report.html", "report.md", "junit.xml"}:
                shutil.copyfile(page, output / page.name)
        write_whole(output / "run-id", f"{chosen}\n")
        outcome = _outcome(folder)
        if run_id not in {None, chosen} and outcome == Outcome.PROMOTED:
            outcome = _UNFINISHED  # its first champion was made, and then it was killed
        write_whole(output / "outcome", f"{outcome}\n")
    except OSError as error:
        raise _unwritable(output, error) from error
    return chosen


def _outcome(folder: Path) -> str:
    if not (folder / RECORD).is_file():
        return _UNFINISHED
    return read_model(folder / RECORD, RunRecord).outcome.value


def import_run(given: Path, runs: LocalRuns, model: str) -> str:
    """Lay a run's evidence beside the project's own runs; its id.

    What is there already stays; a run of the same id whose results differ is refused.

    Args:
        given: a run's folder, or one that holds a single run.
        runs: the project's.
        model: the project's, to recognise another project's evidence.

    Raises:
        ConfigurationError: it is no run, or one of another project or version.
        DataError: a result in it cannot be read.
    """
    folder = _run_folder(given)
    run_id = _identified(folder, model)
    target = runs.create(run_id)
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise ConfigurationError(
                f"{path} is a symbolic link, which evidence never holds",
                remedy="Give a folder that `ml-pipeline evidence export` wrote.",
            )
        place = target / path.relative_to(folder)
        if path.name == RESULT and place.is_file() and digest_of(path) != digest_of(place):
            raise ConfigurationError(
                f"run {run_id} is known here with another {path.relative_to(folder)}",
                remedy=f"Name the run that is known instead: --run {run_id}.",
            )
    try:
        _copy(folder, target, keep=True)
    except OSError as error:
        raise _unwritable(target, error) from error
    return run_id


def _run_folder(given: Path) -> Path:
    found = [given] if (given / "journal.jsonl").is_file() else []
    if not found and given.is_dir():
        found = [one for one in given.iterdir() if (one / "journal.jsonl").is_file()]
    if len(found) == 1:
        return found[0]
    what = "no run" if not found else f"{len(found)} runs"
    raise ConfigurationError(
        f"{given} holds {what}, not one", remedy="Give the folder of one run, such as runs/<id>."
    )


def _identified(folder: Path, model: str) -> str:
    ids = set()
    for path in sorted(folder.glob(f"*/*/{RESULT}")):
        _of_this_version(path)
        ids.add(read_model(path, StageResult).run_id)
    if (folder / RECORD).is_file():
        _of_this_version(folder / RECORD)
        record = read_model(folder / RECORD, RunRecord)
        if record.model != model:
            raise ConfigurationError(
                f"{folder} is evidence about {record.model}, and this project's model is {model}",
                remedy="Give evidence of this project, or another --source.",
            )
        ids.add(record.run_id)
    named = ids - {None}
    if len(named) > 1:
        raise ConfigurationError(
            f"{folder} mixes results of runs {', '.join(sorted(map(str, named)))}",
            remedy="Give the folder of one run as it was written.",
        )
    return checked_run_id(str(named.pop()) if named else folder.name)


def _of_this_version(path: Path) -> None:
    try:
        version = json.loads(path.read_bytes()).get("schema_version")
    except (ValueError, AttributeError, OSError):
        return  # `read_model` says what is wrong with it
    if version != SCHEMA_VERSION:
        raise ConfigurationError(
            f"{path} is evidence of format {version}, and this version reads {SCHEMA_VERSION}",
            remedy="Use the version of ml-pipeline that wrote it.",
        )


def export_state(state: Path, runs: Path, model: str, output: Path) -> None:
    """Write a project's state and runs as one folder, without tokens.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        _copy(state, output / "state", leave=_leaves_out(state))
        if runs.is_dir():
            _copy(runs, output / "runs")
        label = {"format": _FORMAT, "model": model, "folder": str(state)}
        write_whole(output / _LABEL, json.dumps(label) + "\n")
    except (OSError, sqlite3.Error) as error:
        raise _unwritable(output, error) from error


def import_state(given: Path, state: Path, runs: Path, model: str) -> bool:
    """Begin with a snapshot where there is no state yet; whether anything was done.

    An empty folder stands for a project that has not run yet.

    Raises:
        ConfigurationError: it is no snapshot, one of another project or version, or there is
            state of another origin already.
        StorageError: it cannot be written.
    """
    if given.is_dir() and not any(given.iterdir()):
        return False  # the first run of all
    digest = _labelled(given, model, state)
    marker = state / _MARKER
    if marker.is_file() and json.loads(marker.read_text("utf-8")).get("snapshot") == digest:
        return False
    if any(state.glob("*.db")) or (state / "platform").exists() or marker.is_file():
        raise ConfigurationError(
            f"{state} holds state already, and it did not begin with {given}",
            remedy="Leave --state out to use what is there, or remove that state first.",
        )
    try:
        for folder, target in ((given / "state", state), (given / "runs", runs)):
            if folder.is_dir():
                _copy(folder, target, keep=True)
        write_whole(marker, json.dumps({"snapshot": digest}) + "\n")
    except OSError as error:
        raise _unwritable(state, error) from error
    return True


def _labelled(given: Path, model: str, state: Path) -> str:
    """The snapshot's digest, once it is known to be one of this project."""
    try:
        label = json.loads((given / _LABEL).read_bytes())
        known, named, folder = label["format"], label["model"], label["folder"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigurationError(
            f"{given} is no state: it has no readable {_LABEL}",
            remedy="Give what `ml-pipeline platform export` wrote.",
        ) from None
    if (known, named) != (_FORMAT, model):
        raise ConfigurationError(
            f"{given} is state of {named} in format {known}, and this is {model}, {_FORMAT}",
            remedy="Give this project's own state.",
        )
    if folder != str(state):
        # The registry and the platform's deployments name their files by absolute paths.
        raise ConfigurationError(
            f"{given} was kept in {folder}, and {state} is another place",
            remedy=f"Bring it back to {folder}.",
        )
    lines = [f"{one.relative_to(given)} {digest_of(one)}" for one in _files(given)]
    return _digest("\n".join(lines))


def _digest(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _leaves_out(state: Path) -> set[Path]:
    return {state / name for name in _NOT_HANDED_ON | {_MARKER}} | {
        state / "platform" / name for name in _PLATFORM_OWN
    }


def _copy(
    folder: Path, target: Path, *, keep: bool = False, leave: set[Path] | None = None
) -> None:
    """Copy a tree, databases by SQLite's own backup; `keep` leaves files that are there."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.rglob("*")):
        if leave and (path in leave or leave.intersection(path.parents)):
            continue
        place = target / path.relative_to(folder)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif path.is_file() and not path.name.endswith(_NO_FILES) and not (keep and place.exists()):
            _copy_file(path, place)


def _copy_file(path: Path, place: Path) -> None:
    with path.open("rb") as file:
        database = file.read(len(_SQLITE)) == _SQLITE
    if not database:
        shutil.copyfile(path, place)
        return
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(place)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")


def _unwritable(folder: Path, error: Exception) -> PipelineError:
    return StorageError(
        f"{folder} could not be written: {error}",
        remedy="Free space or allow writing there, and try again.",
    )
