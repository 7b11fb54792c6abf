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

    Made from `requirements` where set (lines, or names of files), else from what is found:
    `uv.lock`, else the dependencies in `pyproject.toml`, else `requirements.txt`. Without
    `groups` and `extras`, those for development come along, so that the checks can run.
    """

    #: version of Python, when not the one the project asks for
    python: str | None = None
    #: requirement files, instead of what is found
    requirements: tuple[str, ...] = ()
    #: dependency groups to install besides; otherwise those named like dev, test, lint
    groups: tuple[str, ...] = ()
    #: extras to install besides; otherwise those named like dev, test, lint
    extras: tuple[str, ...] = ()
    #: environment variables the project's own commands see, besides a small clean set; in a
    #: cloud's training too, where they stand in the job's description
    variables: dict[str, str] = Field(default_factory=dict)
    #: names of variables handed through from the caller's environment, on this machine only
    pass_variables: tuple[str, ...] = ()


class ChecksPolicy(Policy):
    """`[checks]`: the project's own commands; `{junit}` and `{coverage}` are files to write."""

    #: commands that must exit 0
    lint: tuple[Argv, ...] = ()
    #: the unit tests; may hold `{junit}` and `{coverage}`
    unit_test: Argv | None = None
    #: seconds each command may take
    time_limit_s: Positive = 900


class TrainPolicy(Policy):
    """`[train]`: the training command with `{data}` (a file) and `{output}` (a folder).

    It exits 0 and leaves `artifact` and `metrics` (JSON, names and numbers) in `{output}`.
    """

    #: the training; must hold `{data}` and `{output}`, hyperparameters are appended
    command: Argv
    #: `--max-depth 3`, `--max_depth 3` or `max_depth=3`
    hyperparameter_style: HyperparameterStyle = HyperparameterStyle.DASHED
    #: the model's file in `{output}`
    artifact: str = "model.skops"
    #: the metrics' file in `{output}`; nested ones go by their path, as in `valid.mae`
    metrics: str = "metrics.json"
    #: key of the model in the artifact when that is a mapping (the FreshMart convention)
    model_key: str = "model"
    #: key of the feature names there; when present they must equal `data.features`
    features_key: str = "feature_cols"
    #: pickle and joblib run code when loaded: refused unless the project asks for them
    allow_pickle: bool = False
    #: skops types trusted besides its own list; never read from the artifact itself
    trusted_types: tuple[str, ...] = ()
    #: seconds until a training is cancelled
    time_limit_s: Positive = 3600
    #: seconds between two looks at a training
    poll_s: Positive = 30
    #: rows of the smoke training
    smoke_rows: int = Field(default=500, ge=10)
    #: laid over `[hyperparameters]` for the smoke training, to keep it small
    smoke_hyperparameters: dict[str, Hyperparameter] = Field(default_factory=dict)
    #: seed of the rows the smoke training uses
    smoke_seed: int = 0
    #: seconds a smoke training may take
    smoke_time_limit_s: Positive = 600


class PackagePolicy(Policy):
    """`[package]`: what is served; `export` is the project's own way to ONNX, if it has one.

    `export` may hold `{model}` (the trained artifact) and `{output}` (the ONNX file).
    """

    #: what is served
    format: str = Field(default="onnx", pattern="^(onnx|skops)$")
    #: the project's own way to ONNX; may hold `{model}` and `{output}`
    export: Argv | None = None
    #: largest difference between packaged and trained model, relative to 1 + |prediction|
    parity_tolerance: Positive = 1e-4
    #: rows both are compared on
    parity_rows: int = Field(default=1000, ge=10)
    #: requirement lines installed beside the project's own for the export
    requirements: tuple[str, ...] = ()
