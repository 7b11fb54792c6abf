"""What a configuration holds, and the frozen settings a run works with."""

import hashlib
import json
from pathlib import Path

from pydantic import Field

from ml_pipeline.domain.policies.base import Name, Policy
from ml_pipeline.domain.policies.cloud_azureml import AzuremlPolicy
from ml_pipeline.domain.policies.cloud_sagemaker import SageMakerPolicy
from ml_pipeline.domain.policies.cloud_vertex import VertexPolicy
from ml_pipeline.domain.policies.data import DataPolicy
from ml_pipeline.domain.policies.gate import DriftPolicy, GatePolicy, MetricPolicy, RetrainPolicy
from ml_pipeline.domain.policies.release import (
    ApprovalPolicy,
    LoadPolicy,
    NotifyPolicy,
    RetentionPolicy,
    RolloutPolicy,
    StagingPolicy,
)
from ml_pipeline.domain.policies.training import (
    ChecksPolicy,
    EnvironmentPolicy,
    Hyperparameter,
    PackagePolicy,
    TrainPolicy,
)
from ml_pipeline.settings.profiles import PROFILES, Platform, ProfileName


class LocalPolicy(Policy):
    """`[local]`: the embedded platform; read on the platform `local` only."""

    #: public port of the router on 127.0.0.1; 0 takes a free one
    port: int = Field(default=0, ge=0, le=65535)
    #: requests with the same value of this header stay with one model; without it, at random
    sticky_header: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]{1,64}$")


class Configuration(Policy):
    """Everything a configuration file may hold."""

    #: name of the model in the registry, in labels and in URLs
    model: Name
    #: where training and serving run; `ML_PLATFORM` chooses it too
    platform: Platform = Platform.LOCAL
    #: default waits: `laptop` on the platform `local`, `production` elsewhere
    profile: ProfileName = ProfileName.LAPTOP
    environment: EnvironmentPolicy = EnvironmentPolicy()
    data: DataPolicy
    checks: ChecksPolicy = ChecksPolicy()
    train: TrainPolicy
    #: options appended to the training command, by name
    hyperparameters: dict[str, Hyperparameter] = Field(default_factory=dict)
    metric: MetricPolicy
    gate: GatePolicy
    drift: DriftPolicy = DriftPolicy()
    retrain: RetrainPolicy = RetrainPolicy()
    package: PackagePolicy = PackagePolicy()
    staging: StagingPolicy = StagingPolicy()
    load: LoadPolicy = LoadPolicy()
    approval: ApprovalPolicy = ApprovalPolicy()
    rollout: RolloutPolicy = RolloutPolicy()
    retention: RetentionPolicy = RetentionPolicy()
    notify: NotifyPolicy = NotifyPolicy()
    local: LocalPolicy = LocalPolicy()
    sagemaker: SageMakerPolicy = SageMakerPolicy()
    azureml: AzuremlPolicy = AzuremlPolicy()
    vertex: VertexPolicy = VertexPolicy()


#: What cannot change a verdict: where it runs, who is told, what is kept, when training is due.
_NO_VERDICT = frozenset(
    {"platform", "profile", "retrain", "approval", "retention", "notify"}
    | {"local", "azureml", "sagemaker", "vertex"}
)


class Settings(Configuration):
    """One project's effective settings.

    `source` is the project's folder and `file` its configuration, both absolute. `origins` maps
    a dotted key to where its value came from; a key that is not in it has its default.
    """

    source: Path
    file: Path
    origins: dict[str, str] = Field(default_factory=dict)

    @property
    def clock_scale(self) -> float:
        """How many of the project's seconds pass in one of the host's."""
        return PROFILES[self.profile].clock_scale

    def digest(self) -> str:
        """SHA-256 of what matters to a verdict; equal settings of equal projects share it."""
        names = sorted(set(Configuration.model_fields) - _NO_VERDICT)
        content = self.model_dump(mode="json", include=set(names))
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()
