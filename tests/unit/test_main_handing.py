"""Runs and state handed on: whole, without tokens, and refused where they do not belong."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ml_pipeline.adapters.local.evidence import LocalRuns
from ml_pipeline.cli.app import app
from ml_pipeline.cli.ending import ended
from ml_pipeline.domain.errors import ConfigurationError, DataError
from ml_pipeline.session import handing
from tests.fakes.clock import FakeClock

MODEL = "delivery"


def _runs(folder: Path) -> LocalRuns:
    return LocalRuns(folder, FakeClock())


def _run(folder: Path, run_id: str = "first", *, model: str = MODEL, version: int = 1) -> Path:
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


def _tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_run_is_exported_whole_with_outcome_and_newest_report_on_top(tmp_path: Path) -> None:
    run, output = _run(tmp_path / "runs"), tmp_path / "out"
    assert handing.export_run(_runs(tmp_path / "runs"), None, output) == "first"
    assert _tree(output / "first") == _tree(run)
    assert (output / "outcome").read_text() == "no-improvement\n"
    assert (output / "run-id").read_text() == "first\n"
    assert (output / "report.md").read_text() == "second report"
    assert (output / "junit.xml").exists()


def test_a_run_that_was_killed_is_exported_as_unfinished(tmp_path: Path) -> None:
    (_run(tmp_path / "runs") / "run.json").unlink()
    handing.export_run(_runs(tmp_path / "runs"), "first", tmp_path / "out")
    assert (tmp_path / "out" / "outcome").read_text() == "unfinished\n"


@pytest.mark.parametrize(
    ("came_to", "told"),
    [("no-improvement", "no-improvement"), ("promoted", "unfinished")],
    ids=["refused", "killed after it"],
)
def test_a_run_that_got_no_further_than_its_first_champion_is_found_by_its_own_id(
    tmp_path: Path, came_to: str, told: str
) -> None:
    """Whoever chose the id and has the run refused still gets report and outcome."""
    record = _run(tmp_path / "runs", "tonight-bootstrap") / "run.json"
    record.write_text(record.read_text().replace("no-improvement", came_to))
    runs, output = _runs(tmp_path / "runs"), tmp_path / "out"
    assert handing.export_run(runs, "tonight", output) == "tonight-bootstrap"
    assert (output / "outcome").read_text() == f"{told}\n"
    assert (output / "junit.xml").exists()
    assert runs.called("tonight-bootstrap") == "tonight-bootstrap"
    with pytest.raises(ConfigurationError, match="there is no run 'yesterday'"):
        runs.called("yesterday")
    _run(tmp_path / "runs", "tonight")
    assert runs.called("tonight") == "tonight"


def test_there_must_be_a_run_to_export(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no run in"):
        handing.export_run(_runs(tmp_path), None, tmp_path / "out")


@pytest.mark.parametrize("wrapped", [False, True], ids=["the run's folder", "an export"])
def test_a_run_comes_back_as_it_went(tmp_path: Path, wrapped: bool) -> None:
    given = _run(tmp_path / "elsewhere")
    runs = _runs(tmp_path / "runs")
    taken = handing.import_run(given.parent if wrapped else given, runs, MODEL)
    assert taken == "first"
    assert _tree(runs.folder("first")) == _tree(given)
    assert handing.import_run(given, runs, MODEL) == "first", "once more changes nothing"


def test_what_the_project_added_to_the_run_meanwhile_stays(tmp_path: Path) -> None:
    given, runs = _run(tmp_path / "elsewhere"), _runs(tmp_path / "runs")
    handing.import_run(given, runs, MODEL)
    journal = runs.folder("first") / "journal.jsonl"
    journal.write_text(journal.read_text() + "{}\n")
    handing.import_run(given, runs, MODEL)
    assert journal.read_text().endswith("{}\n")


def test_a_run_with_other_results_under_the_same_id_is_refused(tmp_path: Path) -> None:
    given, runs = _run(tmp_path / "elsewhere"), _runs(tmp_path / "runs")
    handing.import_run(given, runs, MODEL)
    result = given / "train" / "1" / "result.json"
    result.write_text(result.read_text().replace("passed", "failed"))
    with pytest.raises(ConfigurationError, match="known here with another"):
        handing.import_run(given, runs, MODEL)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"model": "other"}, "evidence about other, and this project's model is delivery"),
        ({"version": 99}, "evidence of format 99, and this version reads 1"),
    ],
)
def test_evidence_of_another_project_or_version_is_refused(
    tmp_path: Path, more: dict[str, object], reason: str
) -> None:
    given = _run(tmp_path / "elsewhere", **more)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=reason):
        handing.import_run(given, _runs(tmp_path / "runs"), MODEL)
    assert not (tmp_path / "runs").exists()


def test_evidence_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    given = _run(tmp_path / "elsewhere")
    (given / "train" / "1" / "result.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read as evidence"):
        handing.import_run(given, _runs(tmp_path / "runs"), MODEL)


def test_a_folder_without_a_run_or_with_two_is_refused(tmp_path: Path) -> None:
    runs = _runs(tmp_path / "runs")
    with pytest.raises(ConfigurationError, match="holds no run, not one"):
        handing.import_run(tmp_path, runs, MODEL)
    _run(tmp_path / "two", "first")
    _run(tmp_path / "two", "second")
    with pytest.raises(ConfigurationError, match="holds 2 runs, not one"):
        handing.import_run(tmp_path / "two", runs, MODEL)


def test_a_link_in_evidence_is_not_followed(tmp_path: Path) -> None:
    given = _run(tmp_path / "elsewhere")
    (given / "train" / "1" / "passwords").symlink_to("/etc/passwd")
    with pytest.raises(ConfigurationError, match="is a symbolic link"):
        handing.import_run(given, _runs(tmp_path / "runs"), MODEL)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """State with a database that has unwritten changes in its log, and a token."""
    folder = tmp_path / "state"
    (folder / "platform" / "deployments" / "v1").mkdir(parents=True)
    for name in ("platform/token", "run.lock", "envs/a/python", "cache/lint/x", "champion.json"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("canary", encoding="utf-8")
    (folder / "platform" / "deployments" / "v1" / "model.onnx").write_text("a model")
    return folder


def test_state_goes_without_tokens_locks_and_what_can_be_made_again(
    state: Path, tmp_path: Path
) -> None:
    handing.export_state(state, _run(tmp_path / "runs").parent, MODEL, tmp_path / "out")
    assert set(_tree(tmp_path / "out")) == {
        "snapshot.json",
        "state/champion.json",
        "state/platform/deployments/v1/model.onnx",
        *(f"runs/first/{name}" for name in _tree(tmp_path / "runs" / "first")),
    }


def test_a_database_in_use_is_copied_as_of_one_moment(state: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(state / "mlflow.db")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE versions (number INTEGER)")
        database.execute("INSERT INTO versions VALUES (7)")
        database.commit()  # and still only in the write-ahead log
        handing.export_state(state, tmp_path / "no-runs", MODEL, tmp_path / "out")
    assert sorted(one.name for one in (tmp_path / "out" / "state").glob("mlflow*")) == ["mlflow.db"]
    with closing(sqlite3.connect(tmp_path / "out" / "state" / "mlflow.db")) as copy:
        assert copy.execute("SELECT number FROM versions").fetchall() == [(7,)]


def _given(state: Path, tmp_path: Path, **label: object) -> Path:
    given = tmp_path / "given"
    handing.export_state(state, _run(tmp_path / "runs").parent, MODEL, given)
    marker = given / "snapshot.json"
    marker.write_text(json.dumps({**json.loads(marker.read_text()), **label}))
    return given


def test_state_comes_back_once_where_there_is_none(state: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(state / "mlflow.db")) as database:
        database.execute("CREATE TABLE versions (number INTEGER)")
    target, runs = tmp_path / "fresh", tmp_path / "fresh-runs"
    given = _given(state, tmp_path, folder=str(target))
    assert handing.import_state(given, target, runs, MODEL)
    assert _tree(runs / "first") == _tree(tmp_path / "runs" / "first")
    (target / "champion.json").write_text("newer")
    assert not handing.import_state(given, target, runs, MODEL), "later calls go on with it"
    assert (target / "champion.json").read_text() == "newer"


def test_state_never_overwrites_state_of_another_origin(state: Path, tmp_path: Path) -> None:
    given = _given(state, tmp_path, folder=str(state))
    with pytest.raises(ConfigurationError, match="holds state already"):
        handing.import_state(given, state, tmp_path / "runs", MODEL)


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ({"model": "other"}, "is state of other in format 1"),
        ({"format": 9}, "is state of delivery in format 9"),
        ({"folder": "/elsewhere"}, "was kept in /elsewhere"),
    ],
)
def test_state_of_another_project_version_or_place_is_refused(
    state: Path, tmp_path: Path, label: dict[str, object], reason: str
) -> None:
    target = tmp_path / "fresh"
    given = _given(state, tmp_path, **{"folder": str(target), **label})
    with pytest.raises(ConfigurationError, match=reason):
        handing.import_state(given, target, tmp_path / "fresh-runs", MODEL)
    assert not target.exists()


def test_an_empty_folder_is_the_state_of_a_project_that_never_ran(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    assert not handing.import_state(tmp_path / "given", tmp_path / "s", tmp_path / "r", MODEL)


def test_any_other_folder_is_no_state(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "x").touch()
    with pytest.raises(ConfigurationError, match="is no state"):
        handing.import_state(tmp_path / "given", tmp_path / "s", tmp_path / "r", MODEL)


def test_a_stage_on_evidence_of_another_run_than_named_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = _run(tmp_path / "elsewhere", model="freshmart-delivery-time")
    example = Path(__file__).parents[2] / "examples" / "freshmart"
    words = ["run", "load-test", "--evidence", str(given), "--run", "other"]
    folders = [
        "--source",
        str(example),
        "--state",
        str(tmp_path / "s"),
        "--runs",
        str(tmp_path / "r"),
    ]
    monkeypatch.setattr("sys.argv", ["ml-pipeline", *words, *folders])
    assert ended(app) == 4
    assert "is evidence of run first, and --run names other" in capsys.readouterr().err
