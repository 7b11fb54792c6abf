"""What a project leaves running on SageMaker."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ml_pipeline.adapters.sagemaker.client import Clients, utc
from ml_pipeline.adapters.sagemaker.endpoint import Endpoint
from ml_pipeline.ports.platform import Standing
from ml_pipeline.ports.training import TrainingPlatform

if TYPE_CHECKING:
    from ml_pipeline.ports.platform import Costs


class SageMakerCosts:
    """Speaks `ports.platform.Costs`: endpoints by their variants, and jobs that have not ended.

    What lies in S3 and in CloudWatch costs too, by size and not by the hour: it is not listed.
    """

    def __init__(
        self,
        model: str,
        clients: Clients,
        endpoints: Sequence[Endpoint],
        training: TrainingPlatform,
    ) -> None:
        self._model = model
        self._clients = clients
        self._endpoints = endpoints
        self._training = training

    def standing(self) -> Sequence[Standing]:
        found = [*self._served(), *self._trained()]
        return sorted(found, key=lambda one: one.since)

    def _served(self) -> Iterator[Standing]:
        for endpoint in self._endpoints:
            seen = endpoint.seen()
            if seen is None:
                continue
            kind = endpoint.policy.serving_instance_type
            told = [
                f"{one.slot} on {one.instances} x {kind}"
                for one in sorted(seen.variants.values(), key=lambda one: one.slot)
            ]
            yield Standing(
                kind="endpoint",
                name=endpoint.name,
                since=seen.since,
                what=f"{seen.status}: {', '.join(told) or 'no variants'}",
            )

    def _trained(self) -> Iterator[Standing]:
        for one in self._training.running(self._model):
            found = self._clients.call(
                "sagemaker", "describe_training_job", TrainingJobName=one.ref.name
            )
            machine = found["ResourceConfig"]
            yield Standing(
                kind="training job",
                name=one.ref.name,
                since=utc(found["CreationTime"]),
                what=f"{machine['InstanceCount']} x {machine['InstanceType']}",
            )


if TYPE_CHECKING:
    _speaks: type[Costs] = SageMakerCosts
