"""Runs as they lie on a disk, without having been run."""

import json
from pathlib import Path

from ml_pipeline.adapters.local.evidence import LocalRuns
from tests.fakes.clock import FakeClock

MODEL = "delivery"


def runs_in(folder: Path) -> LocalRuns:
    return LocalRuns(folder, FakeClock())


def written_run(
    folder: Path, run_id: str = "first", *, model: str = MODEL, version: int = 1
) -> Path:
    """A run as far as these tests look at it: a journal, a stage's result, a record, a report."""
    run = folder / run_id
    result = {
        "schema_version": version, "run_id": run_id, "stage": "train", "attempt": 1,
        "status": "passed", "started_at": "2026-03-01T00:00:00Z", "duration_s": 1,
    }  # fmt: skip
    record = {
        "schema_version": version, "run_id": run_id, "project": "p", "model": model,
        "platform": "local", "profile": "test", "trigger": "manual",
        "started_at": "2026-03-01T00:00:00Z", "duration_s": 1, "outcome": "no-improvement",
        "exit_code": 2, "message": "worse",
    }  # fmt: skip
    for name, text in {
        "journal.jsonl": json.dumps({"at": "2026-03-01T00:00:00", "event": "run-started"}) + "\n",
        "train/1/result.json": json.dumps(result),
        "train/1/model.onnx": "a model",
        "run.json": json.dumps(record),
        "report/2/report.md": "second report",
        "report/1/report.md": "first report",
        "report/2/junit.xml": "<testsuites/>",
    }.items():
        path = run / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return run


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
