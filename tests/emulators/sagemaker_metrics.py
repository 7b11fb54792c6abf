"""CloudWatch's answers about endpoints, made from what was really served."""

import math
import time
from collections import defaultdict
from datetime import UTC, datetime


def install(account) -> None:
    """Have moto's CloudWatch answer GetMetricData for AWS/SageMaker from the account."""
    from moto.cloudwatch.models import CloudWatchBackend

    def get_metric_data(_self, queries, start_time, end_time, scan_by=""):
        return [_answer(account, one, start_time, end_time) for one in queries]

    CloudWatchBackend.get_metric_data = get_metric_data


def _answer(account, query, start, end):
    asked = query["MetricStat"]
    name, period_s = asked["Metric"]["MetricName"], int(asked["Period"])
    told = {one["Name"]: one["Value"] for one in asked["Metric"]["Dimensions"]}
    buckets = defaultdict(list)
    untimed = name == "ModelLatency" and account.fault("latencies-lost")
    if not untimed and not account.fault("metrics-lost"):
        for at, status, latency_us in _published(account, told, period_s):
            # CloudWatch gives the periods that begin in the window asked for
            begin = math.floor(at / period_s) * period_s
            if start.timestamp() <= begin < end.timestamp():
                buckets[begin].append(_value(name, status, latency_us))
    values = {at: _statistic(asked["Stat"], found) for at, found in sorted(buckets.items())}
    if account.fault("metrics-broken"):
        values = dict.fromkeys(values or {start.timestamp(): 0}, float("nan"))
    return {
        "id": query["Id"],
        "label": name,
        "values": list(values.values()),
        "timestamps": [datetime.fromtimestamp(at, UTC) for at in values],
        "status_code": "Complete",
    }


def _published(account, told, period_s):
    """What CloudWatch knows by now: whole periods, some time after they ended."""
    ended = time.time() - account.publish_s
    with account.lock:
        served = list(account.served)
    for endpoint, variant, at, status, latency_us in served:
        mine = (endpoint, variant) == (told["EndpointName"], told["VariantName"])
        if mine and (math.floor(at / period_s) + 1) * period_s <= ended:
            yield at, status, latency_us


def _value(name, status, latency_us):
    return {
        "Invocations": 1,
        "Invocation4XXErrors": int(400 <= status < 500),
        "Invocation5XXErrors": int(status >= 500),
        "ModelLatency": latency_us,
    }[name]


def _statistic(asked, values):
    """Sum, pNN (nearest rank) and the trimmed count TC(from:to)."""
    if asked == "Sum":
        return float(sum(values))
    if asked.startswith("p"):
        ranked = sorted(values)
        return float(ranked[max(0, math.ceil(float(asked[1:]) / 100 * len(ranked)) - 1)])
    low, _, high = asked.removeprefix("TC(").removesuffix(")").partition(":")
    return float(
        sum((not low or value >= float(low)) and (not high or value < float(high))
            for value in values)
    )  # fmt: skip
