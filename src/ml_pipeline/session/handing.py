"""Hands runs on: to a caller without this disk, and from there to another machine."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from ml_pipeline.adapters.local.disk import digest_of, write_whole
from ml_pipeline.adapters.local.evidence import (
    JOURNAL,
    RECORD,
    RESULT,
    LocalRuns,
    read_journal,
    read_model,
)
from ml_pipeline.domain.errors import ConfigurationError, DataError
from ml_pipeline.domain.evidence import SCHEMA_VERSION, Outcome, RunRecord, StageResult
from ml_pipeline.domain.identifiers import checked_run_id
from ml_pipeline.session.begun import STARTED
from ml_pipeline.session.copying import copy_tree, copy_whole, not_written, refuse_links

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
        copy_tree(folder, target)
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
        raise not_written(output, error) from error
    return chosen


def _outcome(folder: Path) -> str:
    if not (folder / RECORD).is_file():
        return _UNFINISHED
    return read_model(folder / RECORD, RunRecord).outcome.value


def import_run(given: Path, runs: LocalRuns, model: str) -> str:
    """Lay a run's evidence beside the project's own runs; its id.

    Where the run is known already, what went on longer is kept or taken: here or elsewhere, not
    both. A run of the same id whose files differ is refused, before anything is written.

    Args:
        given: a run's folder, or one that holds a single run.
        runs: the project's.
        model: the project's, to recognise another project's evidence.

    Raises:
        ConfigurationError: it is no run, or one of another project or version.
        DataError: a result in it, or how it began, cannot be read.
        StorageError: it cannot be written.
    """
    folder = _run_folder(given.resolve())
    refuse_links(folder, "evidence", "Give a folder that `ml-pipeline evidence export` wrote.")
    run_id = _identified(folder, model)
    newer = _newer(folder, runs.folder(run_id), run_id)
    target = runs.create(run_id)
    try:
        for name in sorted(newer, key=lambda one: one.name == JOURNAL):  # what tells of it: last
            copy_whole(folder / name, target / name)
        copy_tree(folder, target, copy_file=copy_whole)
    except OSError as error:
        raise not_written(target, error) from error
    return run_id


def _newer(folder: Path, known: Path, run_id: str) -> set[Path]:
    """Names of files that are known as of an earlier moment of the same run.

    Raises:
        ConfigurationError: what is given is no earlier or later moment of what is known.
    """
    if not (known / JOURNAL).is_file():
        return set()
    theirs, ours = (folder / JOURNAL).read_bytes(), (known / JOURNAL).read_bytes()
    ahead = len(theirs) > len(ours)
    changed = set(_changed(folder, known))
    for name in changed:
        if name == Path(JOURNAL):
            same_run = theirs.startswith(ours) if ahead else ours.startswith(theirs)
        elif name == Path(RECORD):
            same_run = theirs != ours
        else:  # an attempt is written until it has a result
            attempt = Path(*name.parts[:2]) / RESULT
            same_run = not ((known if ahead else folder) / attempt).is_file()
        if not same_run:
            raise ConfigurationError(
                f"run {run_id} is known here with another {name}",
                remedy=f"Name the run that is known instead: --run {run_id}.",
            )
    return changed if ahead else set()


def _changed(folder: Path, known: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        there = path.is_file() and (known / name).is_file()
        if there and digest_of(path) != digest_of(known / name):
            yield name


def _run_folder(given: Path) -> Path:
    found = [given] if (given / JOURNAL).is_file() else []
    if not found and given.is_dir():
        found = [one for one in given.iterdir() if (one / JOURNAL).is_file()]
    if len(found) == 1:
        return found[0]
    what = "no run" if not found else f"{len(found)} runs"
    raise ConfigurationError(
        f"{given} holds {what}, not one", remedy="Give the folder of one run, such as runs/<id>."
    )


def _identified(folder: Path, model: str) -> str:
    ids, models = set(), _models_begun_for(folder)
    for path in sorted(folder.glob(f"*/*/{RESULT}")):
        _of_this_version(path)
        ids.add(read_model(path, StageResult).run_id)
    if (folder / RECORD).is_file():
        _of_this_version(folder / RECORD)
        record = read_model(folder / RECORD, RunRecord)
        models.add(record.model)
        ids.add(record.run_id)
    if not models:
        raise ConfigurationError(
            f"{folder} does not say which model it is about",
            remedy="Give evidence of a run that came to an end.",
        )
    if others := models - {model}:
        raise ConfigurationError(
            f"{folder} is evidence about {others.pop()}, and this project's model is {model}",
            remedy="Give evidence of this project, or another --source.",
        )
    named = ids - {None}
    if len(named) > 1:
        raise ConfigurationError(
            f"{folder} mixes results of runs {', '.join(sorted(map(str, named)))}",
            remedy="Give the folder of one run as it was written.",
        )
    return checked_run_id(str(named.pop()) if named else folder.name)


def _models_begun_for(folder: Path) -> set[str]:
    started = [line for line in read_journal(folder) if line["event"] == STARTED]
    if not started:
        raise DataError(
            f"{folder / JOURNAL} does not say how a run of stages began",
            remedy="Give a folder that `ml-pipeline evidence export` wrote.",
        )
    return {str(line["model"]) for line in started if "model" in line}


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
