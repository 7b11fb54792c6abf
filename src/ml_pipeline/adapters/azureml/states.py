"""The vendor's states in our words; one that is missing here is an error, never a guess.

Source:
    `JobStatus` and `DeploymentProvisioningState` of Azure's REST API 2025-12-01, as generated
    into `azure-ai-ml`.
"""

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

from ml_pipeline.domain.errors import PlatformRefusedError
from ml_pipeline.ports.training import JobState

_S = TypeVar("_S")

JOB_STATES: Mapping[str, JobState] = {
    "NotStarted": JobState.QUEUED,
    "Starting": JobState.QUEUED,
    "Provisioning": JobState.QUEUED,
    "Preparing": JobState.QUEUED,
    "Queued": JobState.QUEUED,
    # a paused job holds its place and is started again by the service
    "Paused": JobState.QUEUED,
    "Running": JobState.RUNNING,
    # the node stopped reporting: the service ends the job or hears from it again
    "NotResponding": JobState.RUNNING,
    # the service has lost sight of it for now; our time limit ends such a job
    "Unknown": JobState.RUNNING,
    "Finalizing": JobState.RUNNING,
    "CancelRequested": JobState.CANCELLING,
    "Completed": JobState.SUCCEEDED,
    "Failed": JobState.FAILED,
    "Canceled": JobState.CANCELLED,
}

#: Whether an endpoint or deployment in that state is ready; None while it changes.
PROVISIONED: Mapping[str, bool | None] = {
    "Creating": None,
    "Updating": None,
    "Scaling": None,
    "Deleting": None,
    "Succeeded": True,
    "Failed": False,
    "Canceled": False,
}


def known(table: Mapping[str, _S], state: object, what: str) -> _S:
    """What a vendor's state means.

    Raises:
        PlatformRefusedError: it is not in the table.
    """
    name = str(state.value) if isinstance(state, Enum) else str(state)
    try:
        return table[name]
    except KeyError:
        raise PlatformRefusedError(
            f"{what} is in a state we do not know: {name!r}",
            remedy="Update ml-pipeline, or add the state to adapters/azureml/states.py.",
        ) from None
