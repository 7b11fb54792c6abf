"""Staging: it answers, the project's integration tests pass, and it predicts what it should."""

from collections.abc import Sequence
from pathlib import Path

from ml_pipeline.domain.commands import fill
from ml_pipeline.domain.evidence import Check, StageOutcome, judged
from ml_pipeline.domain.likelihoods import points
from ml_pipeline.domain.policies.data import DataPolicy
from ml_pipeline.domain.policies.release import StagingPolicy
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.evidence import StageFolder
from ml_pipeline.ports.models import PackagedModels
from ml_pipeline.ports.registry import PACKAGE, STAGING, Bundles, ModelRegistry, version_of
from ml_pipeline.ports.runner import ProjectRunner
from ml_pipeline.ports.serving import ModelHost, deploy_and_wait
from ml_pipeline.ports.tables import TableStore

_TEST_LIMIT_S = 900


def run(
    *,
    stage: StageFolder,
    model: str,
    data: DataPolicy,
    staging: StagingPolicy,
    staging_host: ModelHost,
    registry: ModelRegistry,
    bundles: Bundles,
    packaged: PackagedModels,
    tables: TableStore,
    runner: ProjectRunner,
    clock: Clock,
) -> StageOutcome:
    """Deploy the registered version to staging and question it."""
    version = version_of(registry, model, stage.result("register").values)
    package = bundles.folder(version) / PACKAGE
    stage.journal("staging-deploying", version=version.version)
    limit_s = staging.health_time_limit_s
    deploy_and_wait(staging_host, STAGING, version, package, clock=clock, time_limit_s=limit_s)
    registry.set_alias(model, STAGING, version.version)
    checks = [Check(name="staging answers", passed=True, value=f"version {version.version}")]
    rows = stage.file("evaluate", "comparable.csv")
    few = stage.path / "few.csv"
    tables.sample(rows, few, rows=staging.smoke_predictions, seed=0)
    offline = points(packaged.predict(package, few))
    served = staging_host.predict(
        STAGING,
        data.features,
        tables.records(few, data.features, staging.smoke_predictions, text=data.text_columns),
    )
    checks.append(_same(offline, served, staging.tolerance))
    logs: list[Path] = []
    if staging.integration_test is not None:
        logs.append(stage.path / "integration-test.log")
        target = staging_host.target(STAGING)
        checks.append(_integration(staging, target.url, runner, logs[0]))
    red = [check for check in checks if not check.passed]
    return StageOutcome(
        status=judged(tuple(checks)),
        message=f"check failed: {red[0].name}"
        if red
        else f"version {version.version} holds in staging",
        checks=tuple(checks),
        artifacts=tuple(logs),
    )


def _same(offline: Sequence[float], served: Sequence[float], tolerance: float) -> Check:
    name = f"{len(offline)} served predictions equal the packaged model's own"
    if len(offline) != len(served):
        message = f"{len(served)} predictions came back for {len(offline)} rows"
        return Check(name=name, passed=False, value=float(len(served)), message=message)
    worst = max(abs(a - b) / (1 + abs(a)) for a, b in zip(offline, served, strict=True))
    return Check(
        name=name,
        passed=worst <= tolerance,
        value=worst,
        limit=tolerance,
        unit="relative to 1 + |prediction|",
    )


def _integration(staging: StagingPolicy, endpoint: str, runner: ProjectRunner, log: Path) -> Check:
    # Projects append /invocations and /ping themselves: they get the server, not the route.
    base = endpoint.removesuffix("/invocations")
    argv = fill(staging.integration_test or (), endpoint=base, samples=staging.samples)
    result = runner.run(argv, log=log, time_limit_s=_TEST_LIMIT_S)
    passed = result.exit_code == 0
    return Check(
        name="integration tests",
        passed=passed,
        value=float(result.exit_code),
        limit=0.0,
        unit="exit code",
        message="" if passed else result.tail(20),
    )
