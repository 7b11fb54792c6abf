"""Every training platform: one job a key, a state nobody guesses, a result that is checked."""

from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.adapters.local.training import LocalTraining
from ml_pipeline.domain.errors import DataError, PlatformRefusedError
from ml_pipeline.ports.training import JobRef, JobState, TrainingPlatform, TrainingRequest
from tests.emulators.azureml_cases import AzuremlTrainingCase
from tests.emulators.sagemaker_driver import sagemaker_training
from tests.emulators.sagemaker_script import sagemaker_script_training
from tests.emulators.vertex_cases import VertexTrainingCase
from tests.fakes.clock import FakeClock
from tests.fakes.extras import has_script_mode
from tests.fakes.processes import eventually
from tests.fakes.projects import PLAIN, runner_of, write_files
from tests.fakes.training import FakeJob, FakeTraining

GOOD = '{"mae": 4.5, "rows": 100}'


class Case(ABC):
    """A platform, and trainings with a known end."""

    @abstractmethod
    def platform(self) -> TrainingPlatform:
        """The platform as a machine sees it that has not seen it before."""

    @abstractmethod
    def request(
        self,
        *,
        run_id: str = "run-1",
        attempt: int = 1,
        behaviour: str = "succeed",
        metrics: str = GOOD,
    ) -> TrainingRequest:
        """A training that does as told: succeed, fail, hang, no-metrics or no-model."""

    def ended(self, platform: TrainingPlatform, job: JobRef) -> JobState:
        assert eventually(lambda: platform.state(job).final)
        return platform.state(job)


SCRIPT = """
import os, sys, pathlib, time
data, output, behaviour, metrics = sys.argv[1:]
output = pathlib.Path(output)
if behaviour == "hang":
    time.sleep(600)
if behaviour == "fail":
    sys.exit("the training says why")
if behaviour == "variable":
    metrics = os.environ["SHOP_METRICS"]
if behaviour != "no-model":
    (output / "model.skops").write_bytes(pathlib.Path(data).read_bytes())
if behaviour != "no-metrics":
    (output / "metrics.json").write_text(metrics)
"""


class LocalCase(Case):
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = write_files(folder / "p", {"pyproject.toml": PLAIN, "t.py": SCRIPT})
        self.data = write_files(folder, {"rows.csv": "a,b\n1,2\n"}) / "rows.csv"

    def platform(self) -> TrainingPlatform:
        runner = runner_of(self.source, self.folder / "state")
        return LocalTraining(self.folder / "state", runner, HostClock())

    def request(
        self, *, run_id="run-1", attempt=1, behaviour="succeed", metrics=GOOD
    ) -> TrainingRequest:
        return TrainingRequest(
            project="shop",
            run_id=run_id,
            attempt=attempt,
            source=self.source,
            data=self.data,
            argv=("python", "t.py", "{data}", "{output}", behaviour, metrics),
            artifact="model.skops",
            metrics="metrics.json",
            time_limit_s=300,
        )

    def clean(self) -> None:
        platform = self.platform()
        for job in platform.running("shop"):
            platform.cancel(job.ref)


class FakeCase(LocalCase):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.jobs: dict[str, FakeJob] = {}

    def platform(self) -> TrainingPlatform:
        return FakeTraining(FakeClock(), behave=self._behave, jobs=self.jobs)

    def _behave(self, job: FakeJob) -> None:
        behaviour, metrics = job.request.argv[-2:]
        job.failure = "the training says why" if behaviour == "fail" else ""
        states = {"hang": JobState.RUNNING, "fail": JobState.FAILED}
        job.state = states.get(behaviour, JobState.SUCCEEDED)
        told = {"no-metrics": None, "variable": job.request.variables.get("SHOP_METRICS")}
        job.metrics = told.get(behaviour, metrics)
        job.model_uri = None if behaviour == "no-model" else self.data.as_uri()


@pytest.fixture(
    params=[
        pytest.param(LocalCase, id="local"),
        pytest.param(FakeCase, id="fake"),
        pytest.param(AzuremlTrainingCase, id="azureml"),
        pytest.param(sagemaker_training, id="sagemaker"),
        pytest.param(VertexTrainingCase, id="vertex"),
        # without its package it is left out; tests/e2e/test_sagemaker_script_mode.py says so
        *[pytest.param(sagemaker_script_training, id="sagemaker-script")][: has_script_mode()],
    ],
)
def case(request, tmp_path):
    made = request.param(tmp_path)
    yield made
    made.clean()


def test_a_training_that_ends_well_leaves_metrics_and_a_model(case):
    platform = case.platform()
    job = platform.submit(case.request())
    assert case.ended(platform, job) is JobState.SUCCEEDED
    result = platform.result(job)
    assert result.metrics == {"mae": 4.5, "rows": 100.0}
    assert result.model_uri
    assert platform.url(job)


def test_a_training_sees_the_projects_own_variables(case):
    told = '{"mae": 1.25, "city": 7, "spaces": 1}'
    asked = replace(case.request(behaviour="variable"), variables={"SHOP_METRICS": told})
    job = case.platform().submit(asked)
    assert case.ended(case.platform(), job) is JobState.SUCCEEDED
    assert case.platform().result(job).metrics["mae"] == 1.25


def test_the_same_key_is_the_same_job(case):
    first = case.platform().submit(case.request())
    assert case.platform().submit(case.request(behaviour="fail")) == first
    assert case.ended(case.platform(), first) is JobState.SUCCEEDED


def test_another_attempt_is_another_job_and_the_newest_is_found(case):
    platform = case.platform()
    first = platform.submit(case.request(behaviour="fail"))
    second = platform.submit(case.request(attempt=2))
    assert first != second
    assert case.platform().find("shop", "run-1") == second


def test_a_job_is_found_from_a_machine_that_did_not_submit_it(case):
    assert case.platform().find("shop", "run-1") is None
    job = case.platform().submit(case.request())
    assert case.platform().find("shop", "run-1") == job
    assert case.platform().find("shop", "run-2") is None
    assert case.platform().find("other", "run-1") is None
    assert case.ended(case.platform(), job) is JobState.SUCCEEDED


def test_a_training_that_fails_says_why(case):
    platform = case.platform()
    job = platform.submit(case.request(behaviour="fail"))
    assert case.ended(platform, job) is JobState.FAILED
    assert "the training says why" in platform.failure(job)
    with pytest.raises(DataError):
        platform.result(job)


@pytest.mark.parametrize("behaviour", ["no-metrics", "no-model"])
def test_a_training_that_leaves_too_little_has_no_result(case, behaviour):
    platform = case.platform()
    job = platform.submit(case.request(behaviour=behaviour))
    case.ended(platform, job)
    with pytest.raises(DataError, match="left no"):
        platform.result(job)


@pytest.mark.parametrize("metrics", ['{"mae": NaN}', '{"mae": "4"}'])
def test_a_metric_that_is_no_finite_number_is_no_result(case, metrics):
    platform = case.platform()
    job = platform.submit(case.request(metrics=metrics))
    case.ended(platform, job)
    with pytest.raises(DataError, match="mae"):
        platform.result(job)


def test_a_cancelled_job_ends_and_stays_cancelled(case):
    platform = case.platform()
    job = platform.submit(case.request(behaviour="hang"))
    assert not platform.state(job).final
    platform.cancel(job)
    assert case.ended(platform, job) is JobState.CANCELLED
    platform.cancel(job)
    assert case.platform().state(job) is JobState.CANCELLED


def test_cancelling_a_finished_job_changes_nothing(case):
    platform = case.platform()
    job = platform.submit(case.request())
    assert case.ended(platform, job) is JobState.SUCCEEDED
    platform.cancel(job)
    assert platform.state(job) is JobState.SUCCEEDED


def test_only_jobs_that_have_not_ended_are_running(case):
    platform = case.platform()
    done = platform.submit(case.request(run_id="run-1"))
    hanging = platform.submit(case.request(run_id="run-2", behaviour="hang"))
    case.ended(platform, done)
    (running,) = case.platform().running("shop")
    assert (running.ref, running.run_id) == (hanging, "run-2")
    assert running.started_at.utcoffset() == timedelta(0)
    assert not platform.running("other")


def test_the_last_submission_counts_whatever_came_of_it(case):
    platform = case.platform()
    assert platform.last_submitted("shop") is None
    job = platform.submit(case.request(behaviour="fail"))
    case.ended(platform, job)
    assert platform.last_submitted("shop").utcoffset() == timedelta(0)
    assert platform.last_submitted("other") is None


def test_a_job_that_never_was_is_refused(case):
    platform = case.platform()
    real = platform.submit(case.request())
    case.ended(platform, real)
    with pytest.raises(PlatformRefusedError):
        platform.state(JobRef(real.platform, f"{real.name}9"))
