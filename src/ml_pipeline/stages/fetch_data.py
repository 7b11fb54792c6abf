"""Bring the rows, hold some out, and fingerprint those training will see."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from ml_pipeline.domain.commands import fill
from ml_pipeline.domain.errors import ConfigurationError, DataError
from ml_pipeline.domain.evidence import StageOutcome, Status
from ml_pipeline.domain.policies.data import DataFormat, DataPolicy
from ml_pipeline.ports.evidence import Memo, RunOptions, StageFolder
from ml_pipeline.ports.runner import ProjectRunner, run_or_fail
from ml_pipeline.ports.tables import Split, TableStore

ROWS = "rows"
TRAINING = "training.csv"
HOLDOUT = "holdout.csv"
FINGERPRINTS = "training.fingerprints"
SPLIT = "split.json"
_TIME_LIMIT_S = 1800


def run(
    *,
    stage: StageFolder,
    source: Path,
    data: DataPolicy,
    runner: ProjectRunner,
    tables: TableStore,
    memo: Memo,
    options: RunOptions,
) -> StageOutcome:
    """Fetch or copy the rows, prepare them, and split them before anything trains.

    The same rows under the same settings and code give the same split, so it is kept and
    linked in again; the rows themselves are always fetched anew.
    """
    raw = _fetched(stage, source, data, runner)
    key = _key(raw, data, options)
    prepared = f"{ROWS}.{data.ending}"
    names = [raw.name, TRAINING, HOLDOUT, FINGERPRINTS, SPLIT]
    names += [prepared] if data.prepare else []
    names += [given_to_training(data)] if given_to_training(data) != TRAINING else []
    kept = memo.get("split", key)
    if kept is None:
        rows = _prepared(stage, raw, data, runner, tables)
        _split(stage, rows, data, tables, options)
        files = [stage.path / name for name in names]
        memo.put("split", key, files, stage.path)
    else:
        for name in names:
            shutil.copyfile(kept / name, stage.path / name)
    told = _read(stage.path / SPLIT)
    message = f"{told['training_rows']} rows to train on, {told['holdout_rows']} held out"
    return StageOutcome(
        status=Status.PASSED,
        message=message + (f" from {told['cutoff']}" if told["cutoff"] else " by key"),
        artifacts=tuple(stage.path / name for name in names),
        values={**told, "table": prepared if data.prepare else raw.name},
    )


def given_to_training(data: DataPolicy) -> str:
    """The name of the training rows as the project's training reads them."""
    return f"training.{data.ending}"


def _fetched(stage: StageFolder, source: Path, data: DataPolicy, runner: ProjectRunner) -> Path:
    if data.path is not None:
        origin = source / data.path
        if not origin.is_file():
            raise ConfigurationError(
                f"data.path = {data.path!r}: there is no such file in {source}",
                remedy="Correct 'data.path', or set 'data.fetch' to the command that makes it.",
            )
        cells = "csv" if data.format is DataFormat.PARQUET else data.raw_ending
        target = stage.path / f"fetched.{'parquet' if origin.suffix == '.parquet' else cells}"
        shutil.copyfile(origin, target)
        return target
    target = stage.path / f"fetched.{data.raw_ending}"
    argv = fill(data.fetch or (), output=target, cutoff=data.cutoff or "")
    log = stage.path / "fetch.log"
    run_or_fail(runner, argv, log=log, key="data.fetch", time_limit_s=_TIME_LIMIT_S)
    return _written(target, "data.fetch")


def _prepared(
    stage: StageFolder, raw: Path, data: DataPolicy, runner: ProjectRunner, tables: TableStore
) -> Path:
    if data.prepare is None:
        return raw
    target = stage.path / f"{ROWS}.{data.ending}"
    raw = _as_asked(raw, stage, data, tables)
    argv = fill(data.prepare, input=raw, output=target)
    log = stage.path / "prepare.log"
    run_or_fail(runner, argv, log=log, key="data.prepare", time_limit_s=_TIME_LIMIT_S)
    return _written(target, "data.prepare")


def _as_asked(raw: Path, stage: StageFolder, data: DataPolicy, tables: TableStore) -> Path:
    """The rows of `data.path` in the form that the project's own commands read."""
    if raw.name == f"fetched.{data.raw_ending}":
        return raw
    target = stage.path / f"fetched-as.{data.raw_ending}"
    tables.convert(raw, target, text=data.text_columns)
    return target


def _written(target: Path, key: str) -> Path:
    if not target.is_file():
        raise DataError(
            f"{key} exited 0 but wrote no {target.name}",
            remedy="Have it write the file named by {output}.",
        )
    return target


def _split(
    stage: StageFolder, rows: Path, data: DataPolicy, tables: TableStore, options: RunOptions
) -> None:
    tables.check_columns(rows, data)
    given = stage.path / given_to_training(data)
    # Types are lost in CSV: rows that have some are split with them, and written as CSV after.
    typed = rows.suffix == given.suffix
    split = tables.split(
        rows,
        data,
        training=given if typed else stage.path / TRAINING,
        holdout=stage.path / HOLDOUT,
        fingerprints=stage.path / FINGERPRINTS,
        cutoff=options.cutoff or data.cutoff,
    )
    if given.name != TRAINING:
        first, second = (given, stage.path / TRAINING) if typed else (stage.path / TRAINING, given)
        tables.convert(first, second, text=data.text_columns)
    _write(stage.path / SPLIT, split)


def _write(path: Path, split: Split) -> None:
    def iso(value: object) -> str | None:
        return None if value is None else str(value)

    told = {
        "training_rows": split.training_rows,
        "holdout_rows": split.holdout_rows,
        "cutoff": iso(split.cutoff),
        "trained_through": iso(split.trained_through),
        "newest": iso(split.newest),
    }
    path.write_text(json.dumps(told), encoding="utf-8")


def _read(path: Path) -> Mapping[str, JsonValue]:
    loaded: Mapping[str, JsonValue] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def _key(raw: Path, data: DataPolicy, options: RunOptions) -> str:
    with raw.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    # Without `prepare` no code of the project touches the rows.
    code = options.source_digest if data.prepare else ""
    digest.update(f"{data.model_dump_json()}{options.cutoff}{code}".encode())
    return digest.hexdigest()
