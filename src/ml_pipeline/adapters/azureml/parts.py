"""Azure ML's adapters, each imported when it is first asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ml_pipeline.domain.policies.cloud_azureml import AzuremlPolicy
from ml_pipeline.ports.platform import Costs, PlatformOrder
from ml_pipeline.ports.registry import ModelRegistry, ModelVersion
from ml_pipeline.ports.serving import ModelHost, TrafficMetrics, TrafficRouter

if TYPE_CHECKING:
    from ml_pipeline.adapters.azureml.artifacts import AzuremlArtifacts
    from ml_pipeline.adapters.azureml.client import Workspace
    from ml_pipeline.adapters.azureml.endpoint import Endpoint
    from ml_pipeline.adapters.azureml.proxy import KeyProxy
    from ml_pipeline.adapters.azureml.training import AzuremlTraining
    from ml_pipeline.ports.platform import PlatformParts


@dataclass(frozen=True, kw_only=True)
class AzuremlParts:
    """Speaks `ports.platform.PlatformParts`."""

    order: PlatformOrder
    policy: AzuremlPolicy

    @cached_property
    def _workspace(self) -> "Workspace":
        from ml_pipeline.adapters.azureml.client import Workspace

        return Workspace(self.policy, self.order.clock, self.order.environ)

    @cached_property
    def training(self) -> "AzuremlTraining":
        from ml_pipeline.adapters.azureml.training import AzuremlTraining

        return AzuremlTraining(self._workspace, self.artifacts)

    @cached_property
    def artifacts(self) -> "AzuremlArtifacts":
        from ml_pipeline.adapters.azureml.artifacts import AzuremlArtifacts

        return AzuremlArtifacts(self._workspace)

    @cached_property
    def registry(self) -> ModelRegistry:
        from ml_pipeline.adapters.azureml.registry import AzuremlRegistry

        return AzuremlRegistry(self._workspace, self.artifacts, self.order.clock)

    @cached_property
    def champion_hint(self) -> Callable[[], ModelVersion | None]:
        return lambda: self.registry.champion(self.order.model)

    @cached_property
    def _proxy(self) -> "KeyProxy":
        from ml_pipeline.adapters.azureml.proxy import KeyProxy

        return KeyProxy()

    def _endpoint(self, role: str) -> "Endpoint":
        from ml_pipeline.adapters.azureml.endpoint import Endpoint

        return Endpoint(self._workspace, self.order.model, role)

    def _host(self, role: str) -> ModelHost:
        from ml_pipeline.adapters.azureml.host import AzuremlHost

        return AzuremlHost(self._endpoint(role), self._proxy, self.order.trusted_types)

    @cached_property
    def staging_host(self) -> ModelHost:
        return self._host("staging")

    @cached_property
    def production_host(self) -> ModelHost:
        return self._host("production")

    @cached_property
    def router(self) -> TrafficRouter:
        from ml_pipeline.adapters.azureml.router import AzuremlRouter

        return AzuremlRouter(self._endpoint("production"), self._proxy)

    @cached_property
    def traffic(self) -> TrafficMetrics:
        from ml_pipeline.adapters.azureml.traffic import AzuremlTraffic

        return AzuremlTraffic(self._endpoint("production"))

    @cached_property
    def costs(self) -> Costs:
        from ml_pipeline.adapters.azureml.costs import AzuremlCosts

        return AzuremlCosts(self.order.model, self._workspace, self.training)

    def dismantle(self) -> None:
        for endpoint in (self._endpoint("staging"), self._endpoint("production")):
            if endpoint.find() is not None:
                endpoint.delete()

    def close(self) -> None:
        for name in ("_proxy", "_workspace"):
            if name in vars(self):
                vars(self)[name].close()


if TYPE_CHECKING:
    _speaks: type[PlatformParts] = AzuremlParts
