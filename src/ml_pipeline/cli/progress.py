"""What a run shows while it goes: one line a stage, in place on a terminal, plain elsewhere."""

import sys
from typing import Any, Protocol

from ml_pipeline.domain.evidence import StageResult, Status
from ml_pipeline.pipeline import StageSpec
from ml_pipeline.reporting.summary import said

_MARKS = {
    Status.PASSED: ("ok", "green"),
    Status.FAILED: ("RED", "red"),
    Status.SKIPPED: ("skip", "dim"),
    Status.WAITING: ("wait", "yellow"),
    Status.INCONCLUSIVE: ("???", "yellow"),
    Status.ERROR: ("ERR", "red"),
    Status.INTERRUPTED: ("stop", "yellow"),
}


class Progress(Protocol):
    """Told of every stage's start (result None) and end."""

    def __call__(self, spec: StageSpec, result: StageResult | None) -> None:
        """Show it."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class PlainProgress:
    """One line when a stage ends; for CI logs and files."""

    def __call__(self, spec: StageSpec, result: StageResult | None) -> None:
        """Show a finished stage."""
        if result is None:
            return
        mark, _ = _MARKS[result.status]
        print(line_of(spec, result, mark), flush=True)  # noqa: T201 - this is the user's terminal

    def close(self) -> None:
        """Nothing to leave."""


class LiveProgress:
    """Finished stages as lines, running ones with a spinner and their seconds below."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import Progress as Bars
        from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

        self._bars = Bars(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(),
            console=Console(), transient=True,
        )  # fmt: skip
        self._tasks: dict[str, Any] = {}

    def __call__(self, spec: StageSpec, result: StageResult | None) -> None:
        """Show a started or finished stage."""
        from rich.text import Text

        if result is None:
            self._bars.start()
            self._tasks[spec.id] = self._bars.add_task(spec.title, total=None)
            return
        if spec.id in self._tasks:
            self._bars.remove_task(self._tasks.pop(spec.id))
        mark, style = _MARKS[result.status]
        self._bars.console.print(Text(line_of(spec, result, mark), style=style), highlight=False)

    def close(self) -> None:
        """End the spinner."""
        self._bars.stop()


def line_of(spec: StageSpec, result: StageResult, mark: str) -> str:
    """A finished stage in one line."""
    adopted = " (adopted)" if result.adopted_from else ""
    return f"{mark:>4}  {spec.id:<18} {result.duration_s:7.2f} s{adopted}  {said(result.message)}"


def progress(*, plain: bool) -> Progress:
    """The one that fits: plain when asked, in CI, or when nobody looks."""
    return PlainProgress() if plain or not sys.stdout.isatty() else LiveProgress()
