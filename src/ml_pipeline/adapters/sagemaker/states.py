"""SageMaker's states, and what they are to the pipeline."""

from collections.abc import Mapping

from ml_pipeline.domain.errors import PlatformRefusedError
from ml_pipeline.ports.training import JobState

#: Source: TrainingJobStatus, SageMaker API reference; a test holds it against the SDK's list.
JOB: Mapping[str, JobState] = {
    "InProgress": JobState.RUNNING,
    "Completed": JobState.SUCCEEDED,
    "Failed": JobState.FAILED,
    "Stopping": JobState.CANCELLING,
    "Stopped": JobState.CANCELLED,
    # it had ended before somebody deleted it, so there is nothing to wait for
    "Deleting": JobState.CANCELLED,
}
#: Of a job in progress. Source: SecondaryStatus, SageMaker API reference.
IN_PROGRESS: Mapping[str, JobState] = {
    "Starting": JobState.QUEUED,
    "Pending": JobState.QUEUED,
    "LaunchingMLInstances": JobState.QUEUED,
    "PreparingTrainingStack": JobState.QUEUED,
    "Downloading": JobState.QUEUED,
    "DownloadingTrainingImage": JobState.QUEUED,
    "Interrupted": JobState.QUEUED,
    "Restarting": JobState.QUEUED,
    "Training": JobState.RUNNING,
    "Updating": JobState.RUNNING,
    "Uploading": JobState.RUNNING,
    "Stopping": JobState.CANCELLING,
    # written a moment before the status itself changes
    "Completed": JobState.RUNNING,
    "Failed": JobState.RUNNING,
    "Stopped": JobState.CANCELLING,
    "MaxRuntimeExceeded": JobState.CANCELLING,
    "MaxWaitTimeExceeded": JobState.CANCELLING,
}
#: A stopped job nobody asked to stop: SageMaker's own limits.
LIMITS = frozenset({"MaxRuntimeExceeded", "MaxWaitTimeExceeded"})

#: Whether an endpoint in this state will change by itself. Source: EndpointStatus, ibid.
CHANGING: Mapping[str, bool] = {
    "Creating": True,
    "Updating": True,
    "SystemUpdating": True,
    "RollingBack": True,
    "Deleting": True,
    "InService": False,
    "OutOfService": False,
    "Failed": False,
    "UpdateRollbackFailed": False,
}
#: States in which an endpoint answers requests.
SERVING = frozenset({"InService", "Updating", "SystemUpdating", "RollingBack"})


def job_state(status: str, secondary: str) -> JobState:
    """The state of a job.

    Raises:
        PlatformRefusedError: SageMaker told a state that is not in its own documentation of it.
    """
    try:
        if status == "InProgress":
            return IN_PROGRESS[secondary]
        if status == "Stopped" and secondary in LIMITS:
            return JobState.FAILED
        return JOB[status]
    except KeyError:
        raise _unknown("training job", f"{status} ({secondary})") from None


def changing(status: str) -> bool:
    """Whether an endpoint will change by itself.

    Raises:
        PlatformRefusedError: an unknown state.
    """
    try:
        return CHANGING[status]
    except KeyError:
        raise _unknown("endpoint", status) from None


def _unknown(what: str, state: str) -> PlatformRefusedError:
    return PlatformRefusedError(
        f"SageMaker says that a {what} is in a state nobody knows: {state}",
        remedy="Look at it in the console, and report the state.",
    )
