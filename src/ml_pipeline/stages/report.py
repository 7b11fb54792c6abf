"""The report, whatever happened."""

from collections.abc import Callable

from ml_pipeline.domain.evidence import RunRecord, StageOutcome, Status
from ml_pipeline.ports.evidence import RunStore, StageFolder
from ml_pipeline.ports.reporting import ReportWriter


def run(
    *,
    stage: StageFolder,
    runs: RunStore,
    reports: ReportWriter,
    so_far: Callable[[], RunRecord],
) -> StageOutcome:
    """Write HTML, Markdown, JUnit and JSON from the evidence there is."""
    files = reports.write(so_far(), runs.folder(stage.run_id), stage.path)
    html = next((path.name for path in files if path.suffix == ".html"), "")
    return StageOutcome(
        status=Status.PASSED,
        message=f"{len(files)} files",
        artifacts=tuple(files),
        values={"html": html},
    )
