"""What the Azure ML adapters refuse by themselves, before or after Azure was asked."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ml_pipeline.adapters.azureml.artifacts import AzuremlArtifacts
from ml_pipeline.adapters.azureml.endpoint import Endpoint, endpoint_name
from ml_pipeline.adapters.azureml.host import AzuremlHost
from ml_pipeline.adapters.azureml.proxy import KeyProxy
from ml_pipeline.domain.errors import (
    ConfigurationError,
    DataError,
    PlatformRefusedError,
    PlatformUnavailableError,
)
from ml_pipeline.domain.policies.cloud_azureml import AzuremlPolicy
from ml_pipeline.ports.registry import ModelVersion
from tests.fakes.clock import FakeClock


def _workspace(state: str = "Succeeded", **policy: Any) -> Any:
    """A workspace whose endpoint is always in this state; asking is counted."""
    found, asked = SimpleNamespace(provisioning_state=state, scoring_uri="", tags={}), []

    def ask(what: str, _question: Any) -> Any:
        asked.append(what)
        return found

    given = AzuremlPolicy(change_limit_s=100, change_poll_s=30, **policy)
    return SimpleNamespace(policy=given, clock=FakeClock(), ask=ask, asked=asked, scope="/s")


def test_a_change_that_does_not_end_is_waited_for_as_long_as_the_setting_says() -> None:
    workspace = _workspace("Updating")
    with pytest.raises(PlatformUnavailableError, match="more than 100 s"):
        Endpoint(workspace, "shop", "production").settled()
    assert workspace.clock.monotonic() == 120


@pytest.mark.parametrize("state", ["Failed", "Canceled"])
def test_an_endpoint_that_failed_is_not_built_upon(state: str) -> None:
    with pytest.raises(PlatformRefusedError, match=f"is {state}"):
        Endpoint(_workspace(state), "shop", "production").settled()


def test_a_drill_is_refused_before_anything_is_asked() -> None:
    workspace = _workspace()
    host = AzuremlHost(Endpoint(workspace, "shop", "production"), KeyProxy())
    version = ModelVersion.__new__(ModelVersion)
    with pytest.raises(PlatformRefusedError, match="no drills"):
        host.deploy("v1", version, Path("package"), chaos="errors=0.5")
    assert workspace.asked == []


def test_an_endpoint_without_an_address_yet_takes_no_requests(monkeypatch) -> None:
    endpoint, proxy = Endpoint(_workspace(), "shop", "production"), KeyProxy()
    monkeypatch.setattr(endpoint, "_key", "key")
    with pytest.raises(PlatformUnavailableError, match="no address yet"):
        proxy.target(endpoint, None)


@pytest.mark.parametrize("name", ["", "a/b", "../up", "-x", "x" * 129])
def test_an_artifacts_name_stays_below_its_folder(name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot become a blob's name"):
        AzuremlArtifacts(_workspace()).put(Path(__file__), name)


@pytest.mark.parametrize(
    "uri", ["azureml://datastores/another/paths/x", "s3://bucket/x", "azureml://datastores//paths/"]
)
def test_what_lies_in_another_datastore_is_not_looked_for_in_ours(uri: str) -> None:
    with pytest.raises(DataError, match="is not in the datastore"):
        AzuremlArtifacts(_workspace()).has(uri)


def test_endpoints_have_names_azure_takes_and_each_model_its_own() -> None:
    workspace = _workspace(staging_endpoint="given")
    names = {endpoint_name(workspace, model, "production") for model in ("a", "b", "--", "a" * 99)}
    assert len(names) == 4
    assert all(len(one) <= 32 and one.replace("-", "").isalnum() for one in names)
    assert endpoint_name(workspace, "a", "staging") == "given"
