"""CloudWatch's answers: whole ones are counted, all others are unreadable or not yet there."""

from datetime import UTC, datetime, timedelta

import pytest

from ml_pipeline.adapters.sagemaker.traffic import SageMakerTraffic
from ml_pipeline.domain.errors import PlatformUnavailableError
from ml_pipeline.ports.serving import Window
from tests.fakes.aws import POLICY, Aws

BEGIN = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
VALUES = {"requests": 10.0, "refused": 1.0, "errors": 2.0, "slow": 3.0, "p99": 9000.0}


def result(name: str, status: str = "Complete", at: datetime = BEGIN, **more: object) -> dict:
    return {
        "Id": name, "StatusCode": status, "Timestamps": [at], "Values": [VALUES.get(name, 0.0)],
        **more,
    }  # fmt: skip


def window(*pages: list[dict], start: datetime = BEGIN, end: datetime = BEGIN + MINUTE) -> Window:
    """What a window holds when CloudWatch answers with these pages."""

    def answer(NextToken: str = "0", **_: object) -> dict:  # noqa: N803 - as botocore names it
        at = int(NextToken)
        more = {"NextToken": str(at + 1)} if at + 1 < len(pages) else {}
        return {"MetricDataResults": pages[at], **more}

    clients = Aws(get_metric_data=answer)
    clients.clock.advance(600)  # at 08:10 all of it has come
    return SageMakerTraffic("e", clients, POLICY, clients.clock).window("v1", start, end, 5)


def whole(**changed: dict) -> list[dict]:
    return [changed.get(name, result(name)) for name in VALUES]


def test_cloudwatch_is_asked_for_each_metric_of_the_slot_in_whole_periods():
    clients = Aws(get_metric_data=lambda **_: {"MetricDataResults": whole()})
    start = BEGIN - timedelta(seconds=20)
    SageMakerTraffic("e", clients, POLICY, clients.clock).window("v1", start, BEGIN + MINUTE, 5)
    (asked,) = clients.of("get_metric_data")
    assert (asked["StartTime"], asked["EndTime"]) == (BEGIN, BEGIN + MINUTE)
    told = {
        one["Id"]: (one["MetricStat"]["Metric"]["MetricName"], one["MetricStat"]["Stat"])
        for one in asked["MetricDataQueries"]
    }
    assert told == {
        "requests": ("Invocations", "Sum"),
        "refused": ("Invocation4XXErrors", "Sum"),
        "errors": ("Invocation5XXErrors", "Sum"),
        "slow": ("ModelLatency", "TC(5000:)"),
        "p99": ("ModelLatency", "p99"),
    }
    dimensions = [
        {"Name": "EndpointName", "Value": "e"},
        {"Name": "VariantName", "Value": "v1"},
    ]
    for one in asked["MetricDataQueries"]:
        assert one["MetricStat"]["Period"] == 60
        assert one["MetricStat"]["Metric"]["Dimensions"] == dimensions


def test_a_window_is_complete_up_to_what_cloudwatch_has_by_now():
    clients = Aws(get_metric_data=lambda **_: {"MetricDataResults": whole()})
    clients.clock.advance(200)
    policy = POLICY.model_copy(update={"metrics_delay_s": 120})
    traffic = SageMakerTraffic("e", clients, policy, clients.clock)
    assert traffic.window("v1", BEGIN, BEGIN + 5 * MINUTE, 5).as_of == BEGIN + MINUTE


def test_a_whole_answer_is_counted():
    seen = window(whole())
    assert (seen.requests, seen.errors, seen.refused, seen.slow, seen.p99_ms) == (9, 2, 1, 3, 9.0)
    assert seen.as_of == BEGIN + 10 * MINUTE


@pytest.mark.parametrize("status", ["InternalError", "PartialData", "Forbidden", None])
@pytest.mark.parametrize("name", sorted(VALUES))
def test_a_metric_that_did_not_come_whole_is_unreadable(name, status):
    with pytest.raises(PlatformUnavailableError, match=f"{name} is {status}"):
        window(whole(**{name: result(name, status)}))


def test_a_metric_that_is_not_answered_at_all_is_unreadable():
    with pytest.raises(PlatformUnavailableError, match="errors is None"):
        window([one for one in whole() if one["Id"] != "errors"])


def test_a_part_whose_rest_comes_on_the_next_page_is_counted_with_it():
    later = BEGIN + MINUTE
    pages = whole(requests=result("requests", "PartialData")), [result("requests", at=later)]
    seen = window(*pages, end=BEGIN + 2 * MINUTE)
    assert seen.requests == 19


def test_an_answer_nobody_asked_for_is_unreadable():
    with pytest.raises(PlatformUnavailableError, match="other"):
        window([*whole(), result("other")])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_value_that_is_no_count_is_unreadable(value):
    with pytest.raises(PlatformUnavailableError, match="errors holds"):
        window(whole(errors=result("errors", Values=[value])))


def test_a_period_that_begins_after_the_window_is_not_in_it():
    """CloudWatch is asked for a whole period even where none begins: it is the next window's."""
    start = BEGIN + timedelta(seconds=10)
    late = [result(name, at=BEGIN + MINUTE) for name in VALUES]
    assert window(late, start=start, end=start + timedelta(seconds=20)).requests == 0
    assert window(late, start=start, end=BEGIN + 2 * MINUTE).requests == 9


def test_requests_whose_latency_has_not_come_are_not_complete():
    seen = window(whole(p99=result("p99", Timestamps=[], Values=[])))
    assert (seen.slow, seen.p99_ms, seen.as_of) == (None, None, BEGIN)


def test_requests_that_all_failed_have_no_latency_and_are_complete():
    none = {"Timestamps": [], "Values": []}
    failed = whole(errors=result("errors", Values=[9.0]), p99=result("p99", **none))
    assert window(failed).as_of == BEGIN + 10 * MINUTE
