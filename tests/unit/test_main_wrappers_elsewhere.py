"""What ci/README.md shows for another repository is valid, and gives what the wrappers take."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakes.ci_systems import GITHUB, GITLAB, ROOT, read

SHARED = "OWNER/ml-pipeline/.github/workflows/ml-pipeline.yml@COMMIT"


def _examples() -> list[str]:
    text = (ROOT / "ci" / "README.md").read_text(encoding="utf-8")
    return re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)


def _valid(text: str, schema: str, folder: Path) -> None:
    (folder / "example.yml").write_text(text)
    words = ["--builtin-schema", schema, str(folder / "example.yml")]
    argv = [str(Path(sys.executable).with_name("check-jsonschema")), *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _jobs() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{whole['name']} {name}", job)
        for whole in map(yaml.safe_load, _examples())
        for name, job in whole.get("jobs", {}).items()
    ]


@pytest.mark.parametrize("number", [0, 1])
def test_a_workflow_of_another_repository_is_valid(number: int, tmp_path: Path) -> None:
    _valid(_examples()[number], "vendor.github-workflows", tmp_path)
    assert yaml.safe_load(_examples()[number])["permissions"] == {}


@pytest.mark.parametrize(
    ("name", "job"), _jobs(), ids=lambda one: one if isinstance(one, str) else "job"
)
def test_a_job_of_another_repository_grants_and_gives_what_is_asked(
    name: str, job: dict[str, Any]
) -> None:
    shared = read(GITHUB)
    call = shared["on"]["workflow_call"]
    assert job["uses"] == SHARED
    rights = dict(job["permissions"])
    # the right to an identity, where one is used in place of stored keys and nowhere else
    named = {"aws-role", "gcp-workload-identity-provider"} & set(job["with"])
    assert rights.pop("id-token", None) == ("write" if named else None)
    assert rights == read(GITHUB.parent / "ml-retrain.yml")["jobs"]["pipeline"]["permissions"]
    required = {one for one, said in call["inputs"].items() if said.get("required")}
    assert required | {"module"} <= set(job["with"]) <= set(call["inputs"])
    assert set(job.get("secrets", {})) <= set(call["secrets"])
    assert bool(named) == (job["with"]["call"] != "ci")
    assert "secrets" not in job


def test_the_example_of_a_release_resumes_what_it_began_with_what_it_was_given() -> None:
    jobs = dict(_jobs())
    begins, resumes = jobs["ml-retrain pipeline"], jobs["ml-retrain approved"]
    own = yaml.safe_load((GITHUB.parent / "ml-retrain.yml").read_text(encoding="utf-8"))
    for key in ("needs", "if"):
        assert resumes[key] == own["jobs"]["approved"][key]
    assert resumes["with"]["run-id"] == "${{ needs.pipeline.outputs.run-id }}"
    assert resumes["with"]["environment"] == "production"
    for name in ("platform", "aws-role", "aws-region", "aws-role-seconds"):
        assert resumes["with"][name] == begins["with"][name]


def test_the_inclusion_in_gitlab_is_valid_and_sets_what_the_template_reads(tmp_path: Path) -> None:
    (text,) = _examples()[2:]
    _valid(text, "vendor.gitlab-ci", tmp_path)
    example, template = yaml.safe_load(text), read(GITLAB)
    assert set(template["stages"]) <= set(example["stages"])
    for name in example["variables"]:
        assert f"${name}" in GITLAB.read_text(encoding="utf-8")
    assert set(example["variables"]) >= {"ML_MODULE", "ML_SOURCE"}
