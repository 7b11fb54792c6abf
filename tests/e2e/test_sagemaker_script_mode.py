"""Script mode on the emulated SageMaker: its jobs run in a Python with nothing of the pipeline.

What every training owes stands in the contract (`tests/contract/test_training_platform.py`), which
runs in script mode too where the package is installed.
"""

import subprocess
import sys
from dataclasses import replace

import pytest

from ml_pipeline.domain.errors import (
    ConfigurationError,
    PlatformRefusedError,
    PlatformUnavailableError,
)
from ml_pipeline.ports.training import JobRef, JobState, cancel_and_see
from tests.emulators.clouds import OnSageMaker
from tests.emulators.sagemaker_driver import parts_on
from tests.emulators.sagemaker_script import SCRIPT_MODE, sagemaker_script_training, stored
from tests.fakes.extras import has_script_mode
from tests.fakes.platforms import eventually
from tests.fakes.projects import write_files, write_wheel
from tests.fakes.toy_project import configured, toy

USES_SHOPLIB = """
import pathlib, shutil, sys
import shoplib
data, output = sys.argv[1:]
shutil.copy(data, pathlib.Path(output) / "model.skops")
(pathlib.Path(output) / "metrics.json").write_text('{"mae": %s}' % shoplib.version)
"""
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
if not has_script_mode():
    pytest.skip(
        "script mode needs the package sagemaker-core: uv sync --extra sagemaker-script",
        allow_module_level=True,
    )


@pytest.fixture
def case(tmp_path):
    made = sagemaker_script_training(tmp_path)
    yield made
    made.emulator.faults()
    made.clean()


def test_the_job_carries_its_limits_and_tags_and_the_package_made_it(case):
    clients = parts_on(case.emulator.url)._clients
    job = case.platform().submit(case.request())
    made = clients.call("sagemaker", "describe_training_job", TrainingJobName=job.name)
    assert made["StoppingCondition"] == {"MaxRuntimeInSeconds": 420}
    assert made["AlgorithmSpecification"]["TrainingImage"] == SCRIPT_MODE["training_image"]
    assert made["AlgorithmSpecification"]["ContainerEntrypoint"] == ["/bin/bash"]
    assert [one.run_id for one in case.platform().running("shop")] == ["run-1"]
    assert case.ended(case.platform(), job) is JobState.SUCCEEDED


def test_requirements_are_installed_before_the_training(case, tmp_path):
    image = tmp_path / "image"
    subprocess.run([sys._base_executable, "-m", "venv", str(image)], check=True)
    case.emulator.ask("settings", {"framework_env": str(image)})
    write_wheel(case.source, "shoplib", "2.5")
    needs = "--no-index\n./shoplib-2.5-py3-none-any.whl\n"
    write_files(case.source, {"needs.txt": needs, "uses.py": USES_SHOPLIB})
    asked = replace(case.request(), argv=("python", "uses.py", "{data}", "{output}"))
    platform = parts_on(case.emulator.url, **SCRIPT_MODE, requirements="needs.txt").training
    job = platform.submit(asked)
    assert case.ended(platform, job) is JobState.SUCCEEDED, platform.failure(job)
    assert platform.result(job).metrics == {"mae": 2.5}


@pytest.mark.parametrize("kind", ["429", "500", "reset", "expired"])
def test_what_passes_by_itself_is_tried_again_and_is_one_job(case, kind):
    case.emulator.faults({"kind": kind, "operation": "CreateTrainingJob", "retry_after": 0.1})
    job = case.platform().submit(case.request())
    assert case.ended(case.platform(), job) is JobState.SUCCEEDED
    assert list(case.emulator.told()["jobs"]) == [job.name]


@pytest.mark.parametrize(
    ("kind", "error"), [("403", PlatformRefusedError), ("500", PlatformUnavailableError)]
)
def test_what_stays_wrong_is_named_and_starts_nothing(case, kind, error):
    case.emulator.faults({"kind": kind, "operation": "CreateTrainingJob", "times": 99})
    with pytest.raises(error) as refused:
        case.platform().submit(case.request())
    assert refused.value.remedy
    assert case.emulator.told()["jobs"] == {}
    # as many tries as every other call has, not the package's own ten of each of them
    assert case.emulator.told()["calls"]["CreateTrainingJob"] <= 5


def test_a_job_submitted_again_from_another_machine_is_not_made_twice(case):
    first = case.platform().submit(case.request())
    made = case.emulator.told()["calls"]["CreateTrainingJob"]
    assert case.platform().submit(case.request()) == first
    assert case.emulator.told()["calls"]["CreateTrainingJob"] == made
    assert case.ended(case.platform(), first) is JobState.SUCCEEDED


def test_a_job_whose_making_seemed_to_fail_is_made_once(case):
    """The package looks at a job it made, and tries all of it again when that look fails."""
    training, plain, place = stored(case, "seemed")
    case.emulator.faults({"kind": "500", "operation": "DescribeTrainingJob"})
    with pytest.raises(PlatformRefusedError, match="ResourceInUse"):  # `submit` knows it as made
        training._script.create(plain, place)
    assert list(case.emulator.told()["jobs"]) == ["seemed"]
    assert case.ended(training, JobRef("sagemaker", "seemed")) is JobState.SUCCEEDED


def test_a_job_that_aws_fails_says_why(case):
    case.emulator.faults({"kind": "job-failed"})
    job = case.platform().submit(case.request())
    assert case.ended(case.platform(), job) is JobState.FAILED
    assert "AlgorithmError" in case.platform().failure(job)


def test_a_preempted_job_is_one_job_and_a_stuck_one_is_cancelled(case):
    case.emulator.faults({"kind": "job-preempted"})
    job = case.platform().submit(case.request())
    assert case.ended(case.platform(), job) is JobState.SUCCEEDED
    case.emulator.faults({"kind": "job-stuck"})
    stuck = case.platform().submit(case.request(attempt=2))
    assert eventually(lambda: case.emulator.told()["faults"] == [])
    cancel_and_see(stuck, case.platform(), parts_on(case.emulator.url).order.clock)
    assert case.platform().state(stuck) is JobState.CANCELLED


def test_what_cannot_be_sent_is_refused_before_anything_is(case):
    missing = replace(case.request(), argv=("python", "absent.py", "{data}", "{output}"))
    with pytest.raises(ConfigurationError, match="absent"):
        case.platform().submit(missing)
    assert parts_on(case.emulator.url).training._bucket.keys("ml-pipeline/") == []
    assert case.emulator.told()["jobs"] == {}


def test_a_project_is_released_to_its_first_champion(tmp_path):
    project = toy(tmp_path / "toy", configured(("min_requests = 30", "min_requests = 20")))
    cloud = OnSageMaker(tmp_path, project.folder)
    cloud.emulator.ask("settings", {"framework_env": sys.prefix})
    told = {**cloud.settings, **SCRIPT_MODE}
    words = {key: str(value).lower() if value is True else value for key, value in told.items()}
    pairs = ["platform=sagemaker", *(f"sagemaker.{key}={one}" for key, one in words.items())]
    sets = [word for pair in pairs for word in ("--set", pair)]
    first = project.run("full-pipeline", *sets, **cloud.environ)
    assert first.code == 0, first.output
    assert cloud.parts("toy").registry.champion("toy").version == "1"
    asked, listed = cloud.rights()
    assert sorted(asked - listed) == []
    cloud.end()
