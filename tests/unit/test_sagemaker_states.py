"""What SageMaker's states mean, held against AWS's own lists of them."""

import botocore.session
import pytest

from ml_pipeline.adapters.sagemaker.states import CHANGING, IN_PROGRESS, JOB, changing, job_state
from ml_pipeline.domain.errors import PlatformRefusedError
from ml_pipeline.ports.training import JobState


@pytest.fixture(scope="module")
def shapes():
    model = botocore.session.get_session().get_service_model("sagemaker")
    return lambda name: set(model.shape_for(name).enum)


def test_every_state_of_a_job_has_a_meaning(shapes):
    assert set(JOB) == shapes("TrainingJobStatus")


def test_every_step_of_a_job_in_progress_has_a_meaning(shapes):
    assert set(IN_PROGRESS) == shapes("SecondaryStatus")


def test_every_state_of_an_endpoint_has_a_meaning(shapes):
    assert set(CHANGING) == shapes("EndpointStatus")


def test_an_unknown_state_is_an_error_and_not_a_guess():
    for status, secondary in (("Levitating", "Starting"), ("InProgress", "Levitating")):
        with pytest.raises(PlatformRefusedError, match="Levitating"):
            job_state(status, secondary)
    with pytest.raises(PlatformRefusedError, match="Levitating"):
        changing("Levitating")


@pytest.mark.parametrize(
    ("status", "secondary", "meaning"),
    [
        ("InProgress", "Pending", JobState.QUEUED),
        ("InProgress", "Interrupted", JobState.QUEUED),
        ("InProgress", "Training", JobState.RUNNING),
        ("Stopping", "Stopping", JobState.CANCELLING),
        ("Stopped", "Stopped", JobState.CANCELLED),
        ("Stopped", "MaxRuntimeExceeded", JobState.FAILED),
        ("Stopped", "MaxWaitTimeExceeded", JobState.FAILED),
    ],
)
def test_a_job_stopped_by_aws_has_failed_and_one_stopped_by_us_is_cancelled(
    status, secondary, meaning
):
    assert job_state(status, secondary) is meaning
