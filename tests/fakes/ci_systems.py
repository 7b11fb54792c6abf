"""Runs the CI files as their systems would, on a desk with a stand-in for `dagger`.

What a system itself decides (which step runs, what a job's end is) follows its documentation:
GitHub's steps with their `if`, GitLab's script and after_script, Jenkins' `sh` steps.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.fakes.ci_desk import Desk

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"
GITHUB = WORKFLOWS / "ml-pipeline.yml"
GITLAB, JENKINS = ROOT / "ci" / "gitlab-ci.yml", ROOT / "ci" / "Jenkinsfile"


# GitHub ------------------------------------------------------------------------------------------

_TOKEN = re.compile(r"'[^']*'|&&|\|\||!=|==|!|[()]|[A-Za-z_][\w.\-]*(?:\(\))?|\d+|\s+")


def expression(text: str, contexts: Mapping[str, Any], *, going: bool = True) -> Any:
    """The value of an expression of GitHub's, where it is written in what these files use."""
    words = {"&&": " and ", "||": " or ", "!": " not ", "true": "True", "false": "False"}
    functions = {"always()": True, "success()": going, "failure()": not going, "cancelled()": False}
    made, place = "", 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        assert token, f"not understood: {text[place:]!r} in {text!r}"
        word = token.group()
        place = token.end()
        if word in functions:
            made += repr(functions[word])
        elif word in words or not re.match(r"[A-Za-z_]", word):
            made += words.get(word, word)
        else:
            made += repr(_looked_up(word, contexts))
    return eval(made, {"__builtins__": {}})


def _looked_up(name: str, contexts: Mapping[str, Any]) -> Any:
    value: Any = contexts
    for part in name.split("."):
        value = value.get(part, "") if isinstance(value, Mapping) else ""
    return value


def filled(text: Any, contexts: Mapping[str, Any]) -> str:
    """A text with its `${{ … }}` filled in, as GitHub writes values."""

    def shown(found: re.Match[str]) -> str:
        value = expression(found.group(1).strip(), contexts)
        return str(value).lower() if isinstance(value, bool) else str(value)

    plain = str(text).lower() if isinstance(text, bool) else str(text)
    return re.sub(r"\$\{\{(.*?)\}\}", shown, plain)


@cache
def read(path: Path) -> dict[str, Any]:
    """A YAML file, with GitLab's references as ("!reference", path)."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor(
        "!reference", lambda loader, node: ("!reference", *loader.construct_sequence(node))
    )
    # YAML 1.1 takes the key `on` for true.
    Loader.add_constructor(
        "tag:yaml.org,2002:bool",
        lambda loader, node: {"true": True, "false": False}.get(node.value.lower(), node.value),
    )
    return dict(yaml.load(path.read_text(encoding="utf-8"), Loader))


@dataclass(frozen=True)
class Job:
    """How a job ended, and the steps that ran, by name or action, each with its `with`."""

    #: success, failure or neutral
    result: str
    steps: dict[str, dict[str, str]]
    outputs: dict[str, str] = field(default_factory=dict)


def github(desk: Desk, *, github: Mapping[str, Any] | None = None, **inputs: Any) -> Job:
    """The shared workflow's job, called with these inputs (`run_id` is `run-id`)."""
    workflow = read(GITHUB)
    job = workflow["jobs"]["call"]
    declared = workflow["on"]["workflow_call"]["inputs"]
    given = {name: one.get("default", "") for name, one in declared.items()}
    given |= {name.replace("_", "-"): value for name, value in inputs.items()}
    secrets = {
        name: desk.environment.get(name.upper().replace("-", "_"), "")
        for name in workflow["on"]["workflow_call"]["secrets"]
    }
    contexts: dict[str, Any] = {
        "inputs": given,
        "secrets": secrets,
        "steps": {},
        "github": {
            "sha": "c0ffee",
            "event_name": "schedule",
            "token": "t",
            "run_attempt": 2,
            **(github or {}),
        },
    }
    env = {name: filled(value, contexts) for name, value in job["env"].items()}
    env |= {name: desk.environment[name] for name in _OWN if name in desk.environment}
    ran: dict[str, dict[str, str]] = {}
    going = True
    for number, step in enumerate(job["steps"]):
        name = step.get("id") or f"step-{number}"
        shown = step.get("name") or step["uses"].split("@")[0]
        condition = str(step.get("if", "success()"))
        if not re.search(r"\b(always|failure|cancelled|success)\(\)", condition):
            condition = f"success() && ({condition})"
        if not expression(condition, contexts, going=going):
            contexts["steps"][name] = {"outcome": "skipped", "outputs": {}}
            continue
        ran[shown] = {key: filled(value, contexts) for key, value in step.get("with", {}).items()}
        code = _github_step(desk, step, contexts, env)
        env |= _outputs(desk, "github-env")
        outcome = "success" if code == 0 else "failure"
        going = going and code == 0
        contexts["steps"][name] = {"outcome": outcome, "outputs": _outputs(desk)}
    outputs = {name: filled(value, contexts) for name, value in job["outputs"].items()}
    return Job("success" if going else "failure", ran, outputs)


def _github_step(
    desk: Desk, step: Mapping[str, Any], contexts: Mapping[str, Any], env: Mapping[str, str]
) -> int:
    for name in ("github-output", "github-env"):
        desk.write(name, "")
    if "run" not in step:
        _ACTIONS.get(step["uses"].split("@")[0], lambda _desk: None)(desk)
        return 0
    own = {name: filled(value, contexts) for name, value in step.get("env", {}).items()}
    given = {
        "GITHUB_OUTPUT": str(desk.folder / "github-output"),
        "GITHUB_ENV": str(desk.folder / "github-env"),
        "GITHUB_STEP_SUMMARY": str(desk.folder / "summary"),
        "RUNNER_TEMP": str(desk.folder / "temp"),
        "GITHUB_REPOSITORY": "owner/project",
        "GITHUB_REF_NAME": "main",
        "GITHUB_RUN_ID": "77",
    }
    return desk.sh(filled(step["run"], contexts), ("bash", "-e"), {**given, **env, **own})


def _role_of_aws(desk: Desk) -> None:
    """Exports what it was given, as the action's README says."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    desk.write("github-env", "\n".join(f"{name}=its {name}" for name in names))


def _account_of_google(desk: Desk) -> None:
    """Writes its file into the workspace, and says where."""
    file = desk.work / "gha-creds-0123456789abcdef.json"
    file.write_text('{\n  "type": "external_account"\n}\n')
    desk.write("github-output", f"credentials_file_path={file}")


#: What a job has of its own, and no secret of the repository: its identity.
_OWN = (
    "AZURE_TOKEN_REQUEST", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
)  # fmt: skip
_ACTIONS = {
    "aws-actions/configure-aws-credentials": _role_of_aws,
    "google-github-actions/auth": _account_of_google,
}


def _outputs(desk: Desk, name: str = "github-output") -> dict[str, str]:
    lines = (desk.folder / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line)


# GitLab ------------------------------------------------------------------------------------------


def gitlab_job(name: str) -> dict[str, Any]:
    """A job with what it extends merged into it, and its references followed."""
    whole = read(GITLAB)
    own = dict(whole[name])
    base = dict(whole[own.pop("extends")]) if "extends" in own else {}
    variables = {**whole["variables"], **base.get("variables", {}), **own.get("variables", {})}
    job = {**base, **own, "variables": variables}
    for key in ("before_script", "script", "after_script"):
        job[key] = _followed(whole, job.get(key, []))
    return job


def _followed(whole: Mapping[str, Any], lines: list[Any]) -> list[str]:
    found: list[str] = []
    for line in lines:
        if isinstance(line, tuple):
            found += _followed(whole, whole[line[1]][line[2]])
        else:
            found.append(line)
    return found


def gitlab(desk: Desk, name: str, **variables: str) -> Job:
    """A job: its scripts in one shell, after_script in another, whatever came before."""
    job = gitlab_job(name)
    known = {"CI_JOB_ID": "31", "CI_COMMIT_SHA": "c0ffee", "CI_PIPELINE_SOURCE": "schedule"}
    known |= {"GITLAB_USER_LOGIN": "ada", "CI_PIPELINE_ID": "12", **desk.environment}
    given = {**known, **{key: str(value) for key, value in job["variables"].items()}, **variables}
    for key, value in given.items():
        given[key] = re.sub(r"\$(CI_\w+)", lambda found: given[found.group(1)], value)
    shell = ("bash", "--posix", "-e", "-o", "pipefail")
    code = desk.sh("\n".join([*job["before_script"], *job["script"]]), shell, given)
    desk.sh("\n".join(job["after_script"]), shell, given)
    tolerated = job.get("allow_failure", {})
    neutral = tolerated["exit_codes"] if isinstance(tolerated, dict) and tolerated else []
    result = "success" if code == 0 else "neutral" if code in neutral else "failure"
    return Job(result, {}, {"code": str(code)})


# Jenkins -----------------------------------------------------------------------------------------


def block(text: str, head: str) -> str:
    """What stands between the braces after `head`."""
    start = text.index(head) + len(head)
    start = text.index("{", start) + 1
    depth, place = 1, start
    while depth:
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        place += 1
    return text[start : place - 1]


def said(text: str) -> list[str]:
    """The lines of a block, without comments and indentation."""
    lines = (line.strip() for line in text.strip().splitlines())
    return [line for line in lines if line and not line.startswith("//")]


def stage(name: str) -> str:
    return block(JENKINS.read_text(encoding="utf-8"), f"stage('{name}')")


def groovy_text(function: str) -> str:
    """The text in triple quotes in a function of the Jenkinsfile."""
    body = JENKINS.read_text(encoding="utf-8").split(f"def {function}()")[1]
    return body.split("'''")[1]


def jenkins(desk: Desk, name: str, **variables: str) -> Job:
    """A stage: what `install`, `perform` and `publish` of the Jenkinsfile run, in their order."""
    text = JENKINS.read_text(encoding="utf-8")
    line = re.search(r"perform\(\d+, '([^\n]*)'\)", stage(name))
    assert line
    constants = dict(re.findall(r"^    (\w+) = '([^']*)'$", text, re.MULTILINE))
    known = {"JOB_NAME": "team/model/main", "BUILD_NUMBER": "8", "GIT_COMMIT": "c0ffee"}
    known |= {"REASON": "scheduled", "FORCE_PROMOTE": "false", "TRIGGER": "schedule"}
    given = {**known, "APPROVED_BY": "ada", **constants, **desk.environment, **variables}
    shell = ("sh", "-xe")

    def sh(script: str) -> int:
        return desk.sh(script, shell, given)

    shown = sh(groovy_text("install"))
    for script in (line.group(1), "finish", "verdict"):
        shown = shown or sh(groovy_text("calls") + script)
    sh(groovy_text("calls") + "finish")
    return Job("success" if shown == 0 else "neutral" if shown == 2 else "failure", {})
