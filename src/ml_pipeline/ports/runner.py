"""The project's own commands, in the project's own environment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


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
        self, argv: Sequence[str], *, log: Path, time_limit_s: float,
        extra: Sequence[str] = (), variables: Mapping[str, str] | None = None,
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
