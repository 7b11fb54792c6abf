"""The servable form of the model, equal in what it predicts, with what its successors need."""

import json
from pathlib import Path

from ml_pipeline.domain.evidence import Check, StageOutcome, Status
from ml_pipeline.domain.policies.data import DataPolicy
from ml_pipeline.domain.policies.gate import DriftPolicy
from ml_pipeline.domain.policies.training import PackagePolicy, TrainPolicy
from ml_pipeline.ports.evidence import StageFolder
from ml_pipeline.ports.models import TrainedModels
from ml_pipeline.ports.registry import BASELINE, FINGERPRINTS, PACKAGE
from ml_pipeline.ports.tables import TableStore

BUNDLE = "bundle"


def run(
    *,
    stage: StageFolder,
    data: DataPolicy,
    train: TrainPolicy,
    package: PackagePolicy,
    drift: DriftPolicy,
    tables: TableStore,
    trained: TrainedModels,
) -> StageOutcome:
    """Convert, compare predictions, and lay the bundle that is registered."""
    bundle = stage.path / BUNDLE
    bundle.mkdir()
    artifact = stage.file("train", str(stage.result("train").values["model"]))
    info = trained.package(
        artifact,
        stage.file("evaluate", "comparable.csv"),
        bundle / PACKAGE,
        data=data,
        train=train,
        package=package,
        work=stage.path,
    )
    training = stage.file("fetch-data", "training.csv")
    baseline = tables.baseline(training, data, bins=drift.bins)
    (bundle / BASELINE).write_text(json.dumps(baseline), encoding="utf-8")
    fingerprints = stage.file("fetch-data", FINGERPRINTS)
    (bundle / FINGERPRINTS).write_bytes(fingerprints.read_bytes())
    parity = Check(
        name="packaged and trained model predict the same",
        passed=True,
        value=info.worst_difference,
        limit=package.parity_tolerance,
        unit="relative to 1 + |prediction|",
    )
    return StageOutcome(
        status=Status.PASSED,
        message=f"{info.format}, {info.bytes / 1024:.0f} KiB",
        checks=(parity,),
        artifacts=tuple(_files(bundle)),
        values={"format": info.format, "digest": info.digest, "bytes": info.bytes},
    )


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
