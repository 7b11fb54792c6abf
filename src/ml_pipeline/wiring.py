"""The only place that chooses adapters; each is imported when it is first asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.adapters.local.evidence import LocalRuns
from ml_pipeline.adapters.local.memo import FolderMemo
from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.ports.evidence import Folder
from ml_pipeline.ports.load import LoadGenerator
from ml_pipeline.ports.models import PackagedModels, TrainedModels
from ml_pipeline.ports.platform import Costs, PlatformOrder, PlatformParts
from ml_pipeline.ports.registry import Bundles, ModelRegistry, ModelVersion
from ml_pipeline.ports.reporting import Notifier, ReportWriter
from ml_pipeline.ports.serving import ModelHost, TrafficMetrics, TrafficRouter
from ml_pipeline.ports.tables import TableStore
from ml_pipeline.ports.training import ArtifactStore, TrainingPlatform
from ml_pipeline.settings import Secrets, Settings
from ml_pipeline.settings.profiles import Platform

if TYPE_CHECKING:
    from ml_pipeline.adapters.local.runner import LocalRunner


class _Late:
    """A port made when it is first used: a run with nothing to do never needs the heavy ones."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> object:
        return getattr(self._make(), name)


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """Every port of one project, made on demand; `state` and `runs_root` are folders."""

    settings: Settings
    secrets: Secrets
    environ: Mapping[str, str]
    state: Path
    runs_root: Path
    clock: HostClock
    #: called before the embedded platform is first talked to
    bring_up: Callable[[], None]

    def provide(self, name: str, folder: Folder) -> Any:
        """What a stage's `run` means by one of its parameters.

        Raises:
            LookupError: no port, policy or value has that name.
        """
        if name == "stage":
            return folder
        if name in type(self.settings).model_fields:
            return getattr(self.settings, name)
        if name == "clock" or isinstance(getattr(type(self), name, None), cached_property):
            return getattr(self, name)
        raise LookupError(f"stage {folder.stage} asks for {name!r}, which nothing provides")

    def close(self) -> None:
        """Give back the platform's connections, if any was made."""
        if "parts" in vars(self):
            self.parts.close()

    @cached_property
    def project(self) -> str:
        """The name jobs and evidence carry."""
        return self.settings.model

    @cached_property
    def runs(self) -> LocalRuns:
        """The project's runs."""
        return LocalRuns(self.runs_root, self.clock)

    @cached_property
    def memo(self) -> FolderMemo:
        """Answers kept across runs."""
        return FolderMemo(self.state / "cache")

    @cached_property
    def runner(self) -> "LocalRunner":
        """The project's own environment."""
        from ml_pipeline.adapters.local.runner import LocalRunner

        return LocalRunner(
            source=self.settings.source,
            state=self.state,
            policy=self.settings.environment,
            clock=self.clock,
            environ=self.environ,
        )

    @cached_property
    def tables(self) -> TableStore:
        """Rows as files; polars is imported by the first stage that reads any."""

        def made() -> TableStore:
            from ml_pipeline.adapters.local.tables import PolarsTables

            return PolarsTables()

        return cast("TableStore", _Late(made))

    @cached_property
    def parts(self) -> PlatformParts:
        """The chosen platform's adapters: one line a platform, imported when chosen."""
        order = PlatformOrder(
            model=self.settings.model,
            state=self.state,
            clock=self.clock,
            environ=self.environ,
            trusted_types=tuple(self.settings.train.trusted_types),
        )
        match self.settings.platform:
            case Platform.SAGEMAKER:
                from ml_pipeline.adapters.sagemaker.parts import SageMakerParts

                return SageMakerParts(order=order, policy=self.settings.sagemaker)
            case Platform.AZUREML:
                from ml_pipeline.adapters.azureml.parts import AzuremlParts

                return AzuremlParts(order=order, policy=self.settings.azureml)
            case Platform.VERTEX:
                from ml_pipeline.adapters.vertex.parts import VertexParts

                return VertexParts(order=order, policy=self.settings.vertex)
            case Platform.LOCAL:
                from ml_pipeline.adapters.local.parts import LocalParts

                return LocalParts(order=order, runner=lambda: self.runner, bring_up=self.bring_up)
            case other:
                raise ConfigurationError(
                    f"platform {other} has no adapter yet", remedy="Choose another platform."
                )

    @cached_property
    def training(self) -> TrainingPlatform:
        """Where training runs."""
        return self.parts.training

    @cached_property
    def spot_wait_s(self) -> float:
        """Seconds a training may be queued on top of its time limit."""
        if self.settings.platform is Platform.SAGEMAKER and self.settings.sagemaker.spot:
            return self.settings.sagemaker.spot_wait_s
        return 0

    @cached_property
    def artifacts(self) -> ArtifactStore:
        """Where training leaves models."""
        return self.parts.artifacts

    @cached_property
    def registry(self) -> ModelRegistry:
        """Versions and the champion."""
        return self.parts.registry

    @cached_property
    def champion_hint(self) -> Callable[[], ModelVersion | None]:
        """The champion as last written, without asking the registry where that is enough."""
        return self.parts.champion_hint

    @cached_property
    def bundles(self) -> Bundles:
        """Registered bundles on disk."""
        from ml_pipeline.adapters.local.bundles import CachedBundles

        return CachedBundles(lambda: self.registry, self.state / "bundles")

    @cached_property
    def staging_host(self) -> ModelHost:
        """The staging endpoint."""
        return self.parts.staging_host

    @cached_property
    def production_host(self) -> ModelHost:
        """The production endpoint."""
        return self.parts.production_host

    @cached_property
    def router(self) -> TrafficRouter:
        """Who gets which share of production's traffic."""
        return self.parts.router

    @cached_property
    def traffic(self) -> TrafficMetrics:
        """What users of each slot saw."""
        return self.parts.traffic

    @cached_property
    def costs(self) -> Costs:
        """What is left running."""
        return self.parts.costs

    @cached_property
    def packaged(self) -> PackagedModels:
        """Packages in the pipeline's own environment."""
        from ml_pipeline.serving.models import LocalPackagedModels

        return LocalPackagedModels(trusted_types=self.settings.train.trusted_types)

    @cached_property
    def trained(self) -> TrainedModels:
        """Trained models in the project's environment."""
        from ml_pipeline.adapters.local.trained import LocalTrainedModels
        from ml_pipeline.domain.metrics import scores_classes

        return LocalTrainedModels(
            runner=self.runner,
            packaged=self.packaged,
            classifies=scores_classes(self.settings.metric.name),
        )

    @cached_property
    def load_generator(self) -> LoadGenerator:
        """Requests on a schedule."""
        from ml_pipeline.loadgen.generator import ProcessLoadGenerator

        return ProcessLoadGenerator(self.clock, self.environ)

    @cached_property
    def reports(self) -> ReportWriter:
        """HTML, Markdown, JUnit."""
        from ml_pipeline.reporting.writer import FileReportWriter

        return FileReportWriter(secrets=tuple(self.secrets.plain()))

    @cached_property
    def notifier(self) -> Notifier:
        """Slack when a webhook is set, else nobody, said aloud."""
        if self.secrets.slack_webhook is None:
            from ml_pipeline.adapters.local.notifier import LocalNotifier

            return LocalNotifier()
        from ml_pipeline.adapters.slack.notifier import SlackNotifier

        return SlackNotifier(self.secrets.slack_webhook.get_secret_value())
