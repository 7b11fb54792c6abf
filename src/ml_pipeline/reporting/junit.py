"""The run as JUnit: a suite a stage, a case a check, so that any CI system can list them."""

import re

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite
from junitparser.junitparser import FinalResult

from ml_pipeline.domain.evidence import Check, RunRecord, StageResult, Status
from ml_pipeline.reporting.story import stages
from ml_pipeline.reporting.wording import measured, utc

#: What XML 1.0 cannot hold: https://www.w3.org/TR/xml/#charsets
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(run: RunRecord) -> bytes:
    """One suite a stage; a stage that says more than its checks has a case of its own."""
    report = JUnitXml(name=_xml(run.run_id))
    for result in stages(run):
        suite = TestSuite(_xml(result.stage))
        suite.timestamp = utc(result.started_at).isoformat()
        for case in _cases(result):
            suite.add_testcase(case)
        suite.time = round(result.duration_s, 3)
        report.add_testsuite(suite)
    report.update_statistics()  # type: ignore[no-untyped-call]
    report.time = round(run.duration_s, 3)
    return bytes(report.tostring())  # type: ignore[no-untyped-call]


def _cases(result: StageResult) -> list[TestCase]:
    cases = [_check(result, check) for check in result.checks]
    red = any(not check.passed for check in result.checks)
    told_by_checks = result.status is Status.PASSED or (result.status is Status.FAILED and red)
    if not cases or not told_by_checks:
        cases.append(_stage(result))
    return cases


def _check(result: StageResult, check: Check) -> TestCase:
    case = TestCase(_xml(check.name), classname=_xml(f"ml_pipeline.{result.stage}"))
    if not check.passed:
        value, limit = (measured(v, check.unit) for v in (check.value, check.limit))
        failure = Failure(_xml(f"value {value}, limit {limit}"), "check")
        failure.text = _xml(check.message)
        case.result = [failure]
    return case


def _stage(result: StageResult) -> TestCase:
    case = TestCase(_xml(result.stage), classname=_xml(f"ml_pipeline.{result.stage}"))
    case.time = round(result.duration_s, 3)
    told = _said(result)
    if told is not None:
        told.text = _xml(result.remedy)
        case.result = [told]
    return case


def _said(result: StageResult) -> FinalResult | None:
    message, kind = _xml(result.message), result.status.value
    match result.status:
        case Status.PASSED:
            return None
        case Status.SKIPPED | Status.WAITING:
            return Skipped(f"{kind}: {message}", kind)
        case Status.FAILED | Status.INCONCLUSIVE:
            return Failure(message, kind)
        case Status.ERROR | Status.INTERRUPTED:
            return Error(message, kind)


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
