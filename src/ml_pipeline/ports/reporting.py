"""Reports and messages."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ml_pipeline.domain.evidence import RunRecord


class ReportWriter(Protocol):
    """Turns a run's evidence into pages."""

    def write(self, run: RunRecord, evidence: Path, target: Path) -> Sequence[Path]:
        """Write `report.html`, `report.md`, `junit.xml` and `run.json` to `target`.

        Args:
            run: the run as far as it got.
            evidence: the run's folder, to read artifacts from.
            target: an existing folder.
        """


class Notifier(Protocol):
    """Tells people."""

    def send(self, run: RunRecord) -> str:
        """Send the summary; where it went, for the evidence.

        Raises:
            PlatformUnavailableError: it could not be delivered.
        """
