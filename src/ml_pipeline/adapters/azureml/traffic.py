"""What users of an endpoint's slots saw, from Azure Monitor.

The finest grain is a minute. A minute belongs to the window its beginning lies in, so that
windows side by side count each minute once, and the minute a rollout step begins in, which holds
requests of the step before, is counted to that one.

Source:
    Monitor online endpoints, metrics `RequestsPerMinute` and `RequestLatency_P99` of
    `Microsoft.MachineLearningServices/workspaces/onlineEndpoints`, split by `deployment` and
    `statusCodeClass`.
"""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ml_pipeline.adapters.azureml.endpoint import Endpoint, deployment_of
from ml_pipeline.domain.errors import PlatformUnavailableError
from ml_pipeline.ports.serving import Window

if TYPE_CHECKING:
    from ml_pipeline.ports.serving import TrafficMetrics

_NAMESPACE = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
_REQUESTS, _P99 = "RequestsPerMinute", "RequestLatency_P99"
_SERVED, _FAILED, _REFUSED = "2xx", "5xx", "4xx"


class AzuremlTraffic:
    """Speaks `ports.serving.TrafficMetrics`.

    Azure counts no requests slower than a limit, so `slow` is None; `p99_ms` is the largest of
    the minutes', which the window's own cannot exceed. A minute with answers whose latency has not
    come is not complete. 4xx is the client's fault and no request, but `refused`.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._workspace = endpoint.workspace

    def window(self, slot: str, start: datetime, end: datetime, slow_ms: float) -> Window:  # noqa: ARG002 - not measured by Azure
        if self._endpoint.find() is None:
            raise PlatformUnavailableError(
                f"endpoint {self._endpoint.name} is not up, so it has no metrics",
                remedy="Deploy a version first.",
            )
        as_of = self._complete()
        split = f"deployment eq '{deployment_of(slot)}' and statusCodeClass eq '*'"
        counted = dict.fromkeys((_SERVED, _FAILED, _REFUSED), 0)
        answered = set()
        for kind, at, value in self._points(_REQUESTS, split, start, end):
            if kind in counted:
                counted[kind] += round(value)
            if kind == _SERVED and value:
                answered.add(at)
        only = f"deployment eq '{deployment_of(slot)}'"
        timed = [(at, value) for _, at, value in self._points(_P99, only, start, end)]
        requests = counted[_SERVED] + counted[_FAILED]
        return Window(
            slot=slot,
            start=start,
            end=end,
            requests=requests,
            errors=counted[_FAILED],
            slow=None,
            p99_ms=max(value for _, value in timed) if timed and requests else None,
            as_of=min([as_of, *(answered - {at for at, _ in timed})]),
            refused=counted[_REFUSED],
        )

    def _complete(self) -> datetime:
        """The end of the last minute whose figures do not change any more."""
        policy = self._workspace.policy
        late = self._workspace.clock.now().timestamp() - policy.metrics_delay_s
        whole = math.floor(late / policy.metrics_period_s) * policy.metrics_period_s
        return datetime.fromtimestamp(whole, UTC)

    def _points(
        self, metric: str, split: str, start: datetime, end: datetime
    ) -> Iterator[tuple[str, datetime, float]]:
        """Status class, beginning and value of each minute that begins in the window."""
        period = timedelta(seconds=self._workspace.policy.metrics_period_s)
        results = self._workspace.tried(
            f"metric {metric} of {self._endpoint.name}",
            lambda: self._workspace.metrics.query_resources(
                resource_ids=[self._endpoint.resource_id],
                metric_namespace=_NAMESPACE,
                metric_names=[metric],
                timespan=(start - period, max(end, start) + period),
                granularity=timedelta(minutes=1),
                aggregations=["Average"],
                filter=split,
            ),
        )
        for one in (
            series for result in results for m in result.metrics for series in m.timeseries
        ):
            kind = next((v for k, v in one.metadata_values.items() if k.lower() == _CLASS), "")
            for point in one.data:
                value: Any = point.average
                at = point.timestamp.astimezone(UTC)
                if value is not None and start <= at < end:
                    yield kind, at, float(value)


_CLASS = "statuscodeclass"

if TYPE_CHECKING:
    _speaks: type[TrafficMetrics] = AzuremlTraffic
