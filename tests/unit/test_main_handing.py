"""Runs handed on: whole, and refused where they do not belong."""

import json
from pathlib import Path

import pytest

from ml_pipeline.cli.app import app
from ml_pipeline.cli.ending import ended
from ml_pipeline.domain.errors import ConfigurationError, DataError
from ml_pipeline.session import handing
from tests.fakes.written_runs import MODEL, runs_in, tree, written_run


def test_a_run_is_exported_whole_with_outcome_and_newest_report_on_top(tmp_path: Path) -> None:
    run, output = written_run(tmp_path / "runs"), tmp_path / "out"
    assert handing.export_run(runs_in(tmp_path / "runs"), None, output) == "first"
    assert tree(output / "first") == tree(run)
    assert (output / "outcome").read_text() == "no-improvement\n"
    assert (output / "run-id").read_text() == "first\n"
    assert (output / "report.md").read_text() == "second report"
    assert (output / "junit.xml").exists()


def test_a_run_that_was_killed_is_exported_as_unfinished(tmp_path: Path) -> None:
    (written_run(tmp_path / "runs") / "run.json").unlink()
    handing.export_run(runs_in(tmp_path / "runs"), "first", tmp_path / "out")
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
    record = written_run(tmp_path / "runs", "tonight-bootstrap") / "run.json"
    record.write_text(record.read_text().replace("no-improvement", came_to))
    runs, output = runs_in(tmp_path / "runs"), tmp_path / "out"
    assert handing.export_run(runs, "tonight", output) == "tonight-bootstrap"
    assert (output / "outcome").read_text() == f"{told}\n"
    assert (output / "junit.xml").exists()
    assert runs.called("tonight-bootstrap") == "tonight-bootstrap"
    with pytest.raises(ConfigurationError, match="there is no run 'yesterday'"):
        runs.called("yesterday")
    written_run(tmp_path / "runs", "tonight")
    assert runs.called("tonight") == "tonight"


def test_there_must_be_a_run_to_export(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no run in"):
        handing.export_run(runs_in(tmp_path), None, tmp_path / "out")


@pytest.mark.parametrize("wrapped", [False, True], ids=["the run's folder", "an export"])
def test_a_run_comes_back_as_it_went(tmp_path: Path, wrapped: bool) -> None:
    given = written_run(tmp_path / "elsewhere")
    runs = runs_in(tmp_path / "runs")
    taken = handing.import_run(given.parent if wrapped else given, runs, MODEL)
    assert taken == "first"
    assert tree(runs.folder("first")) == tree(given)
    assert handing.import_run(given, runs, MODEL) == "first", "once more changes nothing"


def test_what_the_project_added_to_the_run_meanwhile_stays(tmp_path: Path) -> None:
    given, runs = written_run(tmp_path / "elsewhere"), runs_in(tmp_path / "runs")
    handing.import_run(given, runs, MODEL)
    journal = runs.folder("first") / "journal.jsonl"
    journal.write_text(journal.read_text() + "{}\n")
    handing.import_run(given, runs, MODEL)
    assert journal.read_text().endswith("{}\n")


@pytest.mark.parametrize("name", ["train/1/result.json", "train/1/model.onnx", "run.json"])
def test_a_run_with_another_file_under_the_same_id_is_refused(tmp_path: Path, name: str) -> None:
    given, runs = written_run(tmp_path / "elsewhere"), runs_in(tmp_path / "runs")
    handing.import_run(given, runs, MODEL)
    before = tree(tmp_path / "runs")
    (given / name).write_text((given / name).read_text() + "\n")
    with pytest.raises(ConfigurationError, match=f"known here with another {name}"):
        handing.import_run(given, runs, MODEL)
    assert tree(tmp_path / "runs") == before


def test_a_run_that_went_on_here_and_elsewhere_is_refused(tmp_path: Path) -> None:
    given, runs = written_run(tmp_path / "elsewhere"), runs_in(tmp_path / "runs")
    handing.import_run(given, runs, MODEL)
    for folder in (given, runs.folder("first")):
        with (folder / "journal.jsonl").open("a") as journal:
            journal.write(json.dumps({"event": "weights", "folder": str(folder)}) + "\n")
    with pytest.raises(ConfigurationError, match=r"known here with another journal\.jsonl"):
        handing.import_run(given, runs, MODEL)


def test_a_run_that_went_on_elsewhere_is_taken_as_far_as_it_got(tmp_path: Path) -> None:
    """What was cut off here gave way to what came of it there: another record, a whole attempt."""
    given, runs = written_run(tmp_path / "elsewhere"), runs_in(tmp_path / "runs")
    (given / "evaluate" / "1").mkdir(parents=True)
    (given / "evaluate" / "1" / "scores.csv").write_text("half")
    handing.import_run(given, runs, MODEL)
    (given / "evaluate" / "1" / "scores.csv").write_text("whole")
    result = (given / "train" / "1" / "result.json").read_text()
    (given / "evaluate" / "1" / "result.json").write_text(result.replace("train", "evaluate"))
    record = given / "run.json"
    record.write_text(record.read_text().replace("no-improvement", "promoted"))
    journal = given / "journal.jsonl"
    journal.write_text(journal.read_text() + json.dumps({"event": "run-finished"}) + "\n")
    handing.import_run(given, runs, MODEL)
    assert tree(runs.folder("first")) == tree(given)


def test_an_earlier_moment_of_a_run_changes_nothing(tmp_path: Path) -> None:
    given, runs = written_run(tmp_path / "elsewhere"), runs_in(tmp_path / "runs")
    handing.import_run(given, runs, MODEL)
    known = runs.folder("first")
    with (known / "journal.jsonl").open("a") as journal:
        journal.write(json.dumps({"event": "run-finished"}) + "\n")
    (known / "run.json").write_text((known / "run.json").read_text() + "\n")
    before = tree(known)
    handing.import_run(given, runs, MODEL)
    assert tree(known) == before


def _killed(folder: Path, *journal: dict[str, str]) -> Path:
    """A run without a record, whose journal holds these lines."""
    given = written_run(folder)
    (given / "run.json").unlink()
    lines = (json.dumps({"at": "2026-03-01T00:00:00", **line}) + "\n" for line in journal)
    (given / "journal.jsonl").write_text("".join(lines))
    return given


def test_a_killed_run_is_known_by_the_model_it_was_begun_for(tmp_path: Path) -> None:
    given = _killed(tmp_path / "elsewhere", {"event": "run-started", "model": MODEL})
    assert handing.import_run(given, runs_in(tmp_path / "runs"), MODEL) == "first"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"event": "run-started", "model": "other"}, "evidence about other, and this project"),
        ({"event": "run-started"}, "does not say which model it is about"),
        ({"event": "weights"}, "does not say how a run of stages began"),
        ({"garbage": "x"}, "does not say how a run of stages began"),
    ],
)
def test_a_killed_run_of_unknown_or_other_origin_is_refused(
    tmp_path: Path, line: dict[str, str], reason: str
) -> None:
    given = _killed(tmp_path / "elsewhere", line)
    with pytest.raises((ConfigurationError, DataError), match=reason):
        handing.import_run(given, runs_in(tmp_path / "runs"), MODEL)
    assert not (tmp_path / "runs").exists()


def test_a_record_does_not_stand_for_what_the_journal_denies(tmp_path: Path) -> None:
    given = written_run(tmp_path / "elsewhere")
    line = {"at": "2026-03-01T00:00:00", "event": "run-started", "model": "other"}
    (given / "journal.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(ConfigurationError, match="evidence about other"):
        handing.import_run(given, runs_in(tmp_path / "runs"), MODEL)


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
    given = written_run(tmp_path / "elsewhere", **more)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=reason):
        handing.import_run(given, runs_in(tmp_path / "runs"), MODEL)
    assert not (tmp_path / "runs").exists()


def test_evidence_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    given = written_run(tmp_path / "elsewhere")
    (given / "train" / "1" / "result.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read as evidence"):
        handing.import_run(given, runs_in(tmp_path / "runs"), MODEL)


def test_a_folder_without_a_run_or_with_two_is_refused(tmp_path: Path) -> None:
    runs = runs_in(tmp_path / "runs")
    with pytest.raises(ConfigurationError, match="holds no run, not one"):
        handing.import_run(tmp_path, runs, MODEL)
    written_run(tmp_path / "two", "first")
    written_run(tmp_path / "two", "second")
    with pytest.raises(ConfigurationError, match="holds 2 runs, not one"):
        handing.import_run(tmp_path / "two", runs, MODEL)


def test_a_link_in_evidence_is_not_followed(tmp_path: Path) -> None:
    given = written_run(tmp_path / "elsewhere")
    (given / "train" / "1" / "passwords").symlink_to("/etc/passwd")
    with pytest.raises(ConfigurationError, match="is a symbolic link"):
        handing.import_run(given, runs_in(tmp_path / "runs"), MODEL)
    assert not (tmp_path / "runs").exists()


def test_a_stage_on_evidence_of_another_run_than_named_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = written_run(tmp_path / "elsewhere", model="freshmart-delivery-time")
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
