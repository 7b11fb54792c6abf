"""CI systems: each file is valid to its system, and all of them make the same calls."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ml_pipeline.containers.bench import LEFT_OUT
from tests.unit.test_main_registration import Module, Registered, module  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
GITHUB = ROOT / ".github" / "workflows" / "ml-pipeline.yml"
GITLAB, JENKINS = ROOT / "ci" / "gitlab-ci.yml", ROOT / "ci" / "Jenkinsfile"
CALL = re.compile(r"dagger call ([^\n]*?)(?: \|\||;| >|'\n|'$|$)", re.MULTILINE)
#: A Jenkins agent keeps its engine, so there is no state to carry from build to build.
CARRIED = {"--state", "state"}


def _tool(name: str, *words: str) -> "subprocess.CompletedProcess[str]":
    argv = [str(Path(sys.executable).with_name(name)), *words]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)


def _calls(path: Path) -> list[list[str]]:
    """Words of every call of the module, options without their values."""
    found = []
    for line in CALL.findall(path.read_text(encoding="utf-8")):
        words = [word.split("=")[0] for word in re.findall(r'(?:[^\s"]|"[^"]*")+', line)]
        found.append([word for word in words if word != "-m" and not word.startswith('"$')])
    return found


def _by_function(path: Path) -> dict[str, set[str]]:
    calls: dict[str, set[str]] = {}
    for words in _calls(path):
        function = next(word for word in words if not word.startswith("--"))
        calls.setdefault(function, set()).update(words)
    return calls


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_valid_to_githubs_own_schema(path: Path) -> None:
    done = _tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_template_is_valid_to_gitlabs_own_schema() -> None:
    words = ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", str(GITLAB)]
    done = _tool("check-jsonschema", *words)
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_finds_no_weakness_in_the_workflows() -> None:
    """Also none of the kind it cannot parse: a warning of its own is a fault of ours."""
    words = ["--offline", "--no-progress", "--min-severity", "medium", ".github/workflows"]
    done = _tool("zizmor", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARN" not in done.stderr, done.stderr


def test_actions_are_pinned_by_commit_with_their_version_beside_it() -> None:
    for path in WORKFLOWS:
        for line in path.read_text(encoding="utf-8").splitlines():
            if "uses:" in line and "uses: ./" not in line and not line.startswith("#"):
                assert re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), f"{path.name}: {line}"


def test_a_project_gets_the_least_rights_and_none_by_default() -> None:
    for path in WORKFLOWS:
        assert "\npermissions: {}\n" in path.read_text(encoding="utf-8"), path.name


def test_all_systems_make_the_same_calls() -> None:
    github, gitlab, jenkins = (_by_function(path) for path in (GITHUB, GITLAB, JENKINS))
    assert set(github) == {"ci", "full-pipeline", "resume", "abort", "evidence", "state"}
    assert gitlab == github
    carried = {name: words - CARRIED for name, words in github.items() if name not in CARRIED}
    assert {name: words - CARRIED for name, words in jenkins.items()} == carried


@pytest.mark.parametrize("path", [*WORKFLOWS, GITLAB, JENKINS], ids=lambda path: path.name)
def test_every_call_is_one_the_module_answers(path: Path, module: Module) -> None:  # noqa: F811
    functions = module.functions("MlPipeline")
    constructor = _options(module.constructor())
    for words in _calls(path):
        position = next(i for i, word in enumerate(words) if not word.startswith("--"))
        chained = words.index("export") if "export" in words else len(words)
        assert set(words[:position]) <= constructor, words
        function = functions[words[position]]
        given = set(words[position + 1 : chained])
        assert given <= _options(function), words
        assert {f"--{name.replace('_', '-')}" for name in function.required} <= given, words
        assert set(words[chained + 1 :]) <= {"--path", "--wipe"}, words


def _options(function: Registered) -> set[str]:
    return {f"--{one['name'].replace('_', '-')}" for one in function.arguments}


@pytest.mark.parametrize("path", [GITHUB, GITLAB, JENKINS], ids=lambda path: path.name)
def test_no_improvement_is_told_by_the_outcome_and_not_by_a_bare_two(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "evidence/outcome" in text
    assert "no-improvement" in text


@pytest.mark.parametrize("path", [GITHUB, GITLAB, JENKINS], ids=lambda path: path.name)
def test_what_a_wrapper_writes_is_no_part_of_the_project(path: Path) -> None:
    """Else its digest changes between a run and its `resume`, which is refused then."""
    text = path.read_text(encoding="utf-8")
    written = re.findall(r"(?:--path=|--state=)(\S+)", text)
    assert written
    assert all(one.startswith(".ml-pipeline/") for one in written), written
    assert "/.ml-pipeline" in str(LEFT_OUT)


@pytest.mark.parametrize("path", [GITHUB, GITLAB, JENKINS], ids=lambda path: path.name)
def test_evidence_names_the_commit(path: Path) -> None:
    calls = _by_function(path)
    assert {name for name in calls if "--commit" in calls[name]} == {
        "ci", "full-pipeline", "resume",
    }  # fmt: skip


def test_retraining_is_started_as_documented() -> None:
    text = (ROOT / ".github" / "workflows" / "ml-retrain.yml").read_text(encoding="utf-8")
    assert 'cron: "30 20 * * 0"' in text
    assert "types: [drift-detected, scheduled-retrain]" in text
    for word in ("reason:", "force_promote:", "environment: production", "awaiting-approval"):
        assert word in text


def test_the_jenkinsfile_is_whole() -> None:
    """No linter of Jenkins works without a server: its blocks close, and it has its parts."""
    quoted = re.compile(r"'''.*?'''|'[^'\n]*'|\"[^\"\n]*\"|//[^\n]*", re.DOTALL)
    text = quoted.sub("", JENKINS.read_text(encoding="utf-8"))
    assert text.count("{") == text.count("}")
    assert text.count("(") == text.count(")")
    for part in (
        "pipeline {",
        "agent {",
        "options {",
        "stages {",
        "post {",
        "aborted {",
        "cleanup {",
    ):
        assert part in text
