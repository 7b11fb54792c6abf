"""All CI systems make the same calls, word for word, and hand on whatever they are given."""

import re
from pathlib import Path
from typing import Any

import pytest

from ml_pipeline.containers.bench import SECRETS
from ml_pipeline.domain.identifiers import checked_run_id
from tests.fakes.ci_desk import Desk, function_of
from tests.fakes.ci_systems import WORKFLOWS, github, gitlab, jenkins, read
from tests.unit.test_main_registration import Module, Registered, module  # noqa: F401 - a fixture

#: Everything the constructor may be given, by the variable of a wrapper.
OPTIONS = {
    "ML_DATA": "rows", "ML_PLATFORM": "sagemaker", "ML_PROFILE": "production",
    "ML_SETTINGS": "load.rate_per_s=80,gate.tolerance=0.1", "ML_BASE_IMAGE": "python:3.12",
}  # fmt: skip
CREDENTIALS = {
    name.upper(): f"its {name}"
    for name in (*SECRETS, "package_index")
}  # fmt: skip
SYSTEMS = ["github", "gitlab", "jenkins"]
REASON = 'data "moved"; $(touch broken) & more'


def _waiting(desk: Desk) -> Desk:
    evidence = desk.work / ".ml-pipeline" / "evidence"
    evidence.mkdir(parents=True)
    (evidence / "outcome").write_text("awaiting-approval\n")
    (evidence / "run-id").write_text("a-run\n")
    return desk


def _run(system: str, call: str, desk: Desk, *, everything: bool = False) -> None:
    """A call in a system, as a person would start it; with every option there is, or with none."""
    desk.environment |= CREDENTIALS if everything and call != "ci" else {}
    options = OPTIONS if everything else {}
    if system == "github":
        named = {name.removeprefix("ML_").lower(): value for name, value in options.items()}
        desk.write("approver", "ada")
        event = {"event_name": "workflow_dispatch"}
        github(
            desk, github=event, call=call, run_id="a-run", source="project", reason=REASON,
            force_promote=True, first_run=True, environment="production", **named,
        )  # fmt: skip
    elif system == "gitlab":
        job = {"ci": "ml-ci", "full-pipeline": "ml-retrain", "resume": "ml-approve"}[call]
        given = {"ML_REASON": REASON, "ML_FORCE_PROMOTE": "true", "ML_SOURCE": "project", **options}
        gitlab(_waiting(desk), job, ML_FIRST_RUN="true", RUN_ID="a-run", **given)
    else:
        name = {"ci": "Checks", "full-pipeline": "Retrain", "resume": "Roll out"}[call]
        given = {"REASON": REASON, "FORCE_PROMOTE": "true", "ML_SOURCE": "project", **options}
        jenkins(desk, name, **given)


def _common(system: str, words: list[str]) -> list[str]:
    """A call as every system makes it: what is each system's own is told apart elsewhere."""
    states = [word for word in words if word.startswith("--state=")]
    assert states in ([], ["--state=.ml-pipeline/state"])
    assert not (states and system == "jenkins")
    own = ("--trigger=", "--run-id=", "--run=")
    return [
        f"{word.split('=')[0]}=…" if word.startswith(own) else word
        for word in words
        if word not in states
    ]


@pytest.mark.parametrize("everything", [False, True], ids=["plain", "everything"])
@pytest.mark.parametrize("call", ["ci", "full-pipeline", "resume"])
def test_all_systems_make_the_same_calls(call: str, everything: bool, tmp_path: Path) -> None:
    made = {}
    for system in SYSTEMS:
        (tmp_path / system).mkdir()
        desk = Desk(tmp_path / system, code=137, outcome="unfinished")
        _run(system, call, desk, everything=everything)
        assert not (desk.work / "broken").exists(), "a reason was run as a command"
        made[system] = [
            _common(system, words) for words in desk.calls if function_of(words) != "state"
        ]
    assert made["gitlab"] == made["github"]
    assert made["jenkins"] == made["github"]


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_release_says_who_started_it_why_and_whether_it_may_pass_the_verdict(
    system: str, tmp_path: Path
) -> None:
    desk = Desk(tmp_path)
    _run(system, "full-pipeline", desk)
    words = desk.call_of("full-pipeline")
    assert words[:5] == ["call", "-m", ".", "--source=project", "--commit=c0ffee"]
    own = words[words.index("full-pipeline") + 1 :]
    started = {"github": "workflow_dispatch"}.get(system, "schedule")
    assert own[1:] == [f"--trigger={started}", f"--reason={REASON}", "--force-promote=true"]


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_verdict_is_passed_by_nobody_who_did_not_ask_for_it(system: str, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    if system == "github":
        github(desk, call="full-pipeline", run_id="a-run", first_run=True)
    elif system == "gitlab":
        gitlab(desk, "ml-retrain", ML_FIRST_RUN="true")
    else:
        jenkins(desk, "Retrain")
    assert desk.call_of("full-pipeline")[-1] == "--force-promote=false"


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_resume_says_who_approved(system: str, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    _run(system, "resume", desk)
    words = desk.call_of("resume")
    run, *rest = words[words.index("resume") + 1 :]
    assert run.startswith("--run=")
    assert rest == ["--approve", "--reason=approved by ada"]


def test_an_environment_that_asks_nobody_is_named_and_nobody_is_made_up(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    github(desk, call="resume", run_id="a-run", first_run=True, environment="production")
    assert desk.call_of("resume")[-1] == "--reason=approved by nobody: no reviewer is asked for"
    assert "::warning::nobody reviewed" in desk.said
    (asked,) = [words for words in desk.asked if "approvals" in str(words)]
    assert asked[1] == "repos/owner/project/actions/runs/77/approvals"
    assert '.state == "approved" and any(.environments[]; .name == env.ENVIRONMENT)' in asked[3]


@pytest.mark.parametrize("call", ["full-pipeline", "resume"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_what_is_given_reaches_every_call_and_a_secret_only_by_its_name(
    system: str, call: str, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, code=137, outcome="unfinished")
    _run(system, call, desk, everything=True)
    assert {call, "abort", "evidence"} <= set(desk.functions)
    for words in desk.calls:
        if function_of(words) == "state":
            continue
        given = set(words[: words.index(function_of(words))])
        for variable, value in OPTIONS.items():
            option = variable.removeprefix("ML_").lower().replace("_", "-")
            assert f"--{option}={value}" in given, words
        for name in CREDENTIALS:
            option = name.lower().replace("_", "-")
            assert f"--{option}=env://{name}" in given, words
        assert not [word for word in words if "its " in word], words


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_is_not_given_is_not_said(system: str, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    _run(system, "full-pipeline", desk)
    before = [word.split("=")[0] for word in desk.call_of("full-pipeline")]
    known = {"call", "-m", ".", "--source", "--commit", "--state"}
    assert set(before[: before.index("full-pipeline")]) <= known


def test_a_wrapper_can_give_every_secret_and_option_the_module_takes(
    module: Module,  # noqa: F811
) -> None:
    taken = _options(module.constructor())
    given = {name.lower().replace("_", "-") for name in CREDENTIALS}
    given |= {name.removeprefix("ML_").lower().replace("_", "-") for name in OPTIONS}
    assert taken == {f"--{one}" for one in given} | {"--source", "--commit", "--state"}
    call = read(WORKFLOWS / "ml-pipeline.yml")["on"]["workflow_call"]
    stored = set(CREDENTIALS) - {"AZURE_TOKEN_REQUEST"}  # a job's own, which nobody stores
    assert set(call["secrets"]) == {name.lower().replace("_", "-") for name in stored}


@pytest.mark.parametrize("call", ["ci", "full-pipeline", "resume"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_call_is_one_the_module_answers(
    system: str, call: str, tmp_path: Path, module: Module  # noqa: F811
) -> None:  # fmt: skip
    desk = Desk(tmp_path, code=137, outcome="unfinished")
    _run(system, call, desk, everything=True)
    for words in desk.calls:
        _answered(words, module)


def test_every_call_of_a_release_is_one_the_module_answers(module: Module) -> None:  # noqa: F811
    steps = read(WORKFLOWS / "release.yml")["jobs"]["release"]["steps"]
    lines = [one["run"] for one in steps if one.get("run", "").startswith("dagger call")]
    assert len(lines) == 3
    for line in lines:
        words = re.findall(r'(?:[^\s"]|"[^"]*")+', line.split(" > ")[0].removeprefix("dagger "))
        _answered([words[0], "-m", ".", *words[1:]], module)


def _answered(words: list[str], module: Module) -> None:  # noqa: F811
    name = function_of(words)
    position = words.index(name)
    chained = words.index("export") if "export" in words else len(words)
    options = [word.split("=")[0] for word in words]
    assert set(options[3:position]) <= _options(module.constructor()), words
    chain = options[position + 1 : chained]
    function = module.functions("MlPipeline")[name]
    assert set(chain) <= _options(function), words
    assert {f"--{one.replace('_', '-')}" for one in function.required} <= set(chain), words
    assert set(options[chained + 1 :]) <= {"--path", "--wipe"}, words


def _options(function: Registered) -> set[str]:
    return {f"--{one['name'].replace('_', '-')}" for one in function.arguments}


def _run_id(desk: Desk) -> str:
    words: list[Any] = desk.calls[0]
    return next(one.split("=")[1] for one in words if one.startswith(("--run-id=", "--run=")))


def test_no_two_builds_of_jenkins_share_a_runs_id(tmp_path: Path) -> None:
    """Volumes are a model's, whatever branch is built, and an id that is known is refused."""
    ids = set()
    builds = [
        ("team/model/main", "8"), ("team/model/PR-8", "8"), ("team/model/main", "9"),
        ("team/model/feature%2Fdeep", "8"), ("team/model/feature-deep", "8"), ("x" * 300, "8"),
    ]  # fmt: skip
    for number, (job, build) in enumerate(builds):
        (tmp_path / str(number)).mkdir()
        desk = Desk(tmp_path / str(number), code=137, outcome="unfinished")
        jenkins(desk, "Retrain", JOB_NAME=job, BUILD_NUMBER=build)
        named = {word.split("=")[1] for call in desk.calls for word in call if "--run" in word}
        assert len(named) == 1
        ids |= {checked_run_id(one) for one in named}
    assert len(ids) == len(builds)


def test_a_retried_job_of_gitlab_is_a_run_of_its_own_and_approval_is_of_that_run(
    tmp_path: Path,
) -> None:
    (tmp_path / "retrain").mkdir()
    retrain = Desk(tmp_path / "retrain", outcome="awaiting-approval")
    gitlab(retrain, "ml-retrain", ML_FIRST_RUN="true", CI_JOB_ID="31")
    assert _run_id(retrain) == "gitlab-31"
    (tmp_path / "approve").mkdir()
    approve = Desk(tmp_path / "approve", outcome="unfinished", killed=True)
    gitlab(_waiting(approve), "ml-approve", ML_FIRST_RUN="true", CI_JOB_ID="32")
    named = {word for call in approve.calls for word in call if word.startswith("--run")}
    assert named == {"--run=a-run"}
