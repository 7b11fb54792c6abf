"""Vertex AI's adapters, each imported when it is first asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ml_pipeline.domain.policies.cloud_vertex import VertexPolicy
from ml_pipeline.ports.platform import Costs, PlatformOrder
from ml_pipeline.ports.registry import ModelRegistry, ModelVersion
from ml_pipeline.ports.serving import ModelHost, TrafficMetrics, TrafficRouter
from ml_pipeline.ports.training import ArtifactStore

if TYPE_CHECKING:
    from ml_pipeline.adapters.vertex.client import Clients
    from ml_pipeline.adapters.vertex.endpoint import Endpoint
    from ml_pipeline.adapters.vertex.proxy import PredictProxy
    from ml_pipeline.adapters.vertex.storage import Bucket
    from ml_pipeline.adapters.vertex.training import VertexTraining
    from ml_pipeline.ports.platform import PlatformParts


@dataclass(frozen=True, kw_only=True)
class VertexParts:
    """Speaks `ports.platform.PlatformParts`."""

    order: PlatformOrder
    policy: VertexPolicy

    @cached_property
    def _clients(self) -> "Clients":
        from ml_pipeline.adapters.vertex.client import Clients

        return Clients(self.policy, self.order.clock)

    @cached_property
    def _bucket(self) -> "Bucket":
        from ml_pipeline.adapters.vertex.storage import Bucket

        return Bucket(self._clients, self.order.model)

    @cached_property
    def _proxy(self) -> "PredictProxy":
        from ml_pipeline.adapters.vertex.proxy import PredictProxy

        return PredictProxy(self._clients)

    @cached_property
    def _production(self) -> "Endpoint":
        from ml_pipeline.adapters.vertex.endpoint import Endpoint

        return Endpoint(self._clients, self.order.model, "production")

    @cached_property
    def training(self) -> "VertexTraining":
        from ml_pipeline.adapters.vertex.training import VertexTraining

        return VertexTraining(self._clients, self._bucket)

    @cached_property
    def artifacts(self) -> ArtifactStore:
        from ml_pipeline.adapters.vertex.artifacts import VertexArtifacts

        return VertexArtifacts(self._bucket)

    @cached_property
    def registry(self) -> ModelRegistry:
        from ml_pipeline.adapters.vertex.registry import VertexRegistry

        return VertexRegistry(
            self._clients, self._bucket, self.order.clock, self.order.trusted_types
        )

    @cached_property
    def champion_hint(self) -> Callable[[], ModelVersion | None]:
        return lambda: self.registry.champion(self.order.model)

    @cached_property
    def staging_host(self) -> ModelHost:
        return self._host("staging")

    @cached_property
    def production_host(self) -> ModelHost:
        return self._host("production")

    def _host(self, endpoint: str) -> ModelHost:
        from ml_pipeline.adapters.vertex.host import VertexHost

        return VertexHost(self._clients, self.order.model, endpoint, self._proxy)

    @cached_property
    def router(self) -> TrafficRouter:
        from ml_pipeline.adapters.vertex.router import VertexRouter

        return VertexRouter(self._production, self._proxy, self.order.clock)

    @cached_property
    def traffic(self) -> TrafficMetrics:
        from ml_pipeline.adapters.vertex.traffic import VertexTraffic

        return VertexTraffic(self._production, self.order.clock)

    @cached_property
    def costs(self) -> Costs:
        from ml_pipeline.adapters.vertex.costs import VertexCosts

        return VertexCosts(self.order.model, self._clients, self.training)

    def dismantle(self) -> None:
        for staged in self.staging_host.list():
            self.staging_host.remove(staged.slot)
        for operation in self._production.deploying():
            self._production.cancel(operation)
            self._clients.ended("to stop a deployment", operation)
        found = self._production.get()
        shares = dict(found.traffic_split) if found else {}
        # What has traffic can go only when it is the last one there.
        idle_first = sorted(
            found.deployed_models if found else (), key=lambda it: shares.get(it.id, 0)
        )
        for one in idle_first:
            self._production.undeploy(one)
        self._production.delete()

    def close(self) -> None:
        for name in ("_proxy", "_bucket", "_clients"):
            if name in vars(self):
                vars(self)[name].close()


if TYPE_CHECKING:
    _speaks: type[PlatformParts] = VertexParts
