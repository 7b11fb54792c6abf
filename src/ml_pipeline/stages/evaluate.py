"""Challenger, champion and every kept version, scored by us on the same held-out rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from ml_pipeline.domain.evidence import Check, StageOutcome, judged
from ml_pipeline.domain.likelihoods import Predictions, points
from ml_pipeline.domain.metrics import (
    bounded_predictions,
    compute,
    difference_interval,
    naive_predictions,
    needs_probabilities,
)
from ml_pipeline.domain.policies.data import DataPolicy
from ml_pipeline.domain.policies.gate import MetricPolicy
from ml_pipeline.domain.policies.training import TrainPolicy
from ml_pipeline.ports.evidence import StageFolder
from ml_pipeline.ports.models import PackagedModels, TrainedModels
from ml_pipeline.ports.registry import FINGERPRINTS, PACKAGE, Bundles, ModelRegistry, ModelVersion
from ml_pipeline.ports.tables import TableStore

ROWS = "comparable.csv"
PREDICTIONS = "predictions.json"
_SHOWN_ROWS = 2000


@dataclass(frozen=True, slots=True)
class _Scored:
    version: ModelVersion
    predictions: Predictions
    metric: float


def run(
    *,
    stage: StageFolder,
    model: str,
    data: DataPolicy,
    train: TrainPolicy,
    metric: MetricPolicy,
    registry: ModelRegistry,
    bundles: Bundles,
    tables: TableStore,
    trained: TrainedModels,
    packaged: PackagedModels,
) -> StageOutcome:
    """Score every model on the rows none of them was trained on."""
    champion = registry.champion(model)
    kept = [one for one in registry.versions(model) if _was_accepted(one, champion)]
    rows = stage.path / ROWS
    comparable = tables.comparable(
        stage.file("fetch-data", "holdout.csv"),
        data,
        seen=[
            stage.file("fetch-data", FINGERPRINTS),
            *(bundles.folder(one) / FINGERPRINTS for one in kept),
        ],
        target=rows,
    )
    values: dict[str, JsonValue] = {
        "rows": comparable.rows,
        "seen_rows": comparable.seen_rows,
        "cutoff": stage.result("fetch-data").values["cutoff"],
        "champion": champion.version if champion else None,
    }
    if comparable.rows == 0:
        message = f"all {comparable.seen_rows} held-out rows were seen in training"
        return StageOutcome(
            status=judged(_no_rows(message)),
            outcome="inconclusive",
            message=message,
            checks=_no_rows(message),
            values=values,
        )
    truth = tables.column(rows, data.target, data.classes)
    likely = needs_probabilities(metric.name)
    artifact = stage.file("train", str(stage.result("train").values["model"]))
    ours = trained.predict(
        artifact, rows, data=data, train=train, work=stage.path, probabilities=likely
    )
    scored = [_score(one, rows, truth, metric, bundles, packaged) for one in kept]
    baseline = _baseline(stage, data, metric, tables, truth)
    return _outcome(stage, metric, truth, ours, scored, champion, baseline, values)


def _no_rows(message: str) -> tuple[Check, ...]:
    return (Check(name="comparable rows", passed=False, value=0.0, message=message),)


def _was_accepted(version: ModelVersion, champion: ModelVersion | None) -> bool:
    """Versions that served: one that was refused sets no standard."""
    is_champion = champion is not None and version.version == champion.version
    return is_champion or version.served


def _score(
    version: ModelVersion,
    rows: Path,
    truth: Sequence[float],
    metric: MetricPolicy,
    bundles: Bundles,
    packaged: PackagedModels,
) -> _Scored:
    package = bundles.folder(version) / PACKAGE
    likely = needs_probabilities(metric.name)
    predictions = packaged.predict(package, rows, probabilities=likely)
    return _Scored(version, predictions, compute(metric.name, truth, predictions))


def _baseline(
    stage: StageFolder,
    data: DataPolicy,
    metric: MetricPolicy,
    tables: TableStore,
    truth: Sequence[float],
) -> float:
    training = stage.file("fetch-data", "training.csv")
    target = tables.column(training, data.target, data.classes)
    return compute(metric.name, truth, naive_predictions(metric.name, target, len(truth)))


def _outcome(  # noqa: PLR0917 - one call site: the parts of one table
    stage: StageFolder,
    metric: MetricPolicy,
    truth: Sequence[float],
    ours: Predictions,
    scored: Sequence[_Scored],
    champion: ModelVersion | None,
    baseline: float,
    values: Mapping[str, JsonValue],
) -> StageOutcome:
    metrics = {"challenger": compute(metric.name, truth, ours), "baseline": baseline}
    theirs: Predictions | None = None
    for one in scored:
        metrics[f"version.{one.version.version}"] = one.metric
        if champion is not None and one.version.version == champion.version:
            metrics["champion"], theirs = one.metric, one.predictions
    if theirs is not None:
        interval = difference_interval(metric.name, truth, ours, theirs, seed=0)
        if interval is not None:
            metrics["interval_low"], metrics["interval_high"] = interval
    file = stage.path / PREDICTIONS
    file.write_text(json.dumps(_shown(truth, ours, theirs)), encoding="utf-8")
    inside = bounded_predictions(metric, ours)
    message = f"{metric.name} {metrics['challenger']:.4g} on {len(truth)} held-out rows"
    if "champion" in metrics:
        message += f", the champion's is {metrics['champion']:.4g}"
    return StageOutcome(
        status=judged((inside,)),
        message=message if inside.passed else inside.message,
        checks=(inside,),
        metrics=metrics,
        artifacts=(stage.path / ROWS, file),
        values=values,
    )


def _shown(
    truth: Sequence[float], ours: Predictions, theirs: Predictions | None
) -> dict[str, list[float] | None]:
    step = max(1, len(truth) // _SHOWN_ROWS)
    return {
        "truth": [float(value) for value in truth[::step]],
        "challenger": [float(value) for value in points(ours)[::step]],
        "champion": None if theirs is None else [float(value) for value in points(theirs)[::step]],
    }
