"""Azure ML's adapter without a cloud: states and names."""

import warnings

import pytest

from ml_pipeline.adapters.azureml.endpoint import deployment_of, slot_in
from ml_pipeline.adapters.azureml.states import JOB_STATES, PROVISIONED, known
from ml_pipeline.domain.errors import PlatformRefusedError
from ml_pipeline.domain.policies.cloud_azureml import AzuremlPolicy

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from azure.ai.ml._restclient.arm_ml_service import models


def test_the_table_of_job_states_is_the_vendors() -> None:
    """Against the vendor's own list, so an SDK update that adds a state fails here first."""
    assert set(JOB_STATES) == {one.value for one in models.JobStatus}


def test_the_table_of_provisioning_states_is_the_vendors() -> None:
    vendors = {*models.EndpointProvisioningState, *models.DeploymentProvisioningState}
    assert set(PROVISIONED) == {one.value for one in vendors}


def test_a_state_that_is_not_in_the_table_is_an_error() -> None:
    with pytest.raises(PlatformRefusedError, match="Dreaming"):
        known(JOB_STATES, "Dreaming", "job x")


def test_a_slot_has_a_name_azure_takes_and_comes_back_from_it() -> None:
    assert deployment_of("v1") == "slot-v1"
    assert slot_in(deployment_of("staging")) == "staging"
    with pytest.raises(PlatformRefusedError, match="characters"):
        deployment_of("v" * 30)


def test_what_the_platform_cannot_do_without_is_named_all_at_once() -> None:
    lacking = {key for key, _ in AzuremlPolicy().lacking()}
    assert lacking == {"subscription", "resource_group", "workspace", "image"}
    assert ("spot" in dict(AzuremlPolicy(spot=True, compute="cpu-cluster").lacking())) is True
