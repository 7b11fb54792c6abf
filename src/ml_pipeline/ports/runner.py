"""The project's own commands, in the project's own environment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ml_pipeline.domain.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """How a command ended; `log` holds both its streams."""

    argv: tuple[str, ...]
    exit_code: int
    duration_s: float
    log: Path

    def tail(self, lines: int = 20) -> str:
        """The last lines it printed."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])


class ProjectRunner(Protocol):
    """Runs commands of the project; the pipeline's own packages are not visible to them."""

    def prepare(self) -> str:
        """Make the project's environment, or find it made; its digest.

        Raises:
            ConfigurationError: the project cannot be installed; says why.
            PlatformUnavailableError: the package index did not answer.
        """

    def run(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        time_limit_s: float,
        extra: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
    ) -> CommandResult:
        """Run a command in the project's folder; its own exit code is a value, not an error.

        `python` and the environment's own programs are found in the environment.

        Args:
            argv: no shell; placeholders are already filled in.
            log: file both streams go to.
            time_limit_s: seconds, after which it is stopped with all it started.
            extra: requirement lines laid over the environment for this command only.
            variables: environment variables for this command only.

        Raises:
            ConfigurationError: there is no such program.
            TimeLimitError: it ran longer; it and all it started are gone.
            InterruptedRunError: the run was asked to stop; likewise.
        """


def run_or_fail(
    runner: ProjectRunner, argv: Sequence[str], *, log: Path, key: str, time_limit_s: float
) -> CommandResult:
    """Run one of the project's data commands, which has to exit 0.

    Args:
        runner: the project's environment.
        argv: placeholders are filled in.
        log: file both streams go to.
        key: the setting the command stands in, for the message.
        time_limit_s: seconds, see `ProjectRunner.run`.

    Raises:
        DataError: it exited with anything else.
    """
    result = runner.run(argv, log=log, time_limit_s=time_limit_s)
    if result.exit_code != 0:
        raise DataError(
            f"{key} exited with {result.exit_code}: {result.tail(5)}",
            remedy=f"Run it by hand and mend it; its whole output is in {log}.",
        )
    return result
