"""The stories of a release, told by the real command line on a small project."""

import json
import signal

import psutil
import pytest

from ml_pipeline.localplatform import control
from tests.fakes.processes import eventually
from tests.fakes.toy_project import WORSE, Toy, end, toy

pytestmark = [pytest.mark.e2e]


@pytest.fixture(scope="module")
def released(tmp_path_factory) -> Toy:
    """A project with a champion in production."""
    project = toy(tmp_path_factory.mktemp("released"))
    first = project.run("full-pipeline", "--run-id", "first")
    assert first.code == 0, first.output
    assert project.record()["outcome"] == "promoted"
    return project


def left_running(project: Toy) -> list[str]:
    """Processes that still have the project's folder in their command line."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or ())
        if str(project.folder) in words:
            found.append(words)
    return found


def test_the_first_model_is_promoted_on_its_limits_and_its_evidence_is_whole(released) -> None:
    record = json.loads((released.runs / "first" / "run.json").read_text())
    assert {one["status"] for one in record["stages"]} <= {"passed", "skipped"}
    for stage in record["stages"]:
        assert stage["inputs"].keys() >= {"source", "settings", "pipeline"}
    report = released.runs / "first" / "report" / "1"
    assert {one.name for one in report.iterdir()} >= {
        "report.html", "report.md", "junit.xml", "run.json", "result.json",
    }  # fmt: skip
    assert eventually(lambda: not left_running(released)), left_running(released)


def test_the_same_inputs_are_nothing_to_do(released) -> None:
    again = released.run("full-pipeline")
    assert again.code == 0, again.output
    assert released.record()["outcome"] == "nothing-to-do"


def test_a_worse_model_is_refused_with_2_and_the_champion_stays(released) -> None:
    refused = released.run("full-pipeline", "--force", *WORSE)
    assert refused.code == 2, refused.output
    assert released.record()["outcome"] == "no-improvement"
    assert "version 1" in released.run("status").output


def test_force_promote_passes_no_fault(released) -> None:
    faulty = released.run("full-pipeline", "--force-promote", "--set", "hyperparameters.do=nans")
    assert faulty.code == 3, faulty.output


# Errors that take more than one look to be harm: meanwhile the champion is asked too.
@pytest.mark.parametrize("chaos", ["errors=0.1", "slow_ms=6000", "crash_after=40"])
def test_a_challenger_that_harms_is_taken_back_and_the_champions_users_saw_nothing(
    released, chaos
) -> None:
    harmed = released.run("full-pipeline", "--force", "--chaos", chaos)
    assert harmed.code == 9, harmed.output
    folder = released.newest()
    rollout = json.loads((folder / "shift-traffic" / "1" / "rollout.json").read_text())
    champion = [one for one in rollout["samples"] if one["slot"] == rollout["champion"]]
    assert sum(one["requests"] for one in champion) > 0
    assert sum(one["errors"] for one in champion) == 0
    last = [one for one in rollout["events"] if one["event"] == "rolled-back"]
    assert last[-1]["weights"] == {rollout["champion"]: 100}


def test_the_load_test_runs_alone_on_an_earlier_runs_evidence(released) -> None:
    run = next(
        path.parent
        for path in released.runs.glob("*/run.json")
        if json.loads(path.read_text())["outcome"] == "promoted"
    )
    again = released.run("run", "load-test", "--run", run.name)
    assert again.code == 0, again.output
    attempts = sorted(path.name for path in (run / "load-test").iterdir())
    assert attempts == ["1", "2"]
    assert json.loads((run / "run.json").read_text())["outcome"] == "promoted"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
@pytest.mark.parametrize("stage", ["train", "load-test", "shift-traffic"])
def test_a_signal_at_a_blocking_point_leaves_nothing_behind(released, stage, number) -> None:
    run_id = f"stopped-{stage}-{int(number)}"
    words = ["--set", "hyperparameters.do=hang"] if stage == "train" else []
    slow = ["--set", "load.duration_s=60", "--set", "rollout.min_requests=2000"]
    skip_smoke = ["--set", "train.smoke_hyperparameters.do='no'"]
    process = released.start(
        "full-pipeline", "--force", "--run-id", run_id, *words, *skip_smoke,
        *(slow[:2] if stage == "load-test" else slow[2:]),
    )  # fmt: skip
    event = {"train": "job-submitted", "shift-traffic": "weights"}.get(stage, "stage-started")
    released.until(run_id, event, stage=stage)
    assert end(process, number) == 130, released.output()[-3000:]
    record = released.record(released.runs / run_id)
    assert record["outcome"] == "interrupted"
    if stage == "shift-traffic":
        events = [line["event"] for line in released.journal(released.runs / run_id)]
        assert "rolled-back" in events
    assert eventually(lambda: not left_running(released)), left_running(released)


def test_two_runs_at_once_the_second_is_refused_and_says_by_whom(released) -> None:
    first = released.start(
        "full-pipeline", "--force", "--run-id", "holder", "--set", "load.duration_s=60"
    )
    try:
        released.until("holder", "stage-started")
        second = released.run("full-pipeline", "--force")
        assert second.code == 7
        assert "holder" in second.output
    finally:
        end(first, signal.SIGTERM)


def test_killed_during_the_rollout_the_champion_comes_back_and_the_run_can_be_resumed(
    released,
) -> None:
    process = released.start(
        "full-pipeline", "--force", "--run-id", "killed", "--set", "rollout.min_requests=60"
    )
    released.until("killed", "weights")
    end(process)
    champion = released_champion(released)
    wait_for_weights(released, {champion: 100})
    resumed = released.run("resume", "killed")
    assert resumed.code == 0, resumed.output
    record = released.record(released.runs / "killed")
    assert record["outcome"] == "promoted"
    attempts = {one["stage"]: one["attempt"] for one in record["stages"]}
    assert attempts["shift-traffic"] == 2
    assert attempts["train"] == 1
    control.down(released.state)


def test_killed_during_the_rollout_the_run_can_be_aborted(released) -> None:
    before = released_champion(released)
    process = released.start(
        "full-pipeline", "--force", "--run-id", "given-up", "--set", "rollout.min_requests=60"
    )
    released.until("given-up", "weights")
    end(process)
    aborted = released.run("abort", "given-up")
    assert aborted.code == 0, aborted.output
    assert released_champion(released) == before
    assert released.record(released.runs / "given-up")["outcome"] == "interrupted"
    refused = released.run("resume", "given-up")
    assert refused.code == 4
    assert "was aborted" in refused.output
    control.down(released.state)


def test_killed_while_training_the_job_is_found_again_and_not_paid_for_twice(released) -> None:
    process = released.start(
        "full-pipeline", "--force", "--run-id", "paid", "--set", "hyperparameters.do=hang",
        "--set", "train.smoke_hyperparameters.do='no'",
    )  # fmt: skip
    released.until("paid", "job-submitted")
    end(process)
    aborted = released.run("abort", "paid")
    assert aborted.code == 0, aborted.output
    assert "is cancelled" in aborted.output
    assert [words for words in left_running(released) if "fit.py" in words] == []


def released_champion(project: Toy) -> str:
    output = project.run("status").output
    line = next(one for one in output.splitlines() if one.startswith("champion:"))
    return f"v{line.rpartition(' ')[2]}"


def wait_for_weights(project: Toy, weights: dict[str, int]) -> None:
    import time

    deadline = time.monotonic() + 90
    seen = None
    while time.monotonic() < deadline:
        info = control.status(project.state)
        seen = dict(info.weights) if info else None
        if seen is not None and {k: v for k, v in seen.items() if v} == weights:
            return
        time.sleep(0.2)  # noqa: TID251 - the platform is another process
    raise AssertionError(f"weights are {seen}, expected {weights}")
