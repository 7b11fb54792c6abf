"""Schema, ranges and completeness of all rows of this run."""

from ml_pipeline.domain.evidence import StageOutcome, judged
from ml_pipeline.domain.policies.data import DataPolicy
from ml_pipeline.ports.evidence import StageFolder
from ml_pipeline.ports.tables import TableStore


def run(*, stage: StageFolder, data: DataPolicy, tables: TableStore) -> StageOutcome:
    """Hold every row against `data.columns`, one check a question."""
    name = str(stage.result("fetch-data").values["table"])
    checks = tuple(tables.validate(stage.file("fetch-data", name), data))
    red = [check.name for check in checks if not check.passed]
    message = f"red: {', '.join(red)}" if red else f"{len(checks)} checks passed"
    return StageOutcome(status=judged(checks), message=message, checks=checks)
