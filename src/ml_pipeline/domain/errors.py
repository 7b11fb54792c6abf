"""Every error a user can mend, and every exit code the program ends with.

PipelineError
├─ ConfigurationError      4  settings, usage, a project that cannot be installed
├─ DataError               5  rows, schema, a metric that is absent or out of range
├─ ChecksFailedError       3  a check could not even be judged because its tool broke
├─ PlatformRefusedError    6  the platform said no: trying again changes nothing
├─ PlatformUnavailableError 7 the platform did not answer: try again
│  ├─ BusyError            7  somebody else holds what this run needs
│  └─ InterruptedCallError 130  a call that was not tried again, for the run was asked to stop
├─ StorageError            7  evidence could not be written
├─ TimeLimitError          8  our own limit passed; what was started has been cancelled
└─ InterruptedRunError   130  Ctrl-C, SIGTERM or a cancelled job
"""

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What `ml-pipeline` and `dagger call` end with; no tool's own code is passed through."""

    DONE = 0
    BUG = 1
    NO_IMPROVEMENT = 2
    CHECKS_RED = 3
    CONFIGURATION = 4
    DATA = 5
    REFUSED = 6
    UNAVAILABLE = 7
    TIME_LIMIT = 8
    ROLLED_BACK = 9
    INCONCLUSIVE = 10
    INTERRUPTED = 130


def installing(extra: str) -> str:
    """The remedy for packages that are not there.

    >>> installing("vertex")
    "Install the extra from this program's clone: uv tool install '/path/to/ml-pipeline[vertex]'."
    """
    path = f"/path/to/ml-pipeline[{extra}]"
    return f"Install the extra from this program's clone: uv tool install '{path}'."


class PipelineError(Exception):
    """Something a user can mend.

    Args:
        message: what is wrong, naming file, key and value where there are such.
        remedy: one imperative sentence.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.BUG
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


class ConfigurationError(PipelineError):
    """Settings or usage are wrong; nothing was started."""

    exit_code = ExitCode.CONFIGURATION


class DataError(PipelineError):
    """Rows, a schema or a metric cannot be used; nothing is guessed in their place."""

    exit_code = ExitCode.DATA


class ChecksFailedError(PipelineError):
    """A check's tool broke before it could judge."""

    exit_code = ExitCode.CHECKS_RED


class PlatformRefusedError(PipelineError):
    """The platform understood and said no."""

    exit_code = ExitCode.REFUSED


class PlatformUnavailableError(PipelineError):
    """The platform did not answer, or not in time."""

    exit_code = ExitCode.UNAVAILABLE
    retryable = True


class BusyError(PlatformUnavailableError):
    """Another run, platform or process holds what this one needs."""


class StorageError(PipelineError):
    """Evidence or state could not be written; what was written before is whole."""

    exit_code = ExitCode.UNAVAILABLE
    retryable = True


class TimeLimitError(PipelineError):
    """Our own time limit passed, and what had been started was cancelled."""

    exit_code = ExitCode.TIME_LIMIT


class InterruptedRunError(PipelineError):
    """The run was asked to stop."""

    exit_code = ExitCode.INTERRUPTED


class InterruptedCallError(InterruptedRunError, PlatformUnavailableError):
    """The run was asked to stop between two tries of a call.

    Whoever looks after calls that were not answered looks after this one: it may have been heard.
    """

    exit_code = ExitCode.INTERRUPTED
    retryable = True
