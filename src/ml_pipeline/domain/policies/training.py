"""How a model is trained, tried small, and what it must leave behind."""

from enum import StrEnum

from pydantic import Field

from ml_pipeline.domain.policies.base import Argv, Policy, Positive

#: The values `[hyperparameters]` may hold; appended to the training command as `--name value`.
Hyperparameter = bool | int | float | str


class HyperparameterStyle(StrEnum):
    """How names become options: `max_depth` as `--max-depth`, `--max_depth`, `max_depth=…`."""

    DASHED = "dashed"
    UNDERSCORED = "underscored"
    ASSIGNED = "assigned"


class EnvironmentPolicy(Policy):
    """`[environment]`: the project's own environment, made with uv.

    Found by itself: `uv.lock`, else `pyproject.toml` (its dependencies, and `groups` and
    `extras` where named), else `requirements`.
    """

    python: str | None = None
    requirements: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    #: environment variables the project's own commands see, besides a small clean set
    variables: dict[str, str] = Field(default_factory=dict)
    #: names of variables handed through from the caller's environment
    pass_variables: tuple[str, ...] = ()


class ChecksPolicy(Policy):
    """`[checks]`: the project's own commands; `{junit}` and `{coverage}` are files to write."""

    lint: tuple[Argv, ...] = ()
    unit_test: Argv | None = None
    time_limit_s: Positive = 900


class TrainPolicy(Policy):
    """`[train]`: the training command with `{data}` (a file) and `{output}` (a folder).

    It exits 0 and leaves `artifact` and `metrics` (flat JSON, name to number) in `{output}`.
    """

    command: Argv
    hyperparameter_style: HyperparameterStyle = HyperparameterStyle.DASHED
    artifact: str = "model.skops"
    metrics: str = "metrics.json"
    #: key of the model in the artifact when that is a mapping (the FreshMart convention)
    model_key: str = "model"
    #: key of the feature names there; when present they must equal `data.features`
    features_key: str = "feature_cols"
    #: pickle and joblib run code when loaded: refused unless the project asks for them
    allow_pickle: bool = False
    #: skops types trusted besides its own list; never read from the artifact itself
    trusted_types: tuple[str, ...] = ()
    time_limit_s: Positive = 3600
    poll_s: Positive = 30
    smoke_rows: int = Field(default=500, ge=10)
    smoke_hyperparameters: dict[str, Hyperparameter] = Field(default_factory=dict)
    smoke_seed: int = 0
    smoke_time_limit_s: Positive = 600


class PackagePolicy(Policy):
    """`[package]`: what is served; `export` is the project's own way to ONNX, if it has one.

    `export` may hold `{model}` (the trained artifact) and `{output}` (the ONNX file).
    """

    format: str = Field(default="onnx", pattern="^(onnx|skops)$")
    export: Argv | None = None
    #: largest difference between packaged and trained model, relative to 1 + |prediction|
    parity_tolerance: Positive = 1e-4
    parity_rows: int = Field(default=1000, ge=10)
    #: requirement lines installed beside the project's own for the export
    requirements: tuple[str, ...] = ()
