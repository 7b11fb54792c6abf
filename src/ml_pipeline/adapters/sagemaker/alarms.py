"""Alarms on the errors of each variant: what SageMaker can act on while nobody watches."""

from collections.abc import Sequence
from typing import Any

from ml_pipeline.adapters.sagemaker.client import Clients

#: Share of failed requests in a minute that rings; the pipeline's own limits are stricter.
_PER_CENT = 5.0
#: Source: DescribeAlarms and AutoRollbackConfig take at most 10 names in one change.
_MOST = 10


class Alarms:
    """The alarms of one endpoint."""

    def __init__(self, endpoint: str, clients: Clients) -> None:
        self._endpoint = endpoint
        self._clients = clients

    def put(self, slots: Sequence[str]) -> list[str]:
        """One alarm a slot, and none for slots that are gone; their names."""
        wanted = [self._name(slot) for slot in slots][:_MOST]
        for slot in slots[:_MOST]:
            self._clients.call("cloudwatch", "put_metric_alarm", **self._alarm(slot))
        self._remove(sorted(set(self._known()) - set(wanted)))
        return wanted

    def remove_all(self) -> None:
        """Take every alarm of the endpoint away."""
        self._remove(self._known())

    def _remove(self, names: list[str]) -> None:
        if names:
            self._clients.call("cloudwatch", "delete_alarms", AlarmNames=names)

    def _known(self) -> list[str]:
        found = self._clients.pages(
            "cloudwatch", "describe_alarms", "MetricAlarms", AlarmNamePrefix=f"{self._endpoint}/"
        )
        return [str(one["AlarmName"]) for one in found]

    def _name(self, slot: str) -> str:
        return f"{self._endpoint}/{slot}/5xx"

    def _alarm(self, slot: str) -> dict[str, Any]:
        dimensions = [
            {"Name": "EndpointName", "Value": self._endpoint},
            {"Name": "VariantName", "Value": slot},
        ]
        return {
            "AlarmName": self._name(slot),
            "AlarmDescription": "Failed requests of one deployment; made by the pipeline.",
            "Metrics": [
                {
                    "Id": "share",
                    "Expression": "100 * errors / requests",
                    "Label": "failed requests, per cent",
                    "ReturnData": True,
                },
                _summed("errors", "Invocation5XXErrors", dimensions),
                _summed("requests", "Invocations", dimensions),
            ],
            "EvaluationPeriods": 1,
            "DatapointsToAlarm": 1,
            "Threshold": _PER_CENT,
            "ComparisonOperator": "GreaterThanThreshold",
            # without requests there is nothing to divide
            "TreatMissingData": "notBreaching",
        }


def _summed(name: str, metric: str, dimensions: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "Id": name,
        "ReturnData": False,
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/SageMaker",
                "MetricName": metric,
                "Dimensions": dimensions,
            },
            "Period": 60,
            "Stat": "Sum",
        },
    }
