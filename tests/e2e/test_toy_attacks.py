"""What would let a wrong model serve: stale verdicts, lost registries, cut-off rollbacks."""

import json
import shutil
import sqlite3

import pytest

from ml_pipeline.adapters.local.champion_cache import DATABASE
from tests.fakes.toy_project import WORSE, Toy, end, toy

pytestmark = [pytest.mark.e2e]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Toy:
    """Two promotions behind it: version 2 serves, version 1 stands beside it."""
    made = toy(tmp_path_factory.mktemp("attacked"))
    assert made.run("full-pipeline", "--run-id", "one").code == 0, made.output()
    again = made.run("full-pipeline", "--force", "--set", "hyperparameters.offset=0.1")
    assert again.code == 0, again.output
    return made


def jobs(project: Toy) -> list[dict]:
    lines = project.journal(project.runs / "one")
    return [line for line in lines if line["event"] == "job-submitting"]


def champion(project: Toy) -> str:
    lines = project.run("status").output.splitlines()
    return next(line for line in lines if line.startswith("champion:")).rpartition(" ")[2]


def test_the_rollout_of_an_old_run_moves_nobody(project) -> None:
    again = project.run("run", "shift-traffic", "--run", "one")
    assert again.code == 6, again.output
    assert "this run was compared with" in again.output
    assert "platform: not up" in project.run("status").output
    assert project.run("platform", "up", "--port", "0").code == 0
    shown = project.run("platform", "status").output
    assert project.run("platform", "down").code == 0
    assert "version 2 healthy 100 %" in shown, shown


def test_another_order_is_another_training_and_the_same_is_not_paid_for_twice(project) -> None:
    submitted = len(jobs(project))
    same = project.run("run", "train", "--run", "one")
    assert same.code == 0, same.output
    assert len(jobs(project)) == submitted
    other = project.run("run", "train", "--run", "one", "--set", "hyperparameters.offset=0.3")
    assert other.code == 0, other.output
    assert len(jobs(project)) == submitted + 1


def test_a_verdict_that_was_edited_is_not_believed(project) -> None:
    refused = project.run("full-pipeline", "--force", "--run-id", "forged", *WORSE)
    assert refused.code == 2, refused.output
    path = project.runs / "forged" / "compare" / "1" / "result.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "status": "passed", "outcome": "", "exit_code": None}))
    resumed = project.run("resume", "forged")
    assert resumed.code == 5, resumed.output
    assert "was changed since" in resumed.output
    assert champion(project) == "2"


def test_a_verdict_about_another_champion_promotes_nothing(project) -> None:
    old = project.start(
        "full-pipeline", "--force", "--run-id", "old", "--set", "hyperparameters.offset=0.2",
        "--set", "load.duration_s=60",
    )  # fmt: skip
    project.until("old", "stage-started", stage="load-test")
    end(old)
    newer = project.run(
        "full-pipeline", "--force", "--run-id", "newer", "--set", "hyperparameters.offset=3"
    )
    assert newer.code == 0, newer.output
    serving = champion(project)
    stale = project.run("resume", "old")
    assert stale.code in {5, 6}, stale.output
    assert champion(project) == serving


def test_rollback_returns_to_the_version_that_was_replaced_and_not_to_one_taken_back(
    project,
) -> None:
    bad = champion(project)
    back = project.run("rollback", "--reason", "bad")
    assert back.code == 0, back.output
    good = champion(project)
    assert good != bad
    again = project.run("full-pipeline", "--force", "--set", "hyperparameters.offset=4")
    assert again.code == 0, again.output
    second = project.run("rollback", "--reason", "bad too")
    assert second.code == 0, second.output
    assert champion(project) == good


def test_a_registry_made_anew_is_an_outage_and_never_no_champion(project, tmp_path) -> None:
    for file in project.state.glob(f"{DATABASE}*"):
        shutil.copy2(file, tmp_path)
    try:
        with sqlite3.connect(project.state / DATABASE) as database:
            database.execute("DELETE FROM registered_model_aliases")
        database.close()
        blind = project.run("full-pipeline", "--set", "hyperparameters.offset=-1")
        assert blind.code == 7, blind.output
        assert project.run("status").code == 7
    finally:
        for file in project.state.glob(f"{DATABASE}*"):
            file.unlink()
        for file in tmp_path.glob(f"{DATABASE}*"):
            shutil.copy2(file, project.state)


def test_a_first_release_that_was_cut_off_is_not_left_serving_in_silence(tmp_path) -> None:
    made = toy(tmp_path)
    first = made.start("full-pipeline", "--run-id", "first")
    made.until("first", "rollout-committed")
    end(first)
    aborted = made.run("abort", "first")
    if aborted.code == 0:
        assert made.run("status").output.count("100 %") == 0
    else:
        assert aborted.code == 6, aborted.output
        assert "resume" in aborted.output
        assert made.run("resume", "first").code == 0
