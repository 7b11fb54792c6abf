"""A spot job may wait for capacity on top of its time limit, and for no longer than that."""

from inspect import signature
from pathlib import Path
from types import SimpleNamespace

import pytest

from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.domain.errors import TimeLimitError
from ml_pipeline.domain.policies.cloud_sagemaker import SageMakerPolicy
from ml_pipeline.domain.policies.training import TrainPolicy
from ml_pipeline.ports.training import JobRef, JobState
from ml_pipeline.settings.model import Settings
from ml_pipeline.settings.profiles import Platform
from ml_pipeline.stages import train
from ml_pipeline.wiring import Wiring
from tests.fakes.clock import FakeClock
from tests.fakes.training import FakeTraining

POLICY = TrainPolicy(command=("train", "{data}", "{output}"), time_limit_s=600, poll_s=30)
JOB = JobRef("fake", "shop/run-1/1")


class Cloud:
    """A job that is queued and then runs, each for some seconds."""

    def __init__(self, *, queued_s: float, runs_s: float) -> None:
        self.clock = FakeClock()
        self.training = FakeTraining(self.clock)
        self.training.submit(SimpleNamespace(project="shop", run_id="run-1", attempt=1))
        self.ends = ((queued_s, JobState.QUEUED), (queued_s + runs_s, JobState.RUNNING))
        self._pass(0)
        self.clock.on_sleep = self._pass

    def _pass(self, _seconds: float) -> None:
        (job,) = self.training.jobs.values()
        now = self.clock.monotonic()
        if not job.state.final:
            found = (state for end, state in self.ends if now < end)
            job.state = next(found, JobState.SUCCEEDED)

    def wait(self, spot_wait_s: float) -> JobState:
        train.wait_for(JOB, self.training, POLICY, self.clock, lambda *_, **__: None, spot_wait_s)
        return self.training.state(JOB)


def test_a_job_that_waits_for_spot_capacity_is_not_cancelled_by_its_time_limit():
    assert Cloud(queued_s=3000, runs_s=500).wait(3600) is JobState.SUCCEEDED


def test_a_job_that_never_gets_a_machine_is_cancelled_once_both_are_over():
    cloud = Cloud(queued_s=1e9, runs_s=0)
    with pytest.raises(TimeLimitError, match="3600 s of waiting"):
        cloud.wait(3600)
    assert cloud.training.state(JOB) is JobState.CANCELLED
    assert 4200 < cloud.clock.monotonic() < 4300


def test_a_job_that_got_its_machine_at_once_has_no_more_time_than_any_other():
    cloud = Cloud(queued_s=60, runs_s=1e9)
    with pytest.raises(TimeLimitError, match="time_limit_s = 600 s"):
        cloud.wait(3600)
    assert 600 < cloud.clock.monotonic() < 750


def test_without_spot_the_time_in_the_queue_counts():
    cloud = Cloud(queued_s=1e9, runs_s=0)
    with pytest.raises(TimeLimitError):
        cloud.wait(0)
    assert 600 < cloud.clock.monotonic() < 650


@pytest.mark.parametrize(
    ("platform", "spot", "expected"),
    [
        (Platform.SAGEMAKER, True, 1200),
        (Platform.SAGEMAKER, False, 0),
        (Platform.LOCAL, True, 0),
    ],
)
def test_the_wait_is_that_of_the_chosen_platform_where_spot_is_asked_for(platform, spot, expected):
    policy = SageMakerPolicy(spot=spot, spot_wait_s=1200)
    wiring = Wiring(
        settings=Settings.model_construct(platform=platform, sagemaker=policy),
        secrets=None,
        environ={},
        state=Path(),
        runs_root=Path(),
        clock=HostClock(),
        bring_up=lambda: None,
    )
    (asked,) = [name for name in signature(train.run).parameters if "spot" in name]
    assert wiring.provide(asked, SimpleNamespace(stage="train")) == expected
