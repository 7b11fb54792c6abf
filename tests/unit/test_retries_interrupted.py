"""A run that is asked to stop hears it while a cloud makes it wait, and still cleans up."""

from collections.abc import Callable, Iterator
from typing import Any

import botocore.exceptions as aws
import pytest
from google.api_core import exceptions as google

from ml_pipeline.adapters.azureml.client import Workspace
from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.adapters.sagemaker.client import Clients
from ml_pipeline.adapters.vertex.refusals import Attempts
from ml_pipeline.domain.errors import InterruptedCallError
from ml_pipeline.domain.policies.cloud_azureml import AzuremlPolicy
from ml_pipeline.domain.policies.cloud_sagemaker import SageMakerPolicy
from tests.emulators.azureml import AzuremlEmulator
from tests.emulators.azureml_cases import workspace

Tries = Callable[[HostClock, Callable[[], str]], Any]


class Patient(HostClock):
    """Waits that are waited whole are told and not waited."""

    def __init__(self) -> None:
        super().__init__()
        self.paused: list[float] = []

    def pause(self, seconds: float) -> None:
        self.paused.append(seconds)


def _busy_aws() -> Exception:
    told = {"HTTPStatusCode": 429, "HTTPHeaders": {"retry-after": "20"}}
    busy = {"Error": {"Code": "Throttling", "Message": ""}, "ResponseMetadata": told}
    return aws.ClientError(busy, "X")


def _busy_google() -> Exception:
    answer = type("Answer", (), {"headers": {"Retry-After": "20"}})()
    return google.TooManyRequests("busy", response=answer)


CASES = {
    "sagemaker": (lambda clock, ask: Clients(SageMakerPolicy(), clock).tried("op", ask), _busy_aws),
    "vertex": (lambda clock, ask: Attempts(clock, lambda: None)("to do", ask), _busy_google),
}


@pytest.fixture(params=sorted(CASES))
def cloud(request: pytest.FixtureRequest) -> tuple[Tries, Callable[[], Exception]]:
    return CASES[request.param]


def test_a_stop_during_a_call_ends_its_tries(cloud) -> None:
    tried, busy = cloud
    clock, calls = Patient(), []

    def ask() -> str:
        calls.append("asked")
        clock.stop("Ctrl-C")
        raise busy()

    with pytest.raises(InterruptedCallError, match="Ctrl-C"):
        tried(clock, ask)
    assert (calls, clock.paused) == (["asked"], [])


def test_a_call_that_cleans_up_waits_as_long_as_it_is_asked_to(cloud) -> None:
    tried, busy = cloud
    clock, busy_left = Patient(), [busy(), busy()]
    clock.stop("Ctrl-C")

    def ask() -> str:
        if busy_left:
            raise busy_left.pop()
        return "cancelled"

    assert tried(clock, ask) == "cancelled"
    assert clock.paused == [20.0, 20.0]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzuremlEmulator]:
    with workspace(tmp_path_factory.mktemp("azureml")) as made:
        yield made


@pytest.fixture
def azure(emulator: AzuremlEmulator) -> Iterator[tuple[Workspace, Patient]]:
    clock = Patient()
    made = Workspace(AzuremlPolicy(**emulator.settings()), clock, {}, backoff_factor=0.01)
    yield made, clock
    made.close()
    emulator.faults.clear()


def _look(made: Workspace) -> list[str]:
    return made.tried("to look", lambda: list(made.container.list_blob_names()))


#: A call of the SDK itself, of its client for blobs, and of the one for tokens.
WAITED_IN = ["GET .*/datastores/", "GET /account/", "GET /identity/token"]


@pytest.mark.parametrize("call", WAITED_IN)
def test_a_stop_during_a_call_of_azures_sdk_ends_its_tries(emulator, azure, call: str) -> None:
    made, clock = azure
    asked = {"Retry-After": "20"}
    fault = emulator.fault(call, 503, 99, headers=asked, then=lambda: clock.stop("Ctrl-C"))
    with pytest.raises(InterruptedCallError, match="Ctrl-C"):
        _look(made)
    assert (fault.seen, clock.paused) == (1, [])


@pytest.mark.parametrize("call", WAITED_IN)
def test_azures_sdk_waits_while_cleaning_up(emulator, azure, call: str) -> None:
    made, clock = azure
    clock.stop("Ctrl-C")
    emulator.fault(call, 503, 2, headers={"Retry-After": "20"})
    assert _look(made) == []
    assert len(clock.paused) == 2
