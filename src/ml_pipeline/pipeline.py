"""The list of stages, in order, and how they follow each other.

The CLI, the report, the docs and the Dagger module derive from the list. Importing this module
loads nothing heavy: a stage's own module is imported only when the stage runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.domain.outcomes import Outcome, Status

if TYPE_CHECKING:  # it needs pydantic, which the Dagger module is not installed with
    from ml_pipeline.domain.evidence import StageResult


class When(StrEnum):
    """Whether a stage runs after an earlier one went red."""

    NORMALLY = "normally"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSpec:
    """One stage.

    `extra`: what its container needs installed. `pure`: same inputs, same result, so a passed
    result may be adopted. `production`: it allows, or changes, what users get. `run`: dotted path,
    imported only when the stage runs.
    """

    id: str
    title: str
    needs: tuple[str, ...]
    run: str
    extra: str = "core"
    pure: bool = False
    production: bool = False
    when: When = When.NORMALLY
    time_limit_s: float = 900
    ci: bool = False

    @property
    def always(self) -> bool:
        """Whether it runs whatever happened before."""
        return self.when is When.ALWAYS


def _stage(stage_id: str, title: str, *needs: str, **more: object) -> StageSpec:
    module = stage_id.replace("-", "_")
    run = f"ml_pipeline.stages.{module}:run"
    return StageSpec(id=stage_id, title=title, needs=needs, run=run, **more)  # type: ignore[arg-type]


STAGES: tuple[StageSpec, ...] = (
    _stage("fetch-data", "Fetch data and hold rows out", ci=True, time_limit_s=1800),
    _stage("lint", "Lint", pure=True, ci=True),
    _stage("unit-test", "Unit tests", pure=True, ci=True, time_limit_s=1800),
    _stage("validate-data", "Validate data", "fetch-data", pure=True, ci=True),
    _stage(
        "smoke-train",
        "Smoke training",
        "fetch-data",
        extra="models",
        pure=True,
        ci=True,
        time_limit_s=1800,
    ),
    _stage("drift", "Drift", "validate-data", extra="local"),
    _stage("decide", "Is training due", "drift", "lint", "unit-test", "smoke-train", extra="local"),
    _stage("train", "Train", "decide", extra="local", time_limit_s=86400),
    _stage("evaluate", "Evaluate on held-out rows", "train", extra="local"),
    _stage("compare", "Compare with the champion", "evaluate", extra="local", time_limit_s=300),
    _stage("package", "Package", "compare", extra="local"),
    _stage("register", "Register", "package", extra="local"),
    _stage("deploy-staging", "Deploy to staging", "register", extra="local"),
    _stage("load-test", "Load test", "deploy-staging", extra="local"),
    _stage("approve", "Approve", "load-test", production=True),
    _stage(
        "deploy-production",
        "Deploy to production at 0 %",
        "approve",
        extra="local",
        production=True,
    ),
    _stage(
        "shift-traffic",
        "Shift traffic",
        "deploy-production",
        extra="local",
        production=True,
        time_limit_s=86400,
    ),
    _stage(
        "archive",
        "Move the champion, keep few",
        "shift-traffic",
        extra="local",
        production=True,
    ),
    _stage("report", "Report", when=When.ALWAYS, ci=True),
    _stage("notify", "Notify", "report", when=When.ALWAYS, ci=True),
)


#: How many independent stages run side by side; the heavy work is in their child processes.
SIDE_BY_SIDE = 4
_WAKE_S = 0.1

#: Outcomes by how much they tell when several stages ended the run at once.
_GRAVEST = (Outcome.INTERRUPTED, Outcome.ERROR, Outcome.ROLLED_BACK, Outcome.CHECKS_RED)

_OUTCOME_OF_STATUS: Mapping[Status, Outcome] = {
    Status.FAILED: Outcome.CHECKS_RED,
    Status.INCONCLUSIVE: Outcome.INCONCLUSIVE,
    Status.ERROR: Outcome.ERROR,
    Status.INTERRUPTED: Outcome.INTERRUPTED,
    Status.WAITING: Outcome.AWAITING_APPROVAL,
}


def spec(stage_id: str) -> StageSpec:
    """The record of one stage.

    Raises:
        ConfigurationError: there is no such stage.
    """
    for stage in STAGES:
        if stage.id == stage_id:
            return stage
    raise ConfigurationError(
        f"there is no stage {stage_id!r}",
        remedy=f"Choose one of {', '.join(stage.id for stage in STAGES)}.",
    )


def ending(result: StageResult) -> Outcome | None:
    """The outcome a stage's result ends its run with, None when the run goes on.

    A stage ends a run by naming an outcome of the run as its own, or by not passing.
    """
    if result.outcome in set(Outcome):
        return Outcome(result.outcome)
    return _OUTCOME_OF_STATUS.get(result.status)


def conclude(results: Iterable[StageResult]) -> tuple[Outcome, StageResult | None]:
    """What a run came to, and the stage that said so (None when all simply passed)."""
    ended = [(outcome, one) for one in results if (outcome := ending(one)) is not None]
    for grave in _GRAVEST:
        for outcome, result in ended:
            if outcome is grave:
                return outcome, result
    return ended[0] if ended else (Outcome.CHECKS_PASSED, None)


def execute(
    stages: Iterable[StageSpec],
    run_stage: Callable[[StageSpec], StageResult],
    *,
    skip: Callable[[StageSpec, str], StageResult],
    done: Mapping[str, StageResult],
) -> dict[str, StageResult]:
    """Run stages as their needs allow, independent ones side by side.

    Once a stage ends the run, no further one starts, except those that always run; what is
    under way finishes, so that one call shows every red check at once.

    Args:
        stages: those of this run, in order; needs outside of them count as met.
        run_stage: runs one to its end and returns its result; may raise only for a bug.
        skip: makes the result of a stage that is not run, with the reason.
        done: results an earlier attempt already reached; they are not run again.

    Returns:
        The result of every stage, in the order of `stages`.
    """
    specs = list(stages)
    results = {one.id: done[one.id] for one in specs if one.id in done}
    waiting = [one for one in specs if one.id not in done]
    normal = [one for one in waiting if not one.always]
    _run_normal(normal, {one.id for one in specs}, run_stage, results)
    for one in normal:
        if one.id not in results:
            results[one.id] = skip(one, _reason(results))
    for one in waiting:
        if one.always:
            results[one.id] = run_stage(one)
    return {one.id: results[one.id] for one in specs}


def _run_normal(
    waiting: list[StageSpec],
    known: set[str],
    run_stage: Callable[[StageSpec], StageResult],
    results: dict[str, StageResult],
) -> None:
    todo = list(waiting)
    running: dict[Future[StageResult], StageSpec] = {}
    with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="stage") as pool:
        while True:
            if not any(ending(result) for result in results.values()):
                for one in [s for s in todo if _ready(s, known, results)]:
                    todo.remove(one)
                    running[pool.submit(run_stage, one)] = one
            if not running:
                return
            # Not without end: a signal may reach another thread, and its handler runs only when
            # this one wakes.
            for future in wait(running, timeout=_WAKE_S, return_when=FIRST_COMPLETED).done:
                one = running.pop(future)
                results[one.id] = future.result()


def _ready(one: StageSpec, known: set[str], results: Mapping[str, StageResult]) -> bool:
    return all(need in results for need in one.needs if need in known)


def _reason(results: Mapping[str, StageResult]) -> str:
    _, ender = conclude(results.values())
    return f"{ender.stage} ended the run" if ender else "nothing was left to do"
