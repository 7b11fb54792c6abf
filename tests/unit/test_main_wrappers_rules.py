"""GitLab and Jenkins: when each job runs, who approves, and that evidence and state are kept."""

import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.fakes.ci_desk import Desk
from tests.fakes.ci_systems import JENKINS, block, gitlab, gitlab_job, said, stage

RELEASED = (
    '$CI_PIPELINE_SOURCE == "schedule" || $CI_PIPELINE_SOURCE == "web"'
    ' || $CI_PIPELINE_SOURCE == "trigger"'
)
BUILDS = ("ml-retrain", "ml-approve")
WAITS = ["environment name: 'OUTCOME', value: 'awaiting-approval'"]


def _seconds(text: str) -> int:
    units = {"h": 3600, "m": 60}
    return sum(int(one) * units[unit] for one, unit in re.findall(r"(\d+)([hm])", text))


def test_gitlab_checks_merge_requests_and_releases_what_was_asked_for() -> None:
    rules = {name: gitlab_job(name)["rules"] for name in ("ml-ci", *BUILDS)}
    assert rules == {
        "ml-ci": [{"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'}],
        "ml-retrain": [{"if": RELEASED}],
        "ml-approve": [{"if": RELEASED, "when": "manual", "allow_failure": True}],
    }


def test_gitlab_approves_after_the_retraining_in_its_environment() -> None:
    job = gitlab_job("ml-approve")
    assert job["needs"] == ["ml-retrain"]
    assert job["environment"] == "production"
    assert "environment" not in gitlab_job("ml-retrain")


def test_gitlab_tolerates_the_verdict_no_improvement_and_nothing_else() -> None:
    assert gitlab_job("ml-retrain")["allow_failure"] == {"exit_codes": [2]}
    assert "allow_failure" not in gitlab_job("ml-ci")


@pytest.mark.parametrize("name", ["ml-ci", *BUILDS])
def test_a_job_of_gitlab_has_time_for_what_follows_and_keeps_its_evidence(name: str) -> None:
    job = gitlab_job(name)
    variables = job["variables"]
    follows = variables["RUNNER_SCRIPT_TIMEOUT"], variables["RUNNER_AFTER_SCRIPT_TIMEOUT"]
    assert sum(map(_seconds, follows)) < _seconds(job["timeout"]) <= 6 * 3600
    assert min(map(_seconds, follows)) >= 600
    assert job["artifacts"] == {
        "when": "always",
        "paths": [".ml-pipeline/evidence"],
        "reports": {"junit": ".ml-pipeline/evidence/junit.xml"},
    }
    assert job["interruptible"] is (name == "ml-ci")


@pytest.mark.parametrize("name", BUILDS)
def test_releases_of_gitlab_follow_one_another_on_the_state_of_their_branch(name: str) -> None:
    job = gitlab_job(name)
    assert job["resource_group"] == "ml-retrain"
    assert job["cache"] == {
        "key": "ml-pipeline-state-$CI_COMMIT_REF_SLUG",
        "paths": [".ml-pipeline/state"],
        "when": "always",
    }


def _kept(desk: Desk, *, state: bool) -> Desk:
    for name, text in (("outcome", "awaiting-approval"), ("run-id", "a-run")):
        place = desk.work / ".ml-pipeline" / "evidence" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{text}\n")
    if state:
        (desk.work / ".ml-pipeline/state").mkdir()
        (desk.work / ".ml-pipeline/state/registry.db").write_text("old\n")
    return desk


@pytest.mark.parametrize("name", BUILDS)
def test_gitlab_begins_without_state_only_when_told_so(name: str, tmp_path: Path) -> None:
    ends = {}
    cases: list[tuple[bool, dict[str, Any]]] = [
        (True, {}), (False, {}), (False, {"ML_FIRST_RUN": "true"}), (False, {"ML_STATE": ""}),
    ]  # fmt: skip
    for number, (state, variables) in enumerate(cases):
        (tmp_path / str(number)).mkdir()
        desk = _kept(Desk(tmp_path / str(number)), state=state)
        ends[number] = gitlab(desk, name, **variables).result
        assert bool(desk.calls) == (ends[number] == "success")
        if ends[number] == "failure":
            assert "registry and champion are unknown" in desk.said
        exported = "state" in desk.functions
        assert exported == (ends[number] == "success" and "ML_STATE" not in variables)
    assert list(ends.values()) == ["success", "failure", "success", "success"]


def test_jenkins_checks_changes_and_releases_main_by_schedule_or_by_hand() -> None:
    assert said(block(stage("Checks"), "when ")) == ["beforeAgent true", "changeRequest()"]
    assert said(block(stage("Retrain"), "when ")) == [
        "beforeAgent true",
        "branch 'main'",
        "anyOf {",
        "triggeredBy 'TimerTrigger'",
        "triggeredBy cause: 'UserIdCause'",
        "}",
    ]
    text = JENKINS.read_text(encoding="utf-8")
    assert said(block(text, "triggers ")) == [
        "cron(env.BRANCH_NAME == 'main' ? '30 20 * * 0' : '')"
    ]
    assert re.findall(r"stage\('(.*)'\)", text) == ["Checks", "Retrain", "Approve", "Roll out"]


def test_jenkins_asks_only_for_what_waits_names_who_may_answer_and_holds_no_agent() -> None:
    approve = stage("Approve")
    assert said(block(approve, "when ")) == ["beforeInput true", *WAITS]
    assert said(block(approve, "input ")) == [
        "message 'Roll the new model out to production?'",
        "submitter 'ml-approvers'",
        "submitterParameter 'SUBMITTER'",
    ]
    assert said(block(approve, "steps ")) == ["script { env.APPROVED_BY = env.SUBMITTER }"]
    assert "agent" not in " ".join(said(approve))
    assert "options" not in approve
    assert said(block(stage("Roll out"), "when ")) == ["beforeAgent true", *WAITS]
    pipeline = block(JENKINS.read_text(encoding="utf-8"), "\npipeline ")
    assert "\n  agent none\n" in pipeline
    assert said(block(pipeline, "options ")) == ["disableConcurrentBuilds()"]


def test_jenkins_hands_credentials_to_releases_only_and_publishes_after_each_call() -> None:
    for name in ("Checks", "Retrain", "Roll out"):
        text = stage(name)
        with_secrets = name != "Checks"
        assert ("withCredentials(secrets()) {" in block(text, "steps ")) == with_secrets
        publishes = "script { withCredentials(secrets()) { publish() } }"
        assert said(block(text, "post ")) == [
            f"always {{ {publishes if with_secrets else 'script { publish() }'} }}"
        ]
        assert "agent { label 'dagger' }" in text
    text = JENKINS.read_text(encoding="utf-8")
    assert "credentials(" not in block(text, "\npipeline ").replace("withCredentials(", "")
    assert said(block(text, "def secrets() ")) == ["return []"]


def test_jenkins_runs_a_call_within_its_time_and_judges_it() -> None:
    """The order that the tests of verdicts run its scripts in."""
    text = JENKINS.read_text(encoding="utf-8")
    assert said(block(text, "def perform(int minutes, String line) ")) == said(
        dedent("""
        install()
        timeout(time: minutes, unit: 'MINUTES') { sh calls() + line }
        sh calls() + 'finish'
        int shown = sh(returnStatus: true, script: calls() + 'verdict')
        if (shown == 2) {
        currentBuild.result = 'NOT_BUILT'
        } else if (shown != 0) {
        error("not good: exit code ${shown}")
        }
        env.OUTCOME = readFile('.ml-pipeline/evidence/outcome').trim()
        """)
    )
    assert said(block(text, "def publish() ")) == [
        "try {",
        "sh calls() + 'finish'",
        "} finally {",
        "junit testResults: '.ml-pipeline/evidence/junit.xml', allowEmptyResults: true",
        "archiveArtifacts artifacts: '.ml-pipeline/evidence/**', allowEmptyArchive: true",
        "}",
    ]
    assert re.findall(r"perform\((\d+), 'call ([\w-]+)", text) == [
        ("45", "ci"), ("300", "full-pipeline"), ("300", "resume"),
    ]  # fmt: skip


def test_jenkins_says_whether_a_person_or_the_clock_began_it() -> None:
    assert said(block(block(stage("Retrain"), "steps "), "script "))[:2] == [
        "def byHand = currentBuild.getBuildCauses('hudson.model.Cause$UserIdCause')",
        "env.TRIGGER = byHand ? 'manual' : 'schedule'",
    ]
