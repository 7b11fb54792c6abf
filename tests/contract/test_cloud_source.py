"""The commit the evidence names is the code that trained, whatever the image was built from."""

import pytest

from ml_pipeline.ports.training import JobState
from tests.contract.test_training_platform import SCRIPT
from tests.emulators.azureml_cases import AzuremlTrainingCase
from tests.emulators.sagemaker_driver import sagemaker_training
from tests.emulators.vertex_cases import VertexTrainingCase


@pytest.fixture(
    params=[
        pytest.param(AzuremlTrainingCase, id="azureml"),
        pytest.param(sagemaker_training, id="sagemaker"),
        pytest.param(VertexTrainingCase, id="vertex"),
    ]
)
def case(request, tmp_path):
    """Its image has other code where the project's is, and that fails."""
    made = request.param(tmp_path)
    yield made
    made.clean()


def test_a_job_trains_the_code_the_project_had_when_it_was_submitted(case):
    platform, project = case.platform(), case.request().source
    away = project.with_name("away")
    first = platform.submit(case.request())
    project.rename(away)  # a job on a cloud sees nothing of this machine
    assert case.ended(platform, first) is JobState.SUCCEEDED, platform.failure(first)
    assert platform.result(first).metrics["mae"] == 4.5
    away.rename(project)
    (project / "t.py").write_text(
        SCRIPT.replace("write_text(metrics)", "write_text('{\"mae\": 2}')")
    )
    second = platform.submit(case.request(attempt=2))
    project.rename(away)
    assert case.ended(platform, second) is JobState.SUCCEEDED, platform.failure(second)
    assert platform.result(second).metrics["mae"] == 2
