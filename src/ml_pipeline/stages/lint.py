"""The project's own linters."""

from pathlib import Path

from ml_pipeline.domain.commands import fill
from ml_pipeline.domain.evidence import Check, StageOutcome, Status, judged
from ml_pipeline.domain.policies.training import ChecksPolicy
from ml_pipeline.ports.evidence import StageFolder
from ml_pipeline.ports.runner import ProjectRunner


def run(*, stage: StageFolder, checks: ChecksPolicy, runner: ProjectRunner) -> StageOutcome:
    """Run every command of `checks.lint`, also after one failed, and keep their output."""
    if not checks.lint:
        message = "no linter is configured (checks.lint)"
        return StageOutcome(status=Status.SKIPPED, outcome="not-configured", message=message)
    runner.prepare()
    made: list[Check] = []
    logs: list[Path] = []
    for number, argv in enumerate(checks.lint, start=1):
        log = stage.path / f"lint-{number}.log"
        result = runner.run(fill(argv), log=log, time_limit_s=checks.time_limit_s)
        logs.append(log)
        passed = result.exit_code == 0
        made.append(
            Check(
                name=" ".join(argv),
                passed=passed,
                value=float(result.exit_code),
                limit=0.0,
                unit="exit code",
                message="" if passed else result.tail(20),
            )
        )
    red = [check.name for check in made if not check.passed]
    return StageOutcome(
        status=judged(tuple(made)),
        message=f"red: {', '.join(red)}" if red else f"{len(made)} linters passed",
        checks=tuple(made),
        artifacts=tuple(logs),
    )
