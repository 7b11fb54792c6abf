"""SageMaker's adapters, each imported when it is first asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ml_pipeline.domain.policies.cloud_sagemaker import SageMakerPolicy
from ml_pipeline.ports.platform import Costs, PlatformOrder
from ml_pipeline.ports.registry import ModelRegistry, ModelVersion
from ml_pipeline.ports.serving import ModelHost, TrafficMetrics, TrafficRouter
from ml_pipeline.ports.training import ArtifactStore, TrainingPlatform

if TYPE_CHECKING:
    from ml_pipeline.adapters.sagemaker.client import Clients
    from ml_pipeline.adapters.sagemaker.endpoint import Endpoint
    from ml_pipeline.adapters.sagemaker.proxy import SigningProxy
    from ml_pipeline.ports.platform import PlatformParts


@dataclass(frozen=True, kw_only=True)
class SageMakerParts:
    """Speaks `ports.platform.PlatformParts`."""

    order: PlatformOrder
    policy: SageMakerPolicy

    @cached_property
    def _clients(self) -> "Clients":
        from ml_pipeline.adapters.sagemaker.client import Clients

        return Clients(self.policy, self.order.clock)

    @cached_property
    def training(self) -> TrainingPlatform:
        from ml_pipeline.adapters.sagemaker.training import SageMakerTraining

        return SageMakerTraining(self._clients, self.policy, self.order.clock)

    @cached_property
    def artifacts(self) -> ArtifactStore:
        from ml_pipeline.adapters.sagemaker.artifacts import SageMakerArtifacts

        return SageMakerArtifacts(self._clients, self.policy)

    @cached_property
    def registry(self) -> ModelRegistry:
        from ml_pipeline.adapters.sagemaker.registry import SageMakerRegistry

        return SageMakerRegistry(self._clients, self.policy, self.order.clock)

    @cached_property
    def champion_hint(self) -> Callable[[], ModelVersion | None]:
        return lambda: self.registry.champion(self.order.model)

    @cached_property
    def _proxy(self) -> "SigningProxy":
        from ml_pipeline.adapters.sagemaker.proxy import SigningProxy

        return SigningProxy(self._clients)

    @cached_property
    def _staging(self) -> "Endpoint":
        return self._endpoint("staging")

    @cached_property
    def _production(self) -> "Endpoint":
        return self._endpoint("production")

    def _endpoint(self, name: str) -> "Endpoint":
        from ml_pipeline.adapters.sagemaker.endpoint import Endpoint

        return Endpoint(f"{self.order.model}-{name}", self._clients, self.policy, self.order.clock)

    @cached_property
    def staging_host(self) -> ModelHost:
        return self._host(self._staging, guarded=False)

    @cached_property
    def production_host(self) -> ModelHost:
        return self._host(self._production, guarded=True)

    def _host(self, endpoint: "Endpoint", *, guarded: bool) -> ModelHost:
        from ml_pipeline.adapters.sagemaker.host import SageMakerHost

        trusted = self.order.trusted_types
        return SageMakerHost(endpoint, self._proxy, guarded=guarded, trusted_types=trusted)

    @cached_property
    def router(self) -> TrafficRouter:
        from ml_pipeline.adapters.sagemaker.router import SageMakerRouter

        return SageMakerRouter(self._production, self._proxy)

    @cached_property
    def traffic(self) -> TrafficMetrics:
        from ml_pipeline.adapters.sagemaker.traffic import SageMakerTraffic

        return SageMakerTraffic(self._production.name, self._clients, self.policy, self.order.clock)

    @cached_property
    def costs(self) -> Costs:
        from ml_pipeline.adapters.sagemaker.costs import SageMakerCosts

        endpoints = (self._staging, self._production)
        return SageMakerCosts(self.order.model, self._clients, endpoints, self.training)

    def dismantle(self) -> None:
        for endpoint in (self._staging, self._production):
            if endpoint.settled() is not None:
                endpoint.delete()

    def close(self) -> None:
        for name in ("_proxy", "_clients"):
            if name in vars(self):
                vars(self)[name].close()


if TYPE_CHECKING:
    _speaks: type[PlatformParts] = SageMakerParts
