"""Vertex AI's states of a job in ours.

Source:
    `google.cloud.aiplatform_v1.types.JobState`; a test holds the table against its members.
"""

from google.cloud.aiplatform_v1.types import JobState as VertexState

from ml_pipeline.domain.errors import PlatformRefusedError
from ml_pipeline.ports.training import JobState

#: JOB_STATE_UNSPECIFIED is no state, but the lack of one.
STATES: dict[int, JobState] = {
    VertexState.JOB_STATE_QUEUED: JobState.QUEUED,
    VertexState.JOB_STATE_PENDING: JobState.QUEUED,
    VertexState.JOB_STATE_PAUSED: JobState.QUEUED,
    VertexState.JOB_STATE_RUNNING: JobState.RUNNING,
    VertexState.JOB_STATE_UPDATING: JobState.RUNNING,
    VertexState.JOB_STATE_SUCCEEDED: JobState.SUCCEEDED,
    VertexState.JOB_STATE_FAILED: JobState.FAILED,
    VertexState.JOB_STATE_EXPIRED: JobState.FAILED,
    VertexState.JOB_STATE_PARTIALLY_SUCCEEDED: JobState.FAILED,
    VertexState.JOB_STATE_CANCELLING: JobState.CANCELLING,
    VertexState.JOB_STATE_CANCELLED: JobState.CANCELLED,
}


def state_of(name: str, state: int) -> JobState:
    """Our word for a job's state.

    Raises:
        PlatformRefusedError: Vertex AI says something we do not know.
    """
    known = STATES.get(state)
    if known is None:
        raise PlatformRefusedError(
            f"Vertex AI job {name} is in a state we do not know: {state!r}",
            remedy="Install a newer ml-pipeline, which may know it.",
        )
    return known
