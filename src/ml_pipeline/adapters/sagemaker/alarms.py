"""Alarms on the errors of each variant: what AWS can act on while nobody watches."""

import math
from collections.abc import Sequence
from typing import Any

from ml_pipeline.adapters.sagemaker.client import Clients
from ml_pipeline.domain.policies.cloud_sagemaker import SageMakerPolicy

#: Share of failed requests in a minute that rings; the pipeline's own limits are stricter.
_PER_CENT = 5.0
#: Source: DescribeAlarms and AutoRollbackConfig take at most 10 names in one change.
_MOST = 10
#: Source: range of MaximumExecutionTimeoutInSeconds, SageMaker API reference.
_LEAST_CHANGE_S, _LONGEST_CHANGE_S = 600, 28800


class Alarms:
    """The alarms of one endpoint.

    Args:
        endpoint: its name.
        clients: of CloudWatch.
        actions: ARNs of whom CloudWatch tells when an alarm rings.
    """

    def __init__(self, endpoint: str, clients: Clients, actions: Sequence[str]) -> None:
        self._endpoint = endpoint
        self._clients = clients
        self._actions = list(actions)

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
            "AlarmActions": self._actions,
            "EvaluationPeriods": 1,
            "DatapointsToAlarm": 1,
            "Threshold": _PER_CENT,
            "ComparisonOperator": "GreaterThanThreshold",
            # without requests there is nothing to divide
            "TreatMissingData": "notBreaching",
        }


def guard(alarms: Sequence[str], policy: SageMakerPolicy) -> dict[str, Any]:
    """SageMaker's own guard over a change of the fleet: it goes back when an alarm rings.

    The old fleet is kept while the new one is watched, for `baking_s` after it took the traffic:
    SageMaker looks at alarms for as long, and without such a time it looks at none.

    Traffic between variants is shifted by weights and not by this: its canary takes two steps and
    its linear shift steps of 10 to 50 %, neither of which is 10, 25, 50, 100.

    Source:
        "Blue/Green Deployments", "Use all at once traffic shifting" and "Exclusions" (new and old
        configuration have the same variant names), Amazon SageMaker AI developer guide.
    """
    limit_s = min(max(math.ceil(policy.change_limit_s), _LEAST_CHANGE_S), _LONGEST_CHANGE_S)
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
            "TerminationWaitInSeconds": policy.baking_s,
            "MaximumExecutionTimeoutInSeconds": limit_s,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": one} for one in alarms]},
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
