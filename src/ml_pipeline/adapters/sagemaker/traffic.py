"""What users of each slot saw, from CloudWatch."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ml_pipeline.adapters.sagemaker import names
from ml_pipeline.adapters.sagemaker.client import Clients, utc
from ml_pipeline.domain.errors import PlatformUnavailableError
from ml_pipeline.domain.policies.cloud_sagemaker import SageMakerPolicy
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.serving import Window

_NAMESPACE = "AWS/SageMaker"
_MICRO = 1000


class SageMakerTraffic:
    """Speaks `ports.serving.TrafficMetrics`.

    CloudWatch sums a metric over periods, so a window holds the periods that begin in it: windows
    side by side neither overlap nor leave gaps, and what came before the first whole period of a
    rollout's step is in none of that step's windows. `as_of` is the end of the newest period that
    is complete; a period with answers whose latency has not come is not.

    Latency is the container's (`ModelLatency`). Of several periods the largest 99th percentile
    is given: that of all requests together is never greater.

    Source:
        "Amazon SageMaker AI metrics in Amazon CloudWatch"; "CloudWatch statistics definitions"
        for `p99` and the trimmed count `TC(a:b)`.
    """

    def __init__(
        self, endpoint: str, clients: Clients, policy: SageMakerPolicy, clock: Clock
    ) -> None:
        self._endpoint = names.short(endpoint)
        self._clients = clients
        self._policy = policy
        self._clock = clock

    def window(self, slot: str, start: datetime, end: datetime, slow_ms: float) -> Window:
        period_s = self._policy.metrics_period_s
        first, last = _up(start, period_s), _up(end, period_s)
        complete = _down(
            self._clock.now() - timedelta(seconds=self._policy.metrics_delay_s), period_s
        )
        found = self._asked(slot, first, last, slow_ms)
        refused = sum(found["refused"].values())
        return Window(
            slot=slot,
            start=start,
            end=end,
            # what a container refuses as the client's own fault says nothing of the model
            requests=max(0, round(sum(found["requests"].values()) - refused)),
            errors=round(sum(found["errors"].values())),
            slow=round(sum(found["slow"].values())) if found["p99"] else None,
            p99_ms=max(found["p99"].values()) / _MICRO if found["p99"] else None,
            as_of=min([complete, *_untimed(found)]),
            refused=round(refused),
        )

    def _asked(
        self, slot: str, first: datetime, last: datetime, slow_ms: float
    ) -> dict[str, dict[datetime, float]]:
        """The value of each metric in each period, by the period's beginning."""
        queries = [self._query(name, slot, slow_ms) for name in _QUERIES]
        found: dict[str, dict[datetime, float]] = {name: {} for name in _QUERIES}
        # a window in which no period begins is asked for too: whether CloudWatch answers is news
        until = max(last, first + timedelta(seconds=self._policy.metrics_period_s))
        results = self._clients.pages(
            "cloudwatch", "get_metric_data", "MetricDataResults",
            MetricDataQueries=queries, StartTime=first, EndTime=until, ScanBy="TimestampAscending",
        )  # fmt: skip
        # a part is followed by the rest on a later page: the last word on a metric counts
        status: dict[str, str | None] = dict.fromkeys(_QUERIES)
        for one in results:
            if one["Id"] not in found:
                raise _unreadable(slot, f"{one['Id']} was not asked for")
            status[one["Id"]] = one.get("StatusCode")
            found[one["Id"]] |= {
                utc(at): float(value)
                for at, value in zip(one["Timestamps"], one["Values"], strict=True)
                if utc(at) < last
            }
        for name, periods in found.items():
            if status[name] != "Complete":
                raise _unreadable(slot, f"{name} is {status[name]}")
            if any(not math.isfinite(value) or value < 0 for value in periods.values()):
                raise _unreadable(slot, f"{name} holds {list(periods.values())}")
        return found

    def _query(self, name: str, slot: str, slow_ms: float) -> dict[str, Any]:
        metric, statistic = _QUERIES[name]
        return {
            "Id": name,
            "ReturnData": True,
            "MetricStat": {
                "Metric": {
                    "Namespace": _NAMESPACE,
                    "MetricName": metric,
                    "Dimensions": [
                        {"Name": "EndpointName", "Value": self._endpoint},
                        {"Name": "VariantName", "Value": slot},
                    ],
                },
                "Period": self._policy.metrics_period_s,
                "Stat": statistic.format(slow=f"{slow_ms * _MICRO:g}"),
            },
        }


#: Metric and statistic by what it is to us; latency is in microseconds.
_QUERIES = {
    "requests": ("Invocations", "Sum"),
    "refused": ("Invocation4XXErrors", "Sum"),
    "errors": ("Invocation5XXErrors", "Sum"),
    "slow": ("ModelLatency", "TC({slow}:)"),
    "p99": ("ModelLatency", "p99"),
}


def _untimed(found: Mapping[str, Mapping[datetime, float]]) -> list[datetime]:
    """Periods with answers of the model and without their latency."""
    failed, refused = found["errors"], found["refused"]
    return [
        at
        for at, asked in found["requests"].items()
        if asked > failed.get(at, 0) + refused.get(at, 0) and at not in found["p99"]
    ]


def _up(moment: datetime, period_s: int) -> datetime:
    seconds = math.ceil(moment.timestamp() / period_s) * period_s
    return datetime.fromtimestamp(seconds, UTC)


def _down(moment: datetime, period_s: int) -> datetime:
    seconds = math.floor(moment.timestamp() / period_s) * period_s
    return datetime.fromtimestamp(seconds, UTC)


def _unreadable(slot: str, why: str) -> PlatformUnavailableError:
    return PlatformUnavailableError(
        f"the metrics of slot {slot} cannot be read: {why}",
        remedy="Look at the endpoint's metrics in CloudWatch.",
    )


if TYPE_CHECKING:  # mypy compares it with the port
    from ml_pipeline.ports.serving import TrafficMetrics

    _speaks: type[TrafficMetrics] = SageMakerTraffic
