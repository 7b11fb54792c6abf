"""GitHub: when each workflow runs, with which rights, and where state, evidence and report go."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.ci_desk import Desk
from tests.fakes.ci_systems import GITHUB, WORKFLOWS, Job, expression, github, read

SHARED = {"actions": "read", "contents": "read", "pull-requests": "write"}
PUBLISH, KEEP = "Publish the evidence", "Keep the state"
OURS = {
    "event_name": "pull_request",
    "repository": "owner/project",
    "event": {"pull_request": {"number": 5, "head": {"repo": {"full_name": "owner/project"}}}},
}


def _workflow(name: str) -> dict[str, Any]:
    return read(WORKFLOWS / f"{name}.yml")


def _release(desk: Desk, **inputs: Any) -> Job:
    return github(desk, **{"call": "full-pipeline", "run_id": "a-run", **inputs})


def test_rights_are_the_least_and_none_by_default() -> None:
    granted = {
        path.stem: {name: job.get("permissions") for name, job in read(path)["jobs"].items()}
        for path in sorted(WORKFLOWS.glob("*.yml"))
    }
    assert granted == {
        "ml-ci": {"ci": SHARED},
        "ml-pipeline": {"call": None},  # the calling job's
        "ml-retrain": {"pipeline": SHARED, "approved": SHARED},
        "release": {"release": {"contents": "write", "packages": "write"}},
    }
    none = {path.stem for path in WORKFLOWS.glob("*.yml") if read(path).get("permissions") == {}}
    assert none == {"ml-ci", "ml-retrain", "release"}
    # Called by others only, so that it never has the rights a repository gives by default.
    assert set(_workflow("ml-pipeline")["on"]) == {"workflow_call"}


def test_pull_requests_run_the_checks_and_hold_no_secret() -> None:
    workflow = _workflow("ml-ci")
    assert workflow["on"] == {
        "pull_request": {
            "paths": ["src/**", "examples/**", "pyproject.toml", "dagger.json",
                      ".github/workflows/ml-*.yml"],
        }
    }  # fmt: skip
    assert workflow["concurrency"] == {
        "group": "ml-ci-${{ github.ref }}", "cancel-in-progress": True,
    }  # fmt: skip
    (job,) = workflow["jobs"].values()
    assert set(job) == {"permissions", "uses", "with"}
    assert job["with"]["call"] == "ci"
    assert job["with"]["run-id"] == "ci-${{ github.run_id }}-${{ github.run_attempt }}"


def test_a_retraining_is_started_as_documented_and_one_at_a_time() -> None:
    workflow = _workflow("ml-retrain")
    assert set(workflow["on"]) == {"schedule", "workflow_dispatch", "repository_dispatch"}
    assert workflow["on"]["schedule"] == [{"cron": "30 20 * * 0"}]
    assert workflow["on"]["repository_dispatch"] == {
        "types": ["drift-detected", "scheduled-retrain"]
    }
    inputs = workflow["on"]["workflow_dispatch"]["inputs"]
    assert {name: one.get("default") for name, one in inputs.items()} == {
        "reason": None, "force_promote": False, "first_run": False,
    }  # fmt: skip
    assert workflow["concurrency"] == {"group": "ml-retrain", "cancel-in-progress": False}
    given = workflow["jobs"]["pipeline"]["with"]
    assert given["call"] == "full-pipeline"
    assert given["run-id"] == "retrain-${{ github.run_id }}-${{ github.run_attempt }}"
    for name, value in (("force-promote", "force_promote"), ("first-run", "first_run")):
        said = given[name].removeprefix("${{ ").removesuffix(" }}")
        assert expression(said, {"inputs": {value: True}}) is True
        assert expression(said, {"inputs": {}}) is False


@pytest.mark.parametrize(
    "outcome", ["awaiting-approval", "promoted", "no-improvement", "unfinished", ""]
)
def test_only_what_waits_is_put_to_the_reviewers_of_production(outcome: str) -> None:
    jobs = _workflow("ml-retrain")["jobs"]
    approved = jobs["approved"]
    assert set(jobs) == {"pipeline", "approved"}
    assert approved["needs"] == "pipeline"
    contexts = {"needs": {"pipeline": {"outputs": {"outcome": outcome}}}}
    # Without a function of its own it also asks that `pipeline` ended well.
    assert "()" not in approved["if"]
    assert expression(approved["if"], contexts) == (outcome == "awaiting-approval")
    given = approved["with"]
    assert (given["call"], given["environment"]) == ("resume", "production")
    assert "environment" not in jobs["pipeline"]["with"]
    assert read(GITHUB)["jobs"]["call"]["environment"] == "${{ inputs.environment }}"


def test_a_job_that_is_rerun_by_itself_resumes_the_run_that_waits(tmp_path: Path) -> None:
    """Its own attempt is a later one than that of the job before it."""
    given = _workflow("ml-retrain")["jobs"]["approved"]["with"]
    assert given["run-id"] == "${{ needs.pipeline.outputs.run-id }}"
    outputs = read(GITHUB)["on"]["workflow_call"]["outputs"]
    assert outputs["run-id"]["value"] == "${{ jobs.call.outputs.run-id }}"
    assert outputs["outcome"]["value"] == "${{ jobs.call.outputs.outcome }}"
    job = _release(Desk(tmp_path, outcome="awaiting-approval"), first_run=True)
    assert job.outputs == {"run-id": "a-run", "outcome": "awaiting-approval"}


def test_a_call_has_less_time_than_its_job() -> None:
    job = read(GITHUB)["jobs"]["call"]
    (call,) = [one for one in job["steps"] if one.get("id") == "call"]
    assert job["timeout-minutes"] == 360
    assert call["timeout-minutes"] == "${{ inputs.minutes }}"
    minutes = [
        job["with"]["minutes"]
        for name in ("ml-ci", "ml-retrain")
        for job in _workflow(name)["jobs"].values()
    ]
    assert minutes == [30, 300, 300]
    assert _workflow("release")["jobs"]["release"]["timeout-minutes"] == 60


def test_a_missing_state_is_an_error_and_never_a_fresh_start(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert _release(desk).result == "failure"
    assert desk.calls == []
    assert "::error::no run on main left its state" in desk.said


def test_a_first_run_is_said_to_be_one(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert _release(desk, first_run=True).result == "success"
    assert desk.functions[0] == "full-pipeline"


def test_the_newest_state_is_taken_whatever_order_they_are_listed_in(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.write(
        "states", "2026-03-08T20:40:00Z 12\n2026-03-15T20:40:00Z 13\n2026-03-01T20:40:00Z 11"
    )
    assert _release(desk, source="examples/a b").result == "success"
    asked = [words[2] for words in desk.asked if "--paginate" in words]
    place = "repos/owner/project/actions/artifacts"
    assert asked == [
        f"{place}?name=state-examples-a-b-full-pipeline",
        f"{place}?name=state-examples-a-b-resume",
    ]
    assert [f"{place}/13/zip"] in [words[1:] for words in desk.asked]


def test_a_state_of_a_fork_or_of_another_branch_is_not_taken() -> None:
    text = GITHUB.read_text(encoding="utf-8")
    (query,) = re.findall(r"--jq '(\.artifacts.*)'", text)
    chosen = query.split("select(")[1].split(") | ")[0]
    assert chosen.split(" and ") == [
        "(.expired | not)",
        ".workflow_run.head_branch == env.GITHUB_REF_NAME",
        ".workflow_run.head_repository_id == .workflow_run.repository_id",
    ]


@pytest.mark.parametrize(("code", "outcome"), [(0, "promoted"), (9, "rolled-back"), (137, None)])
def test_state_and_evidence_are_kept_whatever_a_run_came_to(
    code: int, outcome: str | None, tmp_path: Path
) -> None:
    job = _release(Desk(tmp_path, code=code, outcome=outcome), first_run=True)
    assert job.steps[KEEP] == {
        "name": "state---full-pipeline",
        "path": ".ml-pipeline/state",
        "include-hidden-files": "true",
        "overwrite": "true",
    }
    assert job.steps[PUBLISH] == {
        "name": "evidence-a-run-full-pipeline-2",  # an attempt's own, for no name is taken twice
        "path": ".ml-pipeline/evidence",
        "include-hidden-files": "true",
    }


def test_a_killed_call_keeps_state_and_evidence_too(tmp_path: Path) -> None:
    desk = Desk(tmp_path, outcome="unfinished", killed=True)
    job = _release(desk, first_run=True)
    assert {KEEP, PUBLISH} <= set(job.steps)
    assert "::error::interrupted" in desk.said
    assert (desk.work / ".ml-pipeline/state/registry.db").read_text() == "new\n"


def test_what_never_began_is_neither_aborted_nor_published(tmp_path: Path) -> None:
    desk = Desk(tmp_path, outcome="awaiting-approval")
    job = github(desk, call="resume", run_id="a-run")
    assert job.result == "failure"
    assert desk.calls == []
    assert not {KEEP, PUBLISH} & set(job.steps)


def test_an_unknown_call_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert github(desk, call="deploy", run_id="a-run", first_run=True).result == "failure"
    assert "ci" not in desk.functions
    assert "abort" not in desk.functions


@pytest.mark.parametrize("known", [False, True])
def test_a_pull_request_has_one_comment_which_is_ours(known: bool, tmp_path: Path) -> None:
    desk = Desk(tmp_path, outcome="checks-passed")
    desk.write("comments", "https://api.example.org/comments/1" if known else "")
    github(desk, github=OURS, call="ci", run_id="a-run")
    listed, written = [words for words in desk.asked if "comment" in str(words)]
    assert listed[2] == "repos/owner/project/issues/5/comments"
    assert '.user.login == "github-actions[bot]" and ' in listed[4]
    place = "https://api.example.org/comments/1" if known else listed[2]
    assert written[1:4] == ["--method", "PATCH" if known else "POST", place]
    assert (desk.folder / "temp" / "comment.md").read_text() == "<!-- ml-pipeline -->\n# A report\n"
    assert (desk.folder / "summary").read_text() == "# A report\n"


def test_nothing_is_commented_for_a_fork_or_outside_of_a_pull_request(tmp_path: Path) -> None:
    fork = {"pull_request": {"number": 5, "head": {"repo": {"full_name": "other/project"}}}}
    for number, event in enumerate(({**OURS, "event": fork}, {"event_name": "schedule"})):
        (tmp_path / str(number)).mkdir()
        desk = Desk(tmp_path / str(number), outcome="checks-passed")
        github(desk, github=event, call="ci", run_id="a-run")
        assert desk.asked == []


def test_a_release_comes_after_its_checks_and_keeps_their_evidence() -> None:
    workflow = _workflow("release")
    assert workflow["on"] == {"push": {"tags": ["v*"]}}
    assert workflow["concurrency"]["cancel-in-progress"] is False
    steps = workflow["jobs"]["release"]["steps"]
    named = [one.get("name") for one in steps]
    assert named[2:] == ["Checks", "Image", "Evidence", PUBLISH, "Release"]
    conditions = {one["name"]: one.get("if") for one in steps[2:]}
    assert conditions == {
        "Checks": None, "Image": None, "Evidence": "always()", PUBLISH: "always()", "Release": None,
    }  # fmt: skip
    assert not [one for one in steps if "continue-on-error" in one]
    checks = steps[2]["run"]
    assert checks.startswith("dagger call")
    assert ' ci --run-id="$RUN_ID" ' in checks
    assert "||" not in checks


AWS = {"aws_role": "arn:aws:iam::123456789012:role/ml", "aws_region": "eu-west-1"}
GOOGLE = {
    "gcp_workload_identity_provider": "projects/1/…/workloadIdentityPools/p/providers/g",
    "gcp_service_account": "ml@shop.iam.gserviceaccount.com",
}


def test_a_job_without_stored_keys_hands_on_those_of_its_own_identity(tmp_path: Path) -> None:
    desk = Desk(tmp_path, code=137, outcome="unfinished")
    job = _release(desk, first_run=True, aws_role_seconds=20_000, **AWS, **GOOGLE)
    assert job.steps["Role of AWS"] == {
        "role-to-assume": AWS["aws_role"], "aws-region": "eu-west-1",
        "role-duration-seconds": "20000",
    }  # fmt: skip
    assert job.steps["Account of Google"] == {
        "workload_identity_provider": GOOGLE["gcp_workload_identity_provider"],
        "service_account": GOOGLE["gcp_service_account"],
        "export_environment_variables": "false",
    }
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GCP_CREDENTIALS")
    assert {"full-pipeline", "abort", "evidence", "state"} <= set(desk.functions)
    for words in desk.calls:
        for name in names:
            assert f"--{name.lower().replace('_', '-')}=env://{name}" in words


def test_no_credential_of_google_is_left_among_the_projects_files(tmp_path: Path) -> None:
    """The folder is what the pipeline, and a training, is given as the project."""
    desk = Desk(tmp_path)
    _release(desk, first_run=True, **GOOGLE)
    assert "--gcp-credentials=env://GCP_CREDENTIALS" in desk.call_of("full-pipeline")
    assert list(desk.work.glob("*.json")) == []
    assert '::add-mask::{  "type": "external_account"}' in desk.said


def test_azure_is_handed_what_asks_for_the_jobs_own_token(tmp_path: Path) -> None:
    """Not a token: it would have ended before the training has."""
    own = {"URL": "https://tokens.example/?v=2", "TOKEN": "canary"}
    desk = Desk(tmp_path, code=137, outcome="unfinished")
    desk.environment |= {f"ACTIONS_ID_TOKEN_REQUEST_{name}": value for name, value in own.items()}
    _release(desk, first_run=True, azure_federated_client_id="c", azure_federated_tenant_id="t")
    assert {"full-pipeline", "abort", "evidence", "state"} <= set(desk.functions)
    for words in desk.calls:
        for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_TOKEN_REQUEST"):
            assert f"--{name.lower().replace('_', '-')}=env://{name}" in words
    # Without its application, the job's identity is nobody's.
    (tmp_path / "plain").mkdir()
    plain = Desk(tmp_path / "plain", environment=desk.environment)
    _release(plain, first_run=True)
    assert "azure" not in str(plain.calls)


@pytest.mark.parametrize("call", ["ci", "full-pipeline", "resume"])
def test_no_identity_is_asked_for_that_was_not_named(call: str, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    job = github(desk, call=call, run_id="a-run", first_run=True, environment="production")
    named = {"Role of AWS", "Application of Azure", "Account of Google", "Credentials of Google"}
    assert not named & set(job.steps)
