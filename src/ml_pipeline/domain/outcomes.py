"""How stages end and what runs come to: without pydantic, for the module loads it."""

from collections.abc import Mapping
from enum import StrEnum

from ml_pipeline.domain.errors import ExitCode


class Status(StrEnum):
    """How a stage ended. Failed, inconclusive and error are different things."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    WAITING = "waiting"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    INTERRUPTED = "interrupted"


class Outcome(StrEnum):
    """What a whole run came to; whoever acts on an exit code also reads this."""

    PROMOTED = "promoted"
    NOTHING_TO_DO = "nothing-to-do"
    AWAITING_APPROVAL = "awaiting-approval"
    CHECKS_PASSED = "checks-passed"
    NO_IMPROVEMENT = "no-improvement"
    CHECKS_RED = "checks-red"
    ROLLED_BACK = "rolled-back"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    INTERRUPTED = "interrupted"


#: The exit code of each outcome; an `error` carries the code of its PipelineError instead.
EXIT_CODES: Mapping[Outcome, ExitCode] = {
    Outcome.PROMOTED: ExitCode.DONE,
    Outcome.NOTHING_TO_DO: ExitCode.DONE,
    Outcome.AWAITING_APPROVAL: ExitCode.DONE,
    Outcome.CHECKS_PASSED: ExitCode.DONE,
    Outcome.NO_IMPROVEMENT: ExitCode.NO_IMPROVEMENT,
    Outcome.CHECKS_RED: ExitCode.CHECKS_RED,
    Outcome.ROLLED_BACK: ExitCode.ROLLED_BACK,
    Outcome.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    Outcome.ERROR: ExitCode.BUG,
    Outcome.INTERRUPTED: ExitCode.INTERRUPTED,
}
