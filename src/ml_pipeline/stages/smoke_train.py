"""Train on a few hundred rows, twice, and hold the result against the training contract."""

from collections.abc import Mapping
from pathlib import Path

from ml_pipeline.domain.commands import fill, hyperparameter_words
from ml_pipeline.domain.errors import DataError
from ml_pipeline.domain.evidence import Check, StageOutcome, judged
from ml_pipeline.domain.likelihoods import Predictions, every_number, points
from ml_pipeline.domain.metrics import needs_probabilities, read
from ml_pipeline.domain.policies.data import DataPolicy
from ml_pipeline.domain.policies.gate import MetricPolicy
from ml_pipeline.domain.policies.training import Hyperparameter, PackagePolicy, TrainPolicy
from ml_pipeline.domain.reported_metrics import reported_metrics
from ml_pipeline.ports.evidence import StageFolder
from ml_pipeline.ports.models import TrainedModels
from ml_pipeline.ports.runner import ProjectRunner, run_or_fail
from ml_pipeline.ports.tables import TableStore
from ml_pipeline.ports.training_output import NOTHING, metrics_text, what_was_left
from ml_pipeline.stages.fetch_data import given_to_training

_PREDICTED_ROWS = 3
_DATA_LIMIT_S = 600
#: Relative to 1 + |prediction|: what two runs of one seeded training may differ by.
_SAME = 1e-9


def run(
    *,
    stage: StageFolder,
    data: DataPolicy,
    train: TrainPolicy,
    package: PackagePolicy,
    metric: MetricPolicy,
    hyperparameters: Mapping[str, Hyperparameter],
    runner: ProjectRunner,
    tables: TableStore,
    trained: TrainedModels,
) -> StageOutcome:
    """Train small with the project's own command: artifact, prediction and metric contract.

    The small model is packaged as the real one will be, so that one that cannot be served is
    found before a training is paid for.
    """
    runner.prepare()
    rows = _rows(stage, data, train, runner, tables)
    words = hyperparameter_words(
        {**hyperparameters, **train.smoke_hyperparameters}, train.hyperparameter_style
    )
    few = stage.path / "few.csv"
    tables.sample(rows, few, rows=_PREDICTED_ROWS, seed=train.smoke_seed)
    checks: list[Check] = []
    predictions: list[Predictions] = []
    for turn in ("first", "second"):
        output = stage.path / turn
        output.mkdir()
        argv = (*fill(train.command, data=rows, output=output), *words)
        log = stage.path / f"{turn}.log"
        result = runner.run(argv, log=log, time_limit_s=train.smoke_time_limit_s)
        checks += _left_behind(turn, output, result.exit_code, result.tail(15), train, metric)
        if not all(check.passed for check in checks):
            return _outcome(stage, checks)
        artifact = output / train.artifact
        predictions.append(
            trained.predict(
                artifact,
                few,
                data=data,
                train=train,
                work=output,
                probabilities=needs_probabilities(metric.name),
            )
        )
    checks += _predicted(predictions, metric)
    if all(check.passed for check in checks):
        checks.append(_packaged(stage, rows, data, train, package, tables, trained))
    return _outcome(stage, checks)


def _packaged(  # noqa: PLR0917 - the stage's own
    stage: StageFolder,
    rows: Path,
    data: DataPolicy,
    train: TrainPolicy,
    package: PackagePolicy,
    tables: TableStore,
    trained: TrainedModels,
) -> Check:
    compared = stage.path / "compared.csv"
    tables.sample(rows, compared, rows=package.parity_rows, seed=train.smoke_seed)
    info = trained.package(
        stage.path / "first" / train.artifact,
        compared,
        stage.path / "package",
        data=data,
        train=train,
        package=package,
        work=stage.path,
    )
    return Check(name="the model can be packaged", passed=True, value=info.format)


def _outcome(stage: StageFolder, checks: list[Check]) -> StageOutcome:
    red = [check for check in checks if not check.passed]
    message = (
        f"check failed: {red[0].name}: {red[0].message}" if red else "the training contract holds"
    )
    logs = tuple(path for path in sorted(stage.path.glob("*.log")))
    status = judged(tuple(checks))
    return StageOutcome(status=status, message=message, checks=tuple(checks), artifacts=logs)


def _rows(
    stage: StageFolder,
    data: DataPolicy,
    train: TrainPolicy,
    runner: ProjectRunner,
    tables: TableStore,
) -> Path:
    rows = stage.path / f"smoke.{data.ending}"
    if data.generate is None:
        training = stage.file("fetch-data", given_to_training(data))
        tables.sample(training, rows, rows=train.smoke_rows, seed=train.smoke_seed)
        return rows
    made = stage.path / f"generated.{data.raw_ending}" if data.prepare else rows
    argv = fill(data.generate, rows=train.smoke_rows, output=made, seed=train.smoke_seed)
    log = stage.path / "generate.log"
    run_or_fail(runner, argv, log=log, key="data.generate", time_limit_s=_DATA_LIMIT_S)
    if data.prepare:
        argv = fill(data.prepare, input=made, output=rows)
        log = stage.path / "prepare.log"
        run_or_fail(runner, argv, log=log, key="data.prepare", time_limit_s=_DATA_LIMIT_S)
    tables.check_columns(rows, data)
    return rows


def _left_behind(
    turn: str, output: Path, exit_code: int, tail: str, train: TrainPolicy, metric: MetricPolicy
) -> list[Check]:
    ran = Check(
        name=f"{turn} training exits 0",
        passed=exit_code == 0,
        value=float(exit_code),
        limit=0.0,
        unit="exit code",
        message="" if exit_code == 0 else tail,
    )
    if not ran.passed:
        return [ran]
    found = what_was_left(output, train.artifact)
    left = Check(
        name=f"{turn} training leaves {train.artifact}",
        passed=not found,
        message=found and f"{found} called {train.artifact} in {{output}}",
    )
    return [ran, left, _reported(turn, output, train.metrics, metric)]


def _reported(turn: str, output: Path, file: str, metric: MetricPolicy) -> Check:
    name = f"{turn} training reports finite metrics"
    if (found := what_was_left(output, file)) == NOTHING:
        return Check(name=name, passed=False, message=f"{found} called {file} in {{output}}")
    try:
        text = metrics_text(output, file, where="it").decode()
        metrics = reported_metrics(text, where=file)
        if metric.reported_as is None:
            return Check(name=name, passed=True, value=float(len(metrics)), unit="metrics")
        value = read(metric, metrics, key=metric.reported_as, whose="the smoke training")
    except (UnicodeDecodeError, DataError) as error:
        return Check(name=name, passed=False, message=str(error))
    return Check(name=name, passed=True, value=value, limit=f"{metric.min:g} to {metric.max:g}")


def _predicted(predictions: list[Predictions], metric: MetricPolicy) -> list[Check]:
    first = points(predictions[0])
    count = len(first)
    inside = all(metric.prediction_min <= value <= metric.prediction_max for value in first)
    twice = zip(*map(every_number, predictions), strict=True)
    worst = max((abs(a - b) / (1 + abs(a)) for a, b in twice), default=0.0)
    return [
        Check(
            name=f"predictions for {_PREDICTED_ROWS} rows have shape ({_PREDICTED_ROWS},)",
            passed=count == _PREDICTED_ROWS,
            value=float(count),
            limit=float(_PREDICTED_ROWS),
            message="" if count == _PREDICTED_ROWS else f"the model gave {count} predictions",
        ),
        Check(
            name="predictions lie in the declared range",
            passed=inside,
            value=f"{min(first):g} to {max(first):g}",
            limit=f"{metric.prediction_min:g} to {metric.prediction_max:g}",
        ),
        Check(
            name="twice the same result",
            passed=worst <= _SAME,
            value=worst,
            limit=_SAME,
            message="" if worst <= _SAME else "fix the seed, or sort what threads leave unordered",
        ),
    ]
