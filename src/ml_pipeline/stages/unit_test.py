"""The project's own unit tests, with JUnit and coverage kept."""

from pathlib import Path

from junitparser import Error, Failure, JUnitXml, JUnitXmlError, TestCase, TestSuite

from ml_pipeline.domain.commands import fill
from ml_pipeline.domain.evidence import Check, StageOutcome, Status, judged
from ml_pipeline.domain.policies.training import ChecksPolicy
from ml_pipeline.ports.evidence import StageFolder
from ml_pipeline.ports.runner import ProjectRunner

_SHOWN = 20


def run(*, stage: StageFolder, checks: ChecksPolicy, runner: ProjectRunner) -> StageOutcome:
    """Run `checks.unit_test`; it passes on exit 0 and, where it left JUnit, at least one test."""
    if checks.unit_test is None:
        message = "no unit tests are configured (checks.unit_test)"
        return StageOutcome(status=Status.SKIPPED, outcome="not-configured", message=message)
    runner.prepare()
    junit, coverage = stage.path / "unit-tests.xml", stage.path / "coverage.xml"
    log = stage.path / "unit-test.log"
    argv = fill(checks.unit_test, junit=junit, coverage=coverage)
    result = runner.run(argv, log=log, time_limit_s=checks.time_limit_s)
    code = float(result.exit_code)
    green = result.exit_code == 0
    made = [
        Check(
            name="exit code",
            passed=green,
            value=code,
            limit=0.0,
            message="" if green else result.tail(30),
        )
    ]
    metrics: dict[str, float] = {}
    if junit.is_file():
        made += _from_junit(junit, metrics)
    kept = tuple(path for path in (log, junit, coverage) if path.is_file())
    return StageOutcome(
        status=judged(tuple(made)),
        message=_message(metrics, green=green),
        checks=tuple(made),
        metrics=metrics,
        artifacts=kept,
    )


def _message(metrics: dict[str, float], *, green: bool) -> str:
    if "tests" not in metrics:
        return "passed; no JUnit file was written" if green else "the test command failed"
    return f"{metrics['tests']:.0f} tests, {metrics['red']:.0f} red"


def _from_junit(junit: Path, metrics: dict[str, float]) -> list[Check]:
    try:
        cases = list(_cases(JUnitXml.fromfile(str(junit))))
    except (JUnitXmlError, SyntaxError, ValueError) as error:
        return [Check(name="JUnit file", passed=False, message=f"cannot be read: {error}")]
    red = [case for case in cases if any(isinstance(r, Failure | Error) for r in case.result)]
    metrics.update(tests=float(len(cases)), red=float(len(red)))
    ran = Check(
        name="tests that ran", passed=bool(cases), value=float(len(cases)), limit=1.0, unit="tests"
    )
    failed = [
        Check(
            name=f"{case.classname or ''}::{case.name}",
            passed=False,
            message="; ".join(str(one.message or "") for one in case.result),
        )
        for case in red[:_SHOWN]
    ]
    return [ran, *failed]


def _cases(xml: JUnitXml | TestSuite) -> list[TestCase]:
    if isinstance(xml, TestSuite):
        return list(xml)
    return [case for suite in xml for case in suite]
