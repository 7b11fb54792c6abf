"""The plain end of a run."""

import pytest

from ml_pipeline.domain.evidence import Check, Outcome, Status
from ml_pipeline.reporting.story import VERDICTS
from ml_pipeline.reporting.summary import lines
from tests.fakes.report_runs import RUNS, RunFolder, promoted


@pytest.mark.parametrize("name", RUNS)
def test_the_first_line_is_the_verdict_with_its_exit_code(name, tmp_path):
    run = RUNS[name](tmp_path)
    first = lines(run)[0]
    assert first.startswith(f"{VERDICTS[run.outcome].title}: freshmart-delivery-time")
    assert f"exit code {run.exit_code}" in first


def test_a_promotion_names_both_versions_and_their_metric(tmp_path):
    assert (
        "  mae          challenger (version 4) 4.112, champion (version 3) 4.435;"
        " \u22127.28 % (better)"
    ) in lines(promoted(tmp_path))


def test_a_red_check_shows_value_and_limit_and_the_remedy_follows(tmp_path):
    told = "\n".join(lines(RUNS["checks_red"](tmp_path / "a")))
    assert "ruff check src: 1 exit code (limit 0)" in told
    told = "\n".join(lines(RUNS["error"](tmp_path / "b")))
    assert "to do        Start the platform" in told


def test_the_same_sentence_is_not_said_twice(tmp_path):
    told = "\n".join(lines(RUNS["error"](tmp_path)))
    assert told.count("did not answer within 10 s") == 1


def test_overrides_are_named_with_their_reason(tmp_path):
    told = lines(RUNS["rolled_back"](tmp_path))
    assert any(line.startswith("  --force ") for line in told)
    assert any(line.startswith("  --chaos ") for line in told)
    assert "  reason       drill" in told


def test_run_and_report_are_named_last(tmp_path):
    run = promoted(tmp_path)
    assert lines(run)[-1] == f"  run          {run.run_id}"
    assert lines(run, "/runs/1/report.html")[-1] == "  report       /runs/1/report.html"


def test_text_from_outside_cannot_command_a_terminal_or_a_ci_system(tmp_path):
    run = RunFolder(tmp_path)
    evil = "\x1b[2Jgone\n::error::owned\n##vso[task.complete]\r##[add-path]x"
    run.stage(
        "train", Status.ERROR, message=evil, remedy=evil, checks=[Check(name=evil, passed=False)]
    )

    told = lines(run.record(Outcome.ERROR, evil, model=evil))

    assert not [line for line in told if "\n" in line or "\x1b" in line or "\r" in line]
    assert not [line for line in told if line.lstrip().startswith("::")]
    assert not [line for line in told if "##" in line]
