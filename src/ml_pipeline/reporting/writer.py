"""Writes the report of a run: HTML, Markdown, JUnit and JSON."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ml_pipeline.domain.errors import StorageError
from ml_pipeline.domain.evidence import RunRecord
from ml_pipeline.reporting.cleaning import presentable, without_secrets

if TYPE_CHECKING:
    from ml_pipeline.ports.reporting import ReportWriter


class FileReportWriter:
    """Speaks `ports.reporting.ReportWriter`.

    Args:
        secrets: values that must not appear in anything written, as a last line of defence;
            ones shorter than 8 characters are left alone.
    """

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        self._secrets = tuple(secrets)

    def write(self, run: RunRecord, evidence: Path, target: Path) -> Sequence[Path]:
        """Write the four files whole or not at all, each.

        Raises:
            StorageError: a file could not be written.
        """
        # Here, not above: 30 ms that `--help` and the other stages need not wait for.
        from ml_pipeline.reporting.junit import junit  # noqa: PLC0415
        from ml_pipeline.reporting.markdown import markdown  # noqa: PLC0415
        from ml_pipeline.reporting.page import render  # noqa: PLC0415
        from ml_pipeline.reporting.recordings import Recordings  # noqa: PLC0415

        safe = without_secrets(run, self._secrets)
        shown = presentable(safe)
        recordings = Recordings(run=shown, folder=evidence, secrets=self._secrets)
        pages = {
            "report.html": render(recordings),
            "report.md": markdown(recordings),
            "junit.xml": junit(shown).decode(),
            "run.json": f"{safe.model_dump_json(indent=2)}\n",
        }
        return [_write(target / name, content) for name, content in pages.items()]


def _write(path: Path, content: str) -> Path:
    """Never half a file under its name, also when the disk is full."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(content, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise StorageError(
            f"{path} could not be written: {error.strerror or error}",
            remedy="Free space or allow writing there, then run `ml-pipeline report` again.",
        ) from error
    return path


if TYPE_CHECKING:
    _speaks: type[ReportWriter] = FileReportWriter
