"""Answers about a paid job that are lost on their way: one job all the same, and it ends."""

from collections.abc import Callable

import pytest

from ml_pipeline.adapters.azureml import client
from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.domain.errors import PlatformUnavailableError
from ml_pipeline.ports.training import JobState, cancel_and_see
from ml_pipeline.stages import train
from tests.emulators.azureml_cases import AzuremlTrainingCase
from tests.emulators.sagemaker_driver import sagemaker_training
from tests.emulators.vertex_cases import VertexTrainingCase
from tests.fakes.platforms import eventually

pytestmark = [pytest.mark.e2e]


class Azureml:
    """What can be lost between here and Azure ML."""

    def __init__(self, folder) -> None:
        self.case = AzuremlTrainingCase(folder)
        self.fault = self.case.emulator.fault

    def lose_descriptions(self) -> None:
        self.fault("GET .*/jobs/", 503, 999)

    def lose_submission(self) -> None:
        self.fault("PUT .*/jobs/shop_run-1_1$", "unheard")
        self.fault(
            "PUT .*/jobs/shop_run-1_1$", "reset", 3
        )  # all tries but the last, which makes the job

    def clear(self) -> None:
        self.case.emulator.faults.clear()


class Sagemaker:
    """What can be lost between here and SageMaker."""

    def __init__(self, folder) -> None:
        self.case = sagemaker_training(folder)
        self.faults = self.case.emulator.faults

    def lose_descriptions(self) -> None:
        self.faults({"kind": "500", "operation": "DescribeTrainingJob", "times": 999})

    def lose_submission(self) -> None:
        self.faults(
            {"kind": "unheard", "operation": "CreateTrainingJob", "times": 1},
            {"kind": "reset", "operation": "CreateTrainingJob", "times": 4},
        )

    def clear(self) -> None:
        self.faults()


class Vertex:
    """What can be lost between here and Vertex AI."""

    def __init__(self, folder) -> None:
        self.case = VertexTrainingCase(folder)
        self.faults = self.case.emulator.faults

    def lose_descriptions(self) -> None:
        self.faults.add("GetCustomJob", code="UNAVAILABLE", times=999)

    def lose_submission(self) -> None:
        self.faults.add("CreateCustomJob", unheard=True)

    def clear(self) -> None:
        self.faults.clear()


@pytest.fixture(params=[Azureml, Sagemaker, Vertex], ids=lambda one: one.__name__.lower())
def cloud(request, tmp_path, monkeypatch):
    init = client.Workspace.__init__
    monkeypatch.setattr(
        client.Workspace,
        "__init__",
        lambda self, *given, **_: init(self, *given, backoff_factor=0.01),
    )
    made = request.param(tmp_path)
    yield made
    made.clear()
    made.case.clean()


def test_a_job_is_cancelled_also_while_nobody_can_look_at_it(cloud):
    platform = cloud.case.platform()
    job = platform.submit(cloud.case.request(behaviour="hang"))
    cloud.lose_descriptions()
    try:
        platform.cancel(job)
    except PlatformUnavailableError:
        assert isinstance(cloud, Vertex)  # cancelled, and not looked whether it has a twin
    cloud.clear()
    assert cloud.case.ended(platform, job) is JobState.CANCELLED


def test_a_submission_whose_answer_is_lost_is_one_job(cloud):
    cloud.lose_submission()
    platform = cloud.case.platform()
    job = train.submit(cloud.case.request(behaviour="hang"), platform, HostClock())
    assert [one.ref for one in platform.running("shop")] == [job]
    cancel_and_see(job, platform, HostClock())


class Late:
    """Vertex AI whose list of jobs does not show the newest for some calls."""

    def __init__(self, case: VertexTrainingCase, calls: int) -> None:
        jobs = case.emulator.jobs
        self.calls, self.really = calls, jobs.ListCustomJobs
        jobs.ListCustomJobs = self

    def __call__(self, request):
        self.calls -= 1
        found = self.really(request)
        return type(found)() if self.calls >= 0 else found


@pytest.fixture
def vertex(tmp_path):
    made = VertexTrainingCase(tmp_path)
    yield made
    made.clean()


def jobs_of(case: VertexTrainingCase) -> dict[str, Callable[[], bool]]:
    """All jobs, oldest first; whether each is to end or has ended."""
    known = case.emulator.jobs
    return {name: known.asked_to_stop[name].is_set for name in known.jobs}


def test_of_two_jobs_a_lost_answer_made_the_older_is_kept(vertex):
    """The list was late, so the second was made before the first was seen."""
    Late(vertex, 2)
    vertex.emulator.faults.add("CreateCustomJob", unheard=True)
    job = vertex.platform().submit(vertex.request(behaviour="hang"))
    (first, first_ends), (_, second_ends) = jobs_of(vertex).items()
    assert (job.name, first_ends(), second_ends()) == (first, False, True)
    assert vertex.platform().find("shop", "run-1") == job


def test_a_twin_seen_late_goes_with_the_job_that_is_cancelled(vertex):
    Late(vertex, 3)
    vertex.emulator.faults.add("CreateCustomJob", unheard=True)
    platform = vertex.platform()
    job = platform.submit(vertex.request(behaviour="hang"))
    other = platform.submit(vertex.request(run_id="run-2", behaviour="hang"))
    platform.cancel(job)
    assert eventually(lambda: [one.ref for one in platform.running("shop")] == [other])


def test_submitting_again_ends_a_twin_that_was_seen_late(vertex):
    Late(vertex, 3)
    vertex.emulator.faults.add("CreateCustomJob", unheard=True)
    platform = vertex.platform()
    platform.submit(vertex.request(behaviour="hang"))
    kept = platform.submit(vertex.request(behaviour="hang"))
    (first, first_ends), (_, second_ends) = jobs_of(vertex).items()
    assert (kept.name, first_ends(), second_ends()) == (first, False, True)


def test_a_job_that_was_made_is_handed_over_although_nobody_can_look_for_twins(vertex):
    made = vertex.emulator.jobs.CreateCustomJob

    def then_away(request):
        vertex.emulator.faults.add("ListCustomJobs", code="UNAVAILABLE", times=4)
        return made(request)

    vertex.emulator.jobs.CreateCustomJob = then_away
    job = vertex.platform().submit(vertex.request(behaviour="hang"))
    assert list(jobs_of(vertex)) == [job.name]
