"""Runs handed on: whole, and refused where they do not belong."""

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


def test_a_run_with_other_results_under_the_same_id_is_refused(tmp_path: Path) -> None:
    given, runs = written_run(tmp_path / "elsewhere"), runs_in(tmp_path / "runs")
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
