"""What users of each slot saw, from Cloud Monitoring."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from google.api_core.exceptions import NotFound
from google.cloud import monitoring_v3 as monitoring

from ml_pipeline.adapters.vertex.endpoint import Endpoint, slots_of
from ml_pipeline.adapters.vertex.latencies import Latencies, added
from ml_pipeline.domain.errors import PlatformUnavailableError
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.serving import Window

if TYPE_CHECKING:
    from ml_pipeline.ports.serving import TrafficMetrics

_ONLINE = "aiplatform.googleapis.com/prediction/online"
_RESPONSES, _LATENCIES = f"{_ONLINE}/response_count", f"{_ONLINE}/prediction_latencies"
_TOO_MANY = 429
#: When a sample's period began and ended.
_Period = tuple[datetime, datetime]


class VertexTraffic:
    """Speaks `ports.serving.TrafficMetrics`.

    Vertex AI writes what happened in a period as one sample at its end. A sample belongs to the
    window its end lies in, so that windows side by side neither overlap nor leave gaps; a window
    begins up to one period late and ends up to one period early. Answers with 4xx are the
    client's own fault and no request here but `refused`, except for 429, which is too few
    machines. A period with answers whose latency has not come is not complete.

    Args:
        endpoint: production.
        clock: until when figures can be complete.

    Source:
        https://cloud.google.com/monitoring/api/metrics_gcp_a_b: `prediction/online/…`, sampled
        every 60 s and readable some time later.
    """

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        self._endpoint = endpoint
        self._clients = endpoint.clients
        self._clock = clock

    @property
    def _metrics(self) -> Any:
        return self._clients.gapic(monitoring.MetricServiceClient, "monitoring.googleapis.com")

    def window(self, slot: str, start: datetime, end: datetime, slow_ms: float) -> Window:
        complete = self._clock.now() - timedelta(seconds=self._clients.policy.metrics_delay_s)
        deployed = slots_of(self._endpoint.get()).get(slot)
        codes: dict[int, int] = {}
        latencies: Latencies | None = None
        answered: list[_Period] = []
        timed: list[_Period] = []
        if deployed is not None and end > start:
            for series in self._series(_RESPONSES, deployed.id, start, end):
                code = int(series.metric.labels["response_code"])
                count = sum(point.value.int64_value for point in series.points)
                codes[code] = codes.get(code, 0) + count
                answered += _periods(series) if code < 400 else ()
            for series in self._series(_LATENCIES, deployed.id, start, end):
                timed += _periods(series)
                for point in series.points:
                    latencies = added(latencies, point.value.distribution_value)
        errors = sum(n for code, n in codes.items() if code >= 500 or code == _TOO_MANY)
        good = sum(n for code, n in codes.items() if code < 400)
        measured = latencies is not None and latencies.count > 0
        return Window(
            slot=slot,
            start=start,
            end=end,
            requests=good + errors,
            errors=errors,
            slow=latencies.slow(slow_ms) if latencies and measured else None,
            p99_ms=latencies.quantile_ms(0.99) if latencies and measured else None,
            as_of=min([complete, end, *_untimed(answered, timed)]),
            refused=sum(codes.values()) - good - errors,
        )

    def _series(self, metric: str, deployed: str, start: datetime, end: datetime) -> Sequence[Any]:
        which = [
            f'metric.type="{metric}"',
            'resource.type="aiplatform.googleapis.com/Endpoint"',
            f'resource.labels.endpoint_id="{self._endpoint.id}"',
            f'metric.labels.deployed_model_id="{deployed}"',
        ]
        if metric == _LATENCIES:
            which.append('metric.labels.latency_type="total"')
        try:
            return self._clients.listed(
                "for the endpoint's metrics",
                self._metrics.list_time_series,
                request={
                    "name": f"projects/{self._clients.policy.project}",
                    "filter": " AND ".join(which),
                    "interval": monitoring.TimeInterval(start_time=start, end_time=end),
                    "view": monitoring.ListTimeSeriesRequest.TimeSeriesView.FULL,
                },
            )
        except NotFound as error:
            raise PlatformUnavailableError(
                f"Cloud Monitoring knows no metric {metric}: {error}",
                remedy="Enable the Cloud Monitoring API of the project.",
            ) from error


def _periods(series: Any) -> list[_Period]:
    """Those in which there was something."""
    return [
        (point.interval.start_time, point.interval.end_time)
        for point in series.points
        if point.value.int64_value or point.value.distribution_value.count
    ]


def _untimed(answered: Sequence[_Period], timed: Sequence[_Period]) -> list[datetime]:
    """Beginnings of periods with answers and without a latency; the two need not keep step."""
    return [
        start
        for start, end in answered
        if not any(begun < end and start < ended for begun, ended in timed)
    ]


if TYPE_CHECKING:
    _speaks: type[TrafficMetrics] = VertexTraffic
