"""The plain end of a run."""

import pytest

from ml_pipeline.domain.evidence import Check, Outcome, Status
from ml_pipeline.reporting.story import VERDICTS
from ml_pipeline.reporting.summary import lines, said
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


TRACEBACK = "\n".join(
    ["check failed: first training exits 0: Traceback (most recent call last):"]
    + [f'  File "/a/long/path/train.py", line {n}, in step_{n}' for n in range(30)]
    + ["ValueError: could not convert string to float: 'n/a'", ""]
)


def test_of_a_long_output_the_last_line_is_shown_too(tmp_path):
    run = RunFolder(tmp_path)
    check = Check(name="first training exits 0", passed=False, message=TRACEBACK)
    run.stage("smoke-train", Status.FAILED, message=TRACEBACK, checks=[check])

    told = lines(run.record(Outcome.ERROR, TRACEBACK))

    cause = "ValueError: could not convert string to float: 'n/a'"
    why, red = (
        next(one for one in told if one.startswith(f"  {name} ")) for name in ("why", "red")
    )
    assert why.startswith("  why          check failed: first training exits 0: Traceback")
    assert why.endswith(f" … {cause}")
    assert red.endswith(f" … {cause}")


def test_a_last_line_that_is_too_long_itself_leaves_room_for_the_first():
    text = "it ended\n" + "noise\n" * 100 + "Error: " + "x" * 900
    shown = said(text)
    assert shown.startswith("it ended noise")
    assert " … Error: xxx" in shown
    assert len(shown) == 400


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


def test_a_hidden_character_neither_commands_a_terminal_nor_hides_a_secret():
    assert said("x\x1b[31mRED\x1b]0;t\x07 \u202etxt") == "xRED txt"
    assert "hunter2" not in said("https://bob:hun\u200bter2@host/")
