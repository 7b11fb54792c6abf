"""Tell people, when the outcome is one they asked to hear of."""

from collections.abc import Callable

from ml_pipeline.domain.errors import PlatformUnavailableError
from ml_pipeline.domain.evidence import Check, RunRecord, StageOutcome, Status
from ml_pipeline.domain.policies.release import NotifyPolicy
from ml_pipeline.ports.reporting import Notifier


def run(
    *, notify: NotifyPolicy, notifier: Notifier, so_far: Callable[[], RunRecord]
) -> StageOutcome:
    """Send the summary; a message that cannot be delivered never changes a verdict."""
    record = so_far()
    if record.outcome not in notify.on:
        message = f"nobody asked to hear of {record.outcome} (notify.on)"
        return StageOutcome(status=Status.PASSED, message=message)
    try:
        where = notifier.send(record)
    except PlatformUnavailableError as error:
        check = Check(name="delivered", passed=False, message=str(error))
        return StageOutcome(
            status=Status.PASSED, message=f"not delivered: {error}", checks=(check,)
        )
    return StageOutcome(status=Status.PASSED, message=where)
