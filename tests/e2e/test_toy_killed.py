"""`kill -9` again and again: each `resume` goes on where the run was cut off."""

import json

import pytest

from tests.fakes.toy_project import Toy, end, toy

pytestmark = pytest.mark.e2e

#: Every stage that does something which must not be done twice, and the moments in between.
MOMENTS = (
    ("stage-started", "fetch-data"),
    ("stage-started", "smoke-train"),
    ("job-submitting", "train"),
    ("job-submitted", "train"),
    ("stage-started", "package"),
    ("stage-started", "register"),
    ("registered", "register"),
    ("staging-deploying", "deploy-staging"),
    ("stage-started", "load-test"),
    ("production-deploying", "deploy-production"),
    ("stage-started", "shift-traffic"),
    ("rollout-committed", "shift-traffic"),
    ("champion-moving", "archive"),
    ("stage-started", "report"),
)


def versions(project: Toy) -> list[str]:
    """Every version that was registered, by what its results say."""
    results = sorted(project.newest().glob("register/*/result.json"))
    told = [json.loads(path.read_text())["values"].get("version") for path in results]
    return [one for one in told if one]


@pytest.mark.timeout(900)  # fifteen processes
def test_a_run_that_is_killed_at_every_step_is_resumed_to_its_end(tmp_path) -> None:
    project = toy(tmp_path)
    words = ("full-pipeline", "--run-id", "killed")
    for event, stage in MOMENTS:
        running = project.start(*words)
        project.until("killed", event, stage=stage)
        end(running)
        words = ("resume", "killed")
    done = project.run(*words)
    assert done.code == 0, done.output
    assert project.record()["outcome"] == "promoted"
    assert set(versions(project)) == {"1"}
    submitted = [line["job"] for line in project.journal() if line["event"] == "job-submitted"]
    assert len(set(submitted)) == 1
    assert "champion: version 1" in project.run("status").output
