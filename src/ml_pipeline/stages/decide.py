"""Is training due: something changed, drifted or aged, and the cost guard lets it."""

from collections.abc import Callable
from datetime import datetime

from ml_pipeline.domain.due import Situation, decide
from ml_pipeline.domain.evidence import Check, Outcome, RunRecord, StageOutcome, Status
from ml_pipeline.domain.policies.gate import RetrainPolicy
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.evidence import RunOptions, RunStore, StageFolder
from ml_pipeline.ports.registry import ModelVersion
from ml_pipeline.ports.training import TrainingPlatform

#: A run that came to one of these judged its inputs: the same inputs need no second verdict.
_VERDICTS = {Outcome.PROMOTED, Outcome.NO_IMPROVEMENT, Outcome.ROLLED_BACK}


def run(
    *,
    stage: StageFolder,
    retrain: RetrainPolicy,
    training: TrainingPlatform,
    runs: RunStore,
    options: RunOptions,
    clock: Clock,
    project: str,
    champion_hint: Callable[[], ModelVersion | None],
) -> StageOutcome:
    """End the run with "nothing to do" unless training is due and affordable."""
    champion = champion_hint()
    drifted = stage.result("drift").values.get("drifted", [])
    seen = Situation(
        now=clock.now(),
        has_champion=champion is not None,
        champion_since=champion.created_at if champion else None,
        judged_in=_judged_in(stage, runs, options),
        last_trained=_last_trained(runs, training, project, stage.run_id, options),
        last_failed=_last_failed(stage, runs, options),
        running_jobs=[
            job.ref.name for job in training.running(project) if job.run_id != stage.run_id
        ],
        drifted=[str(name) for name in drifted] if isinstance(drifted, list) else [],
        forced=options.force,
        reason=options.reason,
    )
    decision = decide(retrain, seen)
    return StageOutcome(
        status=Status.PASSED,
        outcome="" if decision.train else Outcome.NOTHING_TO_DO,
        message=decision.message,
        checks=(Check(name="training is due", passed=True, value=str(decision.train)),),
        values={"train": decision.train},
    )


def _judged_in(stage: StageFolder, runs: RunStore, options: RunOptions) -> str | None:
    ours = _asked(
        options.source_digest, options.settings_digest, stage.result("fetch-data").artifacts
    )
    for record in runs.history():
        if record.outcome in _VERDICTS and _of(record) == ours:
            return record.run_id
    return None


def _last_failed(stage: StageFolder, runs: RunStore, options: RunOptions) -> bool:
    """Whether the newest run that trained gave no answer, nor would give ours."""
    ours = _asked(
        options.source_digest, options.settings_digest, stage.result("fetch-data").artifacts
    )
    for record in runs.history():
        if any(one.stage == "train" and one.status is not Status.SKIPPED for one in record.stages):
            if record.outcome is Outcome.INTERRUPTED:
                return True
            return record.outcome not in _VERDICTS and _of(record) != ours
    return False


def _asked(source: object, settings: object, artifacts: object) -> tuple[object, ...]:
    rows = [one for one in artifacts if one.path in {"training.csv", "holdout.csv"}]  # type: ignore[attr-defined]
    return (source, settings, *sorted((one.path, one.sha256) for one in rows))


def _of(record: RunRecord) -> tuple[object, ...] | None:
    for result in record.stages:
        if result.stage == "fetch-data":
            asked = record.options
            return _asked(
                asked.get("source_digest"), asked.get("settings_digest"), result.artifacts
            )
    return None


def _last_trained(
    runs: RunStore,
    training: TrainingPlatform,
    project: str,
    run_id: str,
    options: RunOptions,
) -> datetime | None:
    """When a training was last paid for, but not by this run or a bootstrap on its behalf."""
    if options.bootstrap:
        return None
    trained = training.last_submitted(project)
    if trained is None:
        return None
    for record in runs.history():
        if record.run_id == f"{run_id}-bootstrap":
            return None
    return trained
