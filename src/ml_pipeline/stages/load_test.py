"""Requests on a schedule against staging; a generator that lagged gives no verdict."""

import json
from dataclasses import asdict

from ml_pipeline.domain.evidence import Check, Outcome, StageOutcome, Status, judged
from ml_pipeline.domain.policies.data import DataPolicy
from ml_pipeline.domain.policies.release import LoadPolicy, StagingPolicy
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.evidence import StageFolder
from ml_pipeline.ports.load import LoadGenerator, LoadPlan, LoadReport
from ml_pipeline.ports.registry import PACKAGE, STAGING, Bundles, ModelRegistry, version_of
from ml_pipeline.ports.serving import ModelHost, deploy_and_wait
from ml_pipeline.ports.tables import TableStore, request_bodies

REPORT = "load.json"
_BODIES = 200
_KEPT_UP, _LATENCY, _ERRORS = "the generator kept its schedule", "p99 latency", "error share"
_REMEDIES = {
    _KEPT_UP: "Run `ml-pipeline run load-test` again where less else runs, or lower"
    " 'load.rate_per_s'.",
    _LATENCY: "Make the model smaller or faster, set 'load.rate_per_s' to what users send, or"
    " 'load.max_p99_ms' to what they bear; `ml-pipeline run load-test` measures again.",
    _ERRORS: "Look up what staging answered in the errors by kind in load.json; slow answers"
    " count as errors after 'load.time_out_s'.",
}


def run(
    *,
    stage: StageFolder,
    data: DataPolicy,
    load: LoadPolicy,
    tables: TableStore,
    load_generator: LoadGenerator,
    model: str,
    staging: StagingPolicy,
    staging_host: ModelHost,
    registry: ModelRegistry,
    bundles: Bundles,
    clock: Clock,
) -> StageOutcome:
    """Send `load.rate_per_s` for `load.duration_s`; p99, errors and the generator's own lag."""
    rows = stage.file("evaluate", "comparable.csv")
    plan = LoadPlan(
        rate_per_s=load.rate_per_s,
        duration_s=load.duration_s,
        time_out_s=load.time_out_s,
        bodies=request_bodies(tables, rows, data, _BODIES),
    )
    # Alone on an earlier run's evidence, staging may be gone: deploying again is idempotent.
    version = version_of(registry, model, stage.result("register").values)
    package = bundles.folder(version) / PACKAGE
    limit_s = staging.health_time_limit_s
    deploy_and_wait(staging_host, STAGING, version, package, clock=clock, time_limit_s=limit_s)
    report = load_generator.run(staging_host.target(STAGING), plan, work=stage.path)
    file = stage.path / REPORT
    file.write_text(json.dumps(asdict(report)), encoding="utf-8")
    kept_up = _kept_up(report, load)
    checks = (kept_up, *_limits(report, load))
    red = [check for check in checks if not check.passed]
    lagged = not kept_up.passed
    return StageOutcome(
        status=Status.INCONCLUSIVE if lagged else judged(checks),
        outcome=Outcome.INCONCLUSIVE if lagged else "",
        message=red[0].message
        if red
        else (
            f"p99 {report.p99_ms:.1f} ms, {report.errors} of {report.planned} failed"
            f" at {load.rate_per_s:g}/s"
        ),
        remedy=_REMEDIES[red[0].name] if red else "",
        checks=checks,
        metrics=_metrics(report),
        artifacts=(file,),
    )


def _kept_up(report: LoadReport, load: LoadPolicy) -> Check:
    passed = report.sent > 0 and report.lag_p99_ms <= load.max_lag_ms
    return Check(
        name=_KEPT_UP,
        passed=passed,
        value=report.lag_p99_ms,
        limit=load.max_lag_ms,
        unit="ms (p99)",
        message=""
        if passed
        else (
            f"requests left {report.lag_p99_ms:.0f} ms late (p99), so the figures are the"
            " generator's and no verdict is given"
        ),
    )


def _limits(report: LoadReport, load: LoadPolicy) -> tuple[Check, Check]:
    share = report.errors / report.planned
    fast, sound = report.p99_ms < load.max_p99_ms, share < load.max_error_share
    return (
        Check(
            name=_LATENCY,
            passed=fast,
            value=report.p99_ms,
            limit=load.max_p99_ms,
            unit="ms",
            message=""
            if fast
            else (f"p99 is {report.p99_ms:.0f} ms, the limit is {load.max_p99_ms:g} ms"),
        ),
        Check(
            name=_ERRORS,
            passed=sound,
            value=share,
            limit=load.max_error_share,
            message=""
            if sound
            else (
                f"{report.errors} of {report.planned} requests failed"
                f" ({', '.join(f'{kind}: {count}' for kind, count in report.errors_by_kind)}),"
                f" the limit is {load.max_error_share:.1%}"
            ),
        ),
    )


def _metrics(report: LoadReport) -> dict[str, float]:
    return {
        "p50_ms": report.p50_ms,
        "p90_ms": report.p90_ms,
        "p99_ms": report.p99_ms,
        "max_ms": report.max_ms,
        "lag_p99_ms": report.lag_p99_ms,
        "requests": float(report.planned),
        "errors": float(report.errors),
    }
