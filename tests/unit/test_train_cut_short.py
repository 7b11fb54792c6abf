"""A training that is paid for never runs on behind a pipeline that ended."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from ml_pipeline.cli import programs
from ml_pipeline.domain.errors import (
    DataError,
    PipelineError,
    PlatformRefusedError,
    PlatformUnavailableError,
    StorageError,
)
from ml_pipeline.domain.policies.data import DataPolicy
from ml_pipeline.domain.policies.gate import MetricPolicy
from ml_pipeline.domain.policies.training import EnvironmentPolicy, TrainPolicy
from ml_pipeline.ports.training import JobRef, JobState, cancel_and_see
from ml_pipeline.session.restoring import cancel_training
from ml_pipeline.stages import train
from tests.fakes.clock import FakeClock
from tests.fakes.training import FakeTraining

AWAY = PlatformUnavailableError("503", remedy="Try again.")
NO = PlatformRefusedError("403", remedy="Ask for the right.")
FULL = StorageError("no space left", remedy="Make room.")
POLICY = TrainPolicy(command=("train", "{data}", "{output}"), artifact="model.skops", poll_s=30)


class Stage:
    """One attempt of `train`; `full_at` is the event whose line the disk has no room for."""

    def __init__(self, folder: Path, *, attempt: int = 1, full_at: str = "") -> None:
        self.path, self.run_id, self.attempt = folder, "run-1", attempt
        self.full_at = full_at
        self.lines: list[tuple[str, dict]] = []
        (folder / "rows.csv").write_text("a,b\n1,2\n")

    def file(self, *_: str) -> Path:
        return self.path / "rows.csv"

    def journal(self, event: str, **facts: object) -> None:
        if event == self.full_at:
            raise FULL
        self.lines.append((event, facts))

    def journalled(self, _event: str) -> list[dict]:
        return []


class World:
    """A cloud, and a pipeline that trains there."""

    def __init__(self, folder: Path, **errors: list[Exception]) -> None:
        self.clock = FakeClock()
        self.training = FakeTraining(self.clock, errors=errors)
        self.folder = folder

    def succeed_after(self, waits: int) -> None:
        """Every job ends well once the pipeline has waited that often."""

        def slept(_seconds: float) -> None:
            if len(self.clock.slept) >= waits:
                for job in self.training.jobs.values():
                    job.state, job.metrics = JobState.SUCCEEDED, '{"mae": 1}'
                    job.model_uri = "cloud://model"

        self.clock.on_sleep = slept

    def train(self, stage: Stage | None = None):
        return train.run(
            stage=stage or Stage(self.folder),
            source=self.folder,
            project="shop",
            data=DataPolicy(path="rows.csv", target="b", features=("a",)),
            train=POLICY,
            metric=MetricPolicy(name="mae", min=0, max=9, prediction_min=0, prediction_max=9),
            hyperparameters={},
            options=SimpleNamespace(source_digest="0" * 64),
            environment=EnvironmentPolicy(),
            training=self.training,
            artifacts=SimpleNamespace(fetch=lambda _uri, target: target.touch() or "digest"),
            clock=self.clock,
        )

    @property
    def states(self) -> list[JobState]:
        return [job.state for job in self.training.jobs.values()]


@pytest.mark.parametrize("full_at", ["job-submitted", "job-cancelling"])
def test_a_full_disk_ends_the_job_too(tmp_path, full_at):
    world = World(tmp_path)
    world.clock.stop_after(3)
    with pytest.raises(PipelineError):
        world.train(Stage(tmp_path, full_at=full_at))
    assert world.states == [JobState.CANCELLED]


@pytest.mark.parametrize("error", [AWAY, NO], ids=["unavailable", "refused"])
def test_an_address_that_cannot_be_told_ends_nothing(tmp_path, error):
    world = World(tmp_path, url=[error] * 9)
    world.succeed_after(2)
    stage = Stage(tmp_path)
    outcome = world.train(stage)
    assert outcome.values["url"] == "unknown"
    assert dict(stage.lines)["job-submitted"]["url"] == "unknown"


def test_a_failure_of_our_own_ends_the_job_too(tmp_path):
    world = World(tmp_path, url=[RuntimeError("a bug")])
    with pytest.raises(RuntimeError):
        world.train()
    assert world.states == [JobState.CANCELLED]


@pytest.mark.parametrize(
    "broken", [{"full_at": "job-submitted"}, {"full_at": "", "answer": BrokenPipeError()}]
)
def test_the_program_that_submits_leaves_no_job_when_it_fails(tmp_path, monkeypatch, broken):
    world, stage = World(tmp_path), Stage(tmp_path, full_at=broken["full_at"])
    settings = SimpleNamespace(
        source=tmp_path,
        data=DataPolicy(path="rows.csv", target="b", features=("a",)),
        train=POLICY,
        hyperparameters={},
        environment=EnvironmentPolicy(),
    )
    session = SimpleNamespace(
        settings=settings,
        clock=world.clock,
        wiring=SimpleNamespace(
            project="shop", training=world.training, runs=SimpleNamespace(begin=lambda *_: stage)
        ),
        alone=lambda *_, **__: nullcontext(),
        options=lambda **_: SimpleNamespace(source_digest="0" * 64),
    )
    shown = SimpleNamespace(close=lambda: None)
    monkeypatch.setattr(programs, "open_session", lambda _place: (session, shown))
    monkeypatch.setattr(programs, "_newest", lambda *_: "the data is there")
    monkeypatch.setattr(sys, "argv", ["submit_training_job", "--run", "run-1"])

    def answer(**_: object) -> None:
        raise broken.get("answer", AssertionError("it went on"))

    monkeypatch.setattr(programs, "_answer", answer)
    try:
        code = programs.submit_training_job()
    except BrokenPipeError:
        code = 1
    assert code
    assert world.states == [JobState.CANCELLED]


def test_an_outage_shorter_than_five_looks_costs_only_time(tmp_path):
    world = World(tmp_path, state=[AWAY] * 4)
    world.succeed_after(6)
    stage = Stage(tmp_path)
    assert world.train(stage).metrics == {"mae": 1.0}
    assert [event for event, _ in stage.lines].count("job-unseen") == 4


def test_the_time_limit_counts_while_the_platform_is_away(tmp_path):
    world = World(tmp_path, state=[AWAY] * 3)
    world.clock.on_sleep = lambda _: world.clock.advance(1e6)
    with pytest.raises(PipelineError, match="time_limit_s"):
        world.train()
    assert world.states == [JobState.CANCELLED]


def test_an_outage_that_stays_ends_the_run_and_the_job(tmp_path):
    world = World(tmp_path, state=[AWAY] * 12, cancel=[AWAY] * 8)
    with pytest.raises(PlatformUnavailableError, match="503"):
        world.train()
    assert world.states == [JobState.CANCELLED]


def test_a_job_nobody_could_cancel_is_told_as_one_that_may_still_run(tmp_path):
    world = World(tmp_path, state=[AWAY] * 999, cancel=[AWAY] * 999, url=[AWAY] * 9)
    with pytest.raises(PlatformUnavailableError, match="may still be running") as lost:
        world.train()
    assert "ml-pipeline abort" in lost.value.remedy
    assert 300 <= world.clock.monotonic() < 800


def test_a_job_that_will_not_end_is_named_also_when_its_address_is_unknown():
    clock = FakeClock()
    stubborn = SimpleNamespace(
        cancel=lambda _: None, state=lambda _: JobState.RUNNING, url=FakeTraining(clock).url
    )
    stubborn.url = FakeTraining(clock, errors={"url": [AWAY]}).url
    with pytest.raises(PlatformRefusedError, match="job-7 is still running"):
        cancel_and_see(JobRef("cloud", "job-7"), stubborn, clock)


def test_a_job_whose_submission_went_unanswered_is_found_and_waited_for(tmp_path):
    world = World(tmp_path, unheard=[AWAY], find=[AWAY, NO, AWAY])
    world.succeed_after(2)
    assert world.train().metrics == {"mae": 1.0}
    assert world.states == [JobState.SUCCEEDED]


def test_a_submission_that_made_nothing_is_no_job(tmp_path):
    world = World(tmp_path, submit=[AWAY])
    with pytest.raises(PlatformUnavailableError, match="503"):
        world.train()
    assert world.states == []
    assert world.clock.monotonic() < 60


def test_the_job_of_an_earlier_attempt_is_not_taken_for_this_one(tmp_path):
    world = World(tmp_path)
    world.clock.stop_after(0)
    with pytest.raises(PipelineError):
        world.train()
    world.clock = world.training.clock = FakeClock()
    world.training.errors["submit"] = [AWAY]
    with pytest.raises(PlatformUnavailableError, match="503"):
        world.train(Stage(tmp_path, attempt=2))
    assert world.states == [JobState.CANCELLED]


def test_a_submission_nobody_can_look_into_is_told_as_a_job_that_may_run(tmp_path):
    world = World(tmp_path, unheard=[AWAY], find=[AWAY] * 999)
    with pytest.raises(PlatformUnavailableError, match="may be running") as lost:
        world.train()
    assert "ml-pipeline abort run-1" in lost.value.remedy
    assert 120 <= world.clock.monotonic() < 600


def test_an_abort_ends_every_job_the_run_has(tmp_path):
    world = World(tmp_path)
    for attempt in (1, 2):
        world.training.submit(SimpleNamespace(project="shop", run_id="run-1", attempt=attempt))
    other = SimpleNamespace(project="shop", run_id="run-2", attempt=1)
    world.training.submit(other)
    done = cancel_training("shop", "run-1", platform=world.training, clock=world.clock)
    assert world.states == [JobState.CANCELLED, JobState.CANCELLED, JobState.RUNNING]
    assert len(done) == 2


def test_a_job_that_failed_says_why_although_its_address_is_unknown(tmp_path):
    world = World(tmp_path, url=[AWAY] * 9)

    def fail(_seconds: float) -> None:
        (job,) = world.training.jobs.values()
        job.state, job.failure = JobState.FAILED, json.dumps("no memory")

    world.clock.on_sleep = fail
    with pytest.raises(DataError, match="no memory"):
        world.train()
