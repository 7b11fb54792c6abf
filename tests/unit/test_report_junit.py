"""The JUnit report, read back by the library others read it with."""

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped

from ml_pipeline.domain.evidence import Check, Outcome, Status
from ml_pipeline.reporting.junit import junit
from tests.fakes.report_runs import RUNS, RunFolder, promoted


def suites(run):
    return {suite.name: suite for suite in JUnitXml.fromstring(junit(run))}


def only_result(suite):
    (case,) = suite
    (result,) = case.result
    return result


def test_a_suite_a_stage_and_a_case_a_check(tmp_path):
    run = promoted(tmp_path)
    found = suites(run)
    assert list(found) == [result.stage for result in run.stages]
    assert [case.name for case in found["load-test"]] == [
        "the generator kept its schedule", "p99 latency", "error share"]  # fmt: skip
    assert found["train"].tests == 1  # no checks: the stage itself is the case


def test_a_failed_check_carries_value_limit_and_message(tmp_path):
    run = RunFolder(tmp_path)
    check = Check(
        name="p99 latency", passed=False, value=812.0, limit=500.0, unit="ms", message="slow"
    )
    run.stage("load-test", Status.FAILED, checks=[check])

    failure = only_result(suites(run.record(Outcome.CHECKS_RED, "."))["load-test"])

    assert isinstance(failure, Failure)
    assert failure.message == "value 812 ms, limit 500 ms"
    assert failure.text == "slow"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (Status.FAILED, Failure),
        (Status.INCONCLUSIVE, Failure),
        (Status.ERROR, Error),
        (Status.INTERRUPTED, Error),
        (Status.SKIPPED, Skipped),
        (Status.WAITING, Skipped),
    ],
)
def test_every_status_but_passed_shows(status, kind, tmp_path):
    run = RunFolder(tmp_path)
    passed = Check(name="one", passed=True)
    run.stage("train", status, message="why", remedy="Do it.", checks=[passed])

    cases = list(suites(run.record(Outcome.ERROR, "."))["train"])

    assert [case.name for case in cases] == ["one", "train"]
    (result,) = cases[1].result
    assert type(result) is kind
    assert "why" in result.message
    assert result.type == status


def test_passed_is_the_only_status_without_a_mark(tmp_path):
    run = RunFolder(tmp_path)
    run.stage("train")
    (case,) = suites(run.record(Outcome.PROMOTED, "."))["train"]
    assert case.result == []


def test_the_totals_are_counted(tmp_path):
    totals = JUnitXml.fromstring(junit(RUNS["error"](tmp_path)))
    assert (totals.errors, totals.failures, totals.skipped) == (1, 0, 1)
    assert totals.tests == sum(suite.tests for suite in totals)


def test_characters_xml_cannot_hold_are_replaced(tmp_path):
    run = RunFolder(tmp_path)
    check = Check(name="a\x00<&\"'", passed=False, message="\x1b[31m]]>\ud800")
    run.stage("lint", Status.FAILED, checks=[check])

    (case,) = suites(run.record(Outcome.CHECKS_RED, "."))["lint"]

    assert case.name == "a\ufffd<&\"'"
    assert case.result[0].text == "\ufffd[31m]]>\ufffd"
