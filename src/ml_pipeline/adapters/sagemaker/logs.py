"""The last lines a job or a deployment wrote, from CloudWatch Logs."""

from ml_pipeline.adapters.sagemaker.client import Clients
from ml_pipeline.domain.errors import PipelineError

_LINES = 20


def last_lines(clients: Clients, group: str, stream_prefix: str) -> list[str]:
    """The last lines of the streams that begin with a prefix.

    Logs only explain an error that is being told already: when they cannot be read, that is said
    in their place.
    """
    try:
        streams = clients.call(
            "logs", "describe_log_streams", logGroupName=group, logStreamNamePrefix=stream_prefix
        )["logStreams"]
        lines: list[str] = []
        for one in streams:
            events = clients.call(
                "logs", "get_log_events", logGroupName=group,
                logStreamName=one["logStreamName"], limit=_LINES, startFromHead=False,
            )["events"]  # fmt: skip
            lines += [str(event["message"]) for event in events]
    except PipelineError as error:
        return [f"(its log in {group} could not be read: {error})"]
    return lines[-_LINES:]
