"""The list of stages, in order; the CLI, the report, the docs and the Dagger module derive from it."""

from dataclasses import dataclass
from enum import StrEnum


class When(StrEnum):
    """Whether a stage runs after an earlier one went red."""

    NORMALLY = "normally"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSpec:
    """One stage.

    `extra`: what its container needs installed. `pure`: same inputs, same result, so a passed
    result may be adopted. `run`: dotted path, imported only when the stage runs.
    """

    id: str
    title: str
    needs: tuple[str, ...]
    run: str
    extra: str = "core"
    pure: bool = False
    when: When = When.NORMALLY
    time_limit_s: float = 900
    ci: bool = False


def _stage(stage_id: str, title: str, *needs: str, **more: object) -> StageSpec:
    module = stage_id.replace("-", "_")
    run = f"ml_pipeline.stages.{module}:run"
    return StageSpec(id=stage_id, title=title, needs=needs, run=run, **more)  # type: ignore[arg-type]


STAGES: tuple[StageSpec, ...] = (
    _stage("fetch-data", "Fetch data and hold rows out", ci=True, time_limit_s=1800),
    _stage("lint", "Lint", pure=True, ci=True),
    _stage("unit-test", "Unit tests", pure=True, ci=True, time_limit_s=1800),
    _stage("validate-data", "Validate data", "fetch-data", pure=True, ci=True),
    _stage("smoke-train", "Smoke training", "fetch-data", pure=True, ci=True, time_limit_s=1800),
    _stage("drift", "Drift", "validate-data", extra="local"),
    _stage("decide", "Is training due", "drift", "lint", "unit-test", "smoke-train", extra="local"),
    _stage("train", "Train", "decide", extra="local", time_limit_s=7200),
    _stage("evaluate", "Evaluate on held-out rows", "train", extra="local"),
    _stage("compare", "Compare with the champion", "evaluate", extra="local", time_limit_s=300),
    _stage("package", "Package", "compare", extra="local"),
    _stage("register", "Register", "package", extra="local"),
    _stage("deploy-staging", "Deploy to staging", "register", extra="local"),
    _stage("load-test", "Load test", "deploy-staging", extra="local"),
    _stage("approve", "Approve", "load-test"),
    _stage("deploy-production", "Deploy to production at 0 %", "approve", extra="local"),
    _stage(
        "shift-traffic", "Shift traffic", "deploy-production", extra="local", time_limit_s=14400
    ),
    _stage("archive", "Move the champion, keep few", "shift-traffic", extra="local"),
    _stage("report", "Report", when=When.ALWAYS, ci=True),
    _stage("notify", "Notify", "report", when=When.ALWAYS, ci=True),
)
