"""What a job of a CI system ends with, and what it calls, for each way a call can end."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.ci_desk import Desk
from tests.fakes.ci_systems import Job, github, gitlab, jenkins

Run = Callable[[Desk], Job]


def _github_first_run(desk: Desk, call: str) -> Job:
    return github(desk, call=call, run_id="a-run", first_run=True, environment="production")


#: The job of each system that makes a call, by call.
RELEASE: dict[str, Run] = {
    "github": lambda desk: _github_first_run(desk, "full-pipeline"),
    "gitlab": lambda desk: gitlab(desk, "ml-retrain", ML_FIRST_RUN="true"),
    "jenkins": lambda desk: jenkins(desk, "Retrain"),
}
CHECKS: dict[str, Run] = {
    "github": lambda desk: _github_first_run(desk, "ci"),
    "gitlab": lambda desk: gitlab(desk, "ml-ci"),
    "jenkins": lambda desk: jenkins(desk, "Checks"),
}


def _approved_in_gitlab(desk: Desk) -> Job:
    evidence = desk.work / ".ml-pipeline" / "evidence"
    evidence.mkdir(parents=True)
    (evidence / "outcome").write_text("awaiting-approval\n")
    (evidence / "run-id").write_text("a-run\n")
    return gitlab(desk, "ml-approve", ML_FIRST_RUN="true")


RESUME: dict[str, Run] = {
    "github": lambda desk: _github_first_run(desk, "resume"),
    "gitlab": _approved_in_gitlab,
    "jenkins": lambda desk: jenkins(desk, "Roll out"),
}
SYSTEMS = sorted(RELEASE)
ENDS = [
    (0, "promoted", "success"),
    (0, "nothing-to-do", "success"),
    (0, "awaiting-approval", "success"),
    (0, "checks-passed", "success"),
    (2, "no-improvement", "neutral"),
    (2, "checks-red", "failure"),  # a tool's own 2
    (2, "promoted", "failure"),
    (0, "rolled-back", "failure"),
    (0, "no-improvement", "failure"),
    (3, "checks-red", "failure"),
    (4, "no-improvement", "failure"),
    (4, None, "failure"),
    (9, "rolled-back", "failure"),
    (10, "inconclusive", "failure"),
    (130, "interrupted", "failure"),
]


@pytest.mark.parametrize(("code", "outcome", "ends"), ENDS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_job_is_green_neutral_or_red_by_code_and_outcome(
    system: str, code: int, outcome: str | None, ends: str, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, code=code, outcome=outcome)
    job = RELEASE[system](desk)
    # GitHub has no neutral job: it ends well, with a notice.
    shown = "success" if (system, ends) == ("github", "neutral") else ends
    assert job.result == shown, desk.said
    assert ("no improvement: the champion stays" in desk.said) == (
        (system, ends) == ("github", "neutral")
    )


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_run_that_ended_is_not_aborted_and_its_evidence_is_fetched_once(
    system: str, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, code=9, outcome="rolled-back")
    RELEASE[system](desk)
    assert [one for one in desk.functions if one != "state"] == ["full-pipeline", "evidence"]


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "lost engine"])
@pytest.mark.parametrize("calls", [RELEASE, RESUME], ids=["release", "resume"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_call_that_died_is_aborted_and_its_evidence_follows(
    system: str, calls: dict[str, Run], killed: bool, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, code=137, outcome="unfinished", killed=killed)
    assert calls[system](desk).result == "failure"
    aborted = desk.functions.index("abort")
    assert desk.functions.count("abort") == 1
    assert desk.functions[aborted + 1] == "evidence"
    assert desk.call_of("abort")[-2:] == [f"--run={_run_id(desk)}", "--wait"]
    assert (desk.work / ".ml-pipeline/evidence/outcome").read_text() == "interrupted\n"


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_call_that_left_no_evidence_is_aborted_too(system: str, tmp_path: Path) -> None:
    desk = Desk(tmp_path, code=137, outcome=None)
    assert RELEASE[system](desk).result == "failure"
    assert "abort" in desk.functions


@pytest.mark.parametrize("outcome", ["unfinished", None])
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_call_that_was_refused_aborts_nobodys_run(
    system: str, outcome: str | None, tmp_path: Path
) -> None:
    """An id that is taken is refused, and the run that has it may be under way."""
    desk = Desk(tmp_path, code=4, outcome=outcome)
    assert RELEASE[system](desk).result == "failure"
    assert "abort" not in desk.functions


@pytest.mark.parametrize("abort", [4, 7])
@pytest.mark.parametrize("system", SYSTEMS)
def test_evidence_and_state_follow_an_abort_that_failed(
    system: str, abort: int, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, code=137, outcome="unfinished", killed=True, abort=abort)
    assert RELEASE[system](desk).result == "failure"
    after = desk.functions[desk.functions.index("abort") :]
    assert "evidence" in after
    assert ("state" in after) == (system != "jenkins")
    assert f"abort: exit code {abort}" in desk.said


@pytest.mark.parametrize("killed", [True, False])
@pytest.mark.parametrize("system", SYSTEMS)
def test_checks_hold_nothing_to_abort_and_touch_no_state(
    system: str, killed: bool, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, code=3, outcome="unfinished" if killed else "checks-red", killed=killed)
    assert CHECKS[system](desk).result == "failure"
    assert set(desk.functions) == {"ci", "evidence"}
    assert "--state" not in str(desk.calls)


@pytest.mark.parametrize("outcome", ["promoted", "no-improvement", "rolled-back", None])
def test_a_click_on_a_run_that_does_not_wait_calls_nothing(
    outcome: str | None, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, outcome="awaiting-approval")
    evidence = desk.work / ".ml-pipeline" / "evidence"
    evidence.mkdir(parents=True)
    (evidence / "run-id").write_text("a-run\n")
    if outcome:
        (evidence / "outcome").write_text(f"{outcome}\n")
    assert gitlab(desk, "ml-approve", ML_FIRST_RUN="true").result == "failure"
    assert desk.calls == []


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_resume_that_was_killed_does_not_show_what_waited(system: str, tmp_path: Path) -> None:
    desk = Desk(tmp_path, outcome=None, killed=True)
    RESUME[system](desk)
    assert not (desk.work / ".ml-pipeline/evidence/outcome").exists()


def _run_id(desk: Desk) -> str:
    """The id that the acting call was given."""
    words = desk.calls[0]
    return next(one.split("=", 1)[1] for one in words if one.startswith(("--run-id=", "--run=")))
