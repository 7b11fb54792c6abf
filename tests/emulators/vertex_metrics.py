"""Cloud Monitoring: samples of what was really served, at the end of each period, and late."""

import math
import re
import threading
from collections import defaultdict
from typing import Any

from google.api import distribution_pb2
from google.cloud import monitoring_v3 as monitoring

from tests.emulators.vertex_http import utc
from tests.emulators.vertex_rules import RefusedError, fits

_ONLINE = "aiplatform.googleapis.com/prediction/online"
#: Exponential buckets from 0.1 ms on, each 10 % wider: 130 of them reach 24 s.
_SCALE_US, _GROWTH, _BUCKETS = 100.0, 1.1, 130


class Metrics:
    """Speaks MetricService.ListTimeSeries.

    Args:
        world: gives the time.
        period_s: one sample each.
        delay_s: until a sample can be read.
    """

    def __init__(self, world: Any, period_s: float, delay_s: float) -> None:
        self.world = world
        self.period_s = period_s
        self.delay_s = delay_s
        #: whether responses are counted and their latencies are not
        self.latencies_lost = False
        self._noted: list[tuple[float, str, str, int, float]] = []
        self._lock = threading.Lock()

    def note(self, endpoint: str, deployed: str, status: int, seconds: float) -> None:
        now = self.world.now().timestamp()
        with self._lock:
            self._noted.append((now, endpoint, deployed, status, seconds * 1e6))

    def ListTimeSeries(self, request: Any) -> Any:  # noqa: N802
        if not re.match(r"^projects/[^/]+$", request.name):
            raise RefusedError("INVALID_ARGUMENT", f"name {request.name!r}")
        start = request.interval.start_time.timestamp()
        end = request.interval.end_time.timestamp()
        if start > end:
            raise RefusedError("INVALID_ARGUMENT", "the interval ends before it starts")
        grouped: dict[tuple, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
        readable = self.world.now().timestamp() - self.delay_s
        with self._lock:
            noted = list(self._noted)
        for at, endpoint, deployed, status, micros in noted:
            edge = math.floor(at / self.period_s + 1) * self.period_s
            # (start, end]: a sample belongs to the interval its end lies in
            if start < edge <= end and edge <= readable:
                for metric, labels in (
                    (f"{_ONLINE}/response_count", (("response_code", str(status)),)),
                    (f"{_ONLINE}/prediction_latencies", (("latency_type", "total"),)),
                ):
                    facts = {
                        "metric.type": metric,
                        "resource.type": "aiplatform.googleapis.com/Endpoint",
                        "resource.labels.endpoint_id": endpoint,
                        "metric.labels.deployed_model_id": deployed,
                        **{f"metric.labels.{key}": value for key, value in labels},
                    }
                    if fits(request.filter, facts):
                        grouped[(metric, endpoint, deployed, labels)][edge].append(micros)
        series = [
            self._series(key, points)
            for key, points in grouped.items()
            if not (self.latencies_lost and key[0].endswith("latencies"))
        ]
        return monitoring.ListTimeSeriesResponse(time_series=series)

    def _series(self, key: tuple, points: dict[float, list[float]]) -> Any:
        metric, endpoint, deployed, labels = key
        made = monitoring.TimeSeries()
        made.metric.type = metric
        made.metric.labels["deployed_model_id"] = deployed
        for name, value in labels:
            made.metric.labels[name] = value
        made.resource.type = "aiplatform.googleapis.com/Endpoint"
        made.resource.labels["endpoint_id"] = endpoint
        for edge, micros in sorted(points.items(), reverse=True):
            value = monitoring.TypedValue(int64_value=len(micros))
            if metric.endswith("latencies"):
                value = monitoring.TypedValue(distribution_value=_distribution(micros))
            interval = monitoring.TimeInterval(
                start_time=utc(edge - self.period_s), end_time=utc(edge)
            )
            made.points.append(monitoring.Point(interval=interval, value=value))
        return made


def _distribution(micros: list[float]) -> distribution_pb2.Distribution:
    counts = [0] * (_BUCKETS + 2)
    for one in micros:
        place = math.floor(math.log(max(one, 1) / _SCALE_US, _GROWTH)) + 1 if one else 0
        counts[min(max(place, 0), _BUCKETS + 1)] += 1
    form = distribution_pb2.Distribution.BucketOptions.Exponential(
        num_finite_buckets=_BUCKETS, growth_factor=_GROWTH, scale=_SCALE_US
    )
    return distribution_pb2.Distribution(
        count=len(micros),
        mean=sum(micros) / len(micros),
        bucket_options=distribution_pb2.Distribution.BucketOptions(exponential_buckets=form),
        bucket_counts=counts,
    )
