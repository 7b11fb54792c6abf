"""The embedded platform's adapters, each imported when it is first asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ml_pipeline.ports.platform import Costs, PlatformOrder, Standing
from ml_pipeline.ports.registry import ModelRegistry, ModelVersion
from ml_pipeline.ports.serving import ModelHost, TrafficMetrics, TrafficRouter
from ml_pipeline.ports.training import ArtifactStore, TrainingPlatform

if TYPE_CHECKING:
    from ml_pipeline.adapters.local.runner import LocalRunner
    from ml_pipeline.ports.platform import PlatformParts


@dataclass(frozen=True, kw_only=True)
class LocalParts:
    """Speaks `ports.platform.PlatformParts`.

    Args:
        order: the project's folder, clock and names.
        runner: gives what starts the project's commands.
        bring_up: called before the embedded platform is first talked to.
    """

    order: PlatformOrder
    runner: Callable[[], "LocalRunner"]
    bring_up: Callable[[], None]

    @cached_property
    def training(self) -> TrainingPlatform:
        from ml_pipeline.adapters.local.training import LocalTraining

        return LocalTraining(self.order.state, self.runner(), self.order.clock)

    @cached_property
    def artifacts(self) -> ArtifactStore:
        from ml_pipeline.adapters.local.artifacts import LocalArtifacts

        return LocalArtifacts(self.order.state / "artifacts")

    @cached_property
    def registry(self) -> ModelRegistry:
        from ml_pipeline.adapters.local.registry import MlflowRegistry

        return MlflowRegistry(self.order.state, self.order.clock)

    @cached_property
    def champion_hint(self) -> Callable[[], ModelVersion | None]:
        from ml_pipeline.adapters.local.champion_cache import (
            DATABASE,
            noted_champion,
            read_champion_cache,
        )

        state, model = self.order.state, self.order.model

        def hint() -> ModelVersion | None:
            noted = read_champion_cache(state, model)
            never = noted_champion(state, model) is None and not (state / DATABASE).exists()
            if noted is not None or never:
                return noted
            return self.registry.champion(model)

        return hint

    @cached_property
    def staging_host(self) -> ModelHost:
        return self._host("staging")

    @cached_property
    def production_host(self) -> ModelHost:
        return self._host("production")

    def _host(self, endpoint: str) -> ModelHost:
        from ml_pipeline.adapters.local.host import LocalHost

        self.bring_up()
        return LocalHost(
            self.order.state,
            endpoint=endpoint,
            clock=self.order.clock,
            trusted_types=self.order.trusted_types,
        )

    @cached_property
    def router(self) -> TrafficRouter:
        from ml_pipeline.adapters.local.router import LocalRouter

        self.bring_up()
        return LocalRouter(self.order.state, clock=self.order.clock)

    @cached_property
    def traffic(self) -> TrafficMetrics:
        from ml_pipeline.adapters.local.traffic import LocalTraffic

        self.bring_up()
        return LocalTraffic(self.order.state, clock=self.order.clock)

    @cached_property
    def costs(self) -> Costs:
        return _NothingToPay()

    def dismantle(self) -> None:
        """Nothing: deployments end with the embedded platform, and lie in its state folder."""

    def close(self) -> None:
        """Nothing: between two requests to this machine no connection is kept."""


class _NothingToPay:
    """Speaks `ports.platform.Costs`: this machine is paid for already."""

    def standing(self) -> Sequence[Standing]:
        return ()


if TYPE_CHECKING:
    _speaks: type[PlatformParts] = LocalParts
