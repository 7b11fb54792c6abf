"""What a project leaves running on Vertex AI."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from google.cloud.aiplatform_v1 import types

from ml_pipeline.adapters.vertex.client import Clients
from ml_pipeline.adapters.vertex.deploying import looked_at
from ml_pipeline.adapters.vertex.endpoint import ROLE, Endpoint
from ml_pipeline.adapters.vertex.names import PROJECT
from ml_pipeline.adapters.vertex.training import VertexTraining
from ml_pipeline.ports.platform import Standing

if TYPE_CHECKING:
    from ml_pipeline.ports.platform import Costs


class VertexCosts:
    """Speaks `ports.platform.Costs`.

    Args:
        model: the project's name.
        clients: who asks.
        training: knows the jobs.
    """

    def __init__(self, model: str, clients: Clients, training: VertexTraining) -> None:
        self._model = model
        self._clients = clients
        self._training = training

    def standing(self) -> Sequence[Standing]:
        policy = self._clients.policy
        found = [
            Standing(
                kind="training job",
                name=job.ref.name,
                since=job.started_at,
                what=f"{policy.machine_count} x {policy.machine_type}",
            )
            for job in self._training.running(self._model)
        ]
        for endpoint in self._endpoints():
            found += self._coming(endpoint)
            for one in endpoint.deployed_models:
                asked = one.dedicated_resources
                count = f"{asked.min_replica_count} to {asked.max_replica_count}"
                found.append(
                    Standing(
                        kind="deployment",
                        name=f"{endpoint.name} {one.display_name}",
                        since=one.create_time,
                        what=f"{count} x {asked.machine_spec.machine_type}",
                    )
                )
        return sorted(found, key=lambda one: one.since)

    def _coming(self, endpoint: types.Endpoint) -> list[Standing]:
        """What it does not list yet, and what will cost."""
        there = Endpoint(self._clients, self._model, endpoint.labels.get(ROLE, ""))
        _, under_way = looked_at(there, {})
        return [
            Standing(
                kind="deployment",
                name=f"{endpoint.name} {slot}",
                since=one.since,
                what=f"version {one.version}, being deployed",
            )
            for slot, one in under_way.items()
        ]

    def _endpoints(self) -> Sequence[types.Endpoint]:
        return self._clients.listed(
            "for the project's endpoints",
            self._clients.endpoints.list_endpoints,
            request={
                "parent": self._clients.parent,
                "filter": f'labels.{PROJECT}="{self._model}"',
            },
        )


if TYPE_CHECKING:
    _speaks: type[Costs] = VertexCosts
