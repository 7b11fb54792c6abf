"""CI systems: each file is valid to its system, and holds the one text of calls.

actionlint is not among the linters: on the package index it is a source archive that downloads
a program while it is built, which a test run must not need.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from ml_pipeline.containers.bench import LEFT_OUT
from tests.fakes.ci_systems import (
    GITHUB,
    GITLAB,
    JENKINS,
    ROOT,
    WORKFLOWS,
    gitlab_job,
    groovy_text,
    read,
)

FILES = sorted(WORKFLOWS.glob("*.yml"))


def _tool(name: str, *words: str) -> "subprocess.CompletedProcess[str]":
    argv = [str(Path(sys.executable).with_name(name)), *words]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
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
    for path in FILES:
        for line in path.read_text(encoding="utf-8").splitlines():
            if "uses:" in line and "uses: ./" not in line and not line.startswith("#"):
                assert re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), f"{path.name}: {line}"


def test_every_wrapper_installs_the_command_of_the_modules_engine() -> None:
    engine = json.loads((ROOT / "dagger.json").read_text(encoding="utf-8"))["engineVersion"]
    for path in (GITHUB, WORKFLOWS / "release.yml"):
        steps = [step for job in read(path)["jobs"].values() for step in job["steps"]]
        (install,) = [one for one in steps if "dagger-for-github@" in one.get("uses", "")]
        assert install["with"] == {"version": engine}
    assert read(GITLAB)["variables"]["DAGGER_VERSION"] == engine.removeprefix("v")
    assert f"DAGGER_VERSION = '{engine.removeprefix('v')}'" in JENKINS.read_text(encoding="utf-8")
    for installs in ("\n".join(gitlab_job("ml-ci")["before_script"]), groovy_text("install")):
        assert "https://dl.dagger.io/dagger/install.sh | BIN_DIR=" in installs


def test_the_calls_are_one_text_in_all_systems() -> None:
    whole = read(GITHUB)
    (step,) = [one for one in whole["jobs"]["call"]["steps"] if one.get("id") == "calls"]
    github = step["run"].split("<<'END'\n")[1].split("END\n")[0]
    (gitlab,) = read(GITLAB)[".ml-calls"]["script"]
    before, jenkins = dedent(groovy_text("calls")).split('-$BUILD_NUMBER"\n')
    assert gitlab == github
    assert jenkins.strip() == github.strip()
    assert "\\" not in github  # Groovy would take it for an escape
    assert {line.split("=")[0] for line in before.splitlines() if line and line[0] != "#"} == {
        "PATH", "ML_COMMIT", "RUN_ID",
    }  # fmt: skip


@pytest.mark.parametrize("path", [GITHUB, GITLAB, JENKINS], ids=lambda path: path.name)
def test_what_a_wrapper_writes_is_no_part_of_the_project(path: Path) -> None:
    """Else its digest changes between a run and its `resume`, which is refused then."""
    text = path.read_text(encoding="utf-8")
    written = re.findall(r"(?:--path=|mkdir -p |> )(?!\"|&|/dev/null|')(\S+)", text)
    assert written
    assert all(one.startswith(".ml-pipeline/") for one in written), written
    assert "/.ml-pipeline" in str(LEFT_OUT)


def test_the_jenkinsfile_is_whole() -> None:
    """No linter of Jenkins works without a server: its blocks close, its text holds no escape."""
    text = JENKINS.read_text(encoding="utf-8")
    quoted = re.compile(r"'''.*?'''|'[^'\n]*'|\"[^\"\n]*\"|//[^\n]*", re.DOTALL)
    bare = quoted.sub("", text)
    for opens, closes in ("{}", "()", "[]"):
        assert bare.count(opens) == bare.count(closes)
    for function in ("install", "calls"):
        assert "\\" not in groovy_text(function)
