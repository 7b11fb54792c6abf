"""The programs in `ci/`, as a workflow of somebody's own would call them: one process each."""

import json
import os
import re
from pathlib import Path

import pytest

from tests.fakes.launching import Launched
from tests.fakes.toy_project import Toy, configured, toy

pytestmark = [pytest.mark.e2e]

CI = Path(__file__).parents[2] / "ci"
STEPS = (
    "submit_training_job", "wait_for_job", "get_job_metrics", "compare_models", "register_model",
    "deploy_to_staging", "load_test", "gradual_promote", "archive_old_model", "notify",
)  # fmt: skip


def call(project: Toy, step: str, *words: str) -> tuple[int, dict, str]:
    """One step: its exit code, the JSON it printed last, and everything it said."""
    log = project.folder.with_suffix(f".{step}")
    log.write_text("")
    environ = {**os.environ, "CI": "true"}  # noqa: TID251 - a workflow's own
    words = ("--source", str(project.folder), *words)
    code = Launched(CI / f"{step}.py", words, log, environ).wait(timeout=240)
    said = log.read_text()
    last = (said.splitlines() or [""])[-1]
    assert "Traceback" not in said
    return code, json.loads(last) if last.startswith("{") else {}, said


def through(project: Toy, *steps: str, run: str) -> dict[str, dict]:
    """Steps that are to end well; what each answered."""
    answers = {}
    for step in steps:
        code, answers[step], said = call(project, step, "--run", run)
        assert code == 0, said
    return answers


@pytest.mark.timeout(900)  # fourteen processes, some with a platform of their own
def test_the_steps_one_after_another_are_a_release(tmp_path):
    project = toy(tmp_path)
    assert project.run("platform", "up", "--port", "0").code == 0
    answers = through(project, *STEPS, run="first")
    assert project.run("platform", "down").code == 0
    assert answers["submit_training_job"]["platform"] == "local"
    assert answers["wait_for_job"]["job"] == answers["submit_training_job"]["job"]
    assert answers["get_job_metrics"]["metrics"]["mae"] > 0
    assert answers["archive_old_model"]["outcome"] == "promoted"
    shown = project.run("status")
    assert "version 1" in shown.output
    stages = {one["stage"]: one["status"] for one in project.record()["stages"]}
    assert {stages[one] for one in ("train", "register", "shift-traffic", "notify")} == {"passed"}
    assert [one["job"] for one in project.journal() if one["event"] == "job-submitted"] == (
        [answers["submit_training_job"]["job"]] * 2  # once by each who handled it, and one job
    )
    worse = call(project, "submit_training_job", "--run", "worse", "--set", OFFSET)
    assert worse[0] == 0, worse[2]
    assert call(project, "wait_for_job", "--run", "worse")[0] == 0
    code, answer, said = call(project, "compare_models", "--run", "worse", "--set", OFFSET)
    assert (code, answer["outcome"]) == (2, "no-improvement"), said
    assert call(project, "archive_old_model", "--run", "worse")[0] == 4


OFFSET = "hyperparameters.offset=-30"


def test_a_training_that_hangs_is_cancelled_when_the_wait_ends(tmp_path):
    project = toy(tmp_path, configured(("[train]", "[hyperparameters]\ndo = 'hang'\n[train]")))
    through(project, "submit_training_job", run="hung")
    code, _, said = call(project, "wait_for_job", "--run", "hung", "--set", "train.time_limit_s=1")
    assert code == 8, said
    assert "job-cancelled" in [one["event"] for one in project.journal()]
    code, _, said = call(project, "get_job_metrics", "--run", "hung")
    assert code == 5
    assert "cancelled" in said


def test_a_training_that_fails_says_why(tmp_path):
    project = toy(tmp_path, configured(("[train]", "[hyperparameters]\ndo = 'exit1'\n[train]")))
    through(project, "submit_training_job", run="failed")
    code, _, said = call(project, "wait_for_job", "--run", "failed")
    assert code == 5
    assert "does not feel like it" in said


@pytest.mark.parametrize("words", [("--run", "absent"), (), ("--no-such-option",)])
def test_what_is_missing_is_a_usage_error_and_no_verdict(tmp_path, words):
    code, _, said = call(toy(tmp_path), "wait_for_job", *words)
    assert code == 4
    assert said


def test_every_program_is_documented_in_one_line_and_says_what_it_is(tmp_path):
    programs = {path.stem for path in CI.glob("*.py")}
    listed = re.findall(r"^\| `(\w+)\.py` \| \S", (CI / "README.md").read_text(), re.MULTILINE)
    assert programs == set(STEPS)
    assert tuple(listed) == STEPS
    for step in STEPS:
        shown = tmp_path / step
        program = Launched(CI / f"{step}.py", ["--help"], shown, os.environ)  # noqa: TID251
        assert program.wait(timeout=60) == 0
        assert "--run" in shown.read_text()
