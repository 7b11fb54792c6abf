"""What a container is told about its training, and what it tells: the same words on every cloud.

Adapters write the variables, `entry/train.py` reads them; docs/containers.md has the whole.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.domain.policies.training import Hyperparameter, HyperparameterStyle
from ml_pipeline.ports.training import TrainingRequest

#: Everything the pipeline tells a container begins with it.
PREFIX = "ML_PIPELINE_"
LAYOUT, ROOT = f"{PREFIX}LAYOUT", f"{PREFIX}ROOT"
COMMAND, ARTIFACT, METRICS = f"{PREFIX}COMMAND", f"{PREFIX}ARTIFACT", f"{PREFIX}METRICS"
HYPERPARAMETERS, VARIABLES = f"{PREFIX}HYPERPARAMETERS", f"{PREFIX}VARIABLES"
#: The file that script mode installs before it trains; its program lies in `entry/script_mode.py`.
REQUIREMENTS = f"{PREFIX}REQUIREMENTS"
HYPERPARAMETER_STYLE = f"{PREFIX}HYPERPARAMETER_STYLE"
DATA, OUTPUT, SOURCE = f"{PREFIX}DATA", f"{PREFIX}OUTPUT", f"{PREFIX}SOURCE"
PROJECT_ENV = f"{PREFIX}PROJECT_ENV"
SLOT, VERSION, MODEL = f"{PREFIX}SLOT", f"{PREFIX}VERSION", f"{PREFIX}MODEL"
TRUSTED_TYPES = f"{PREFIX}TRUSTED_TYPES"

#: SageMaker's channels: a folder each below `input/data`.
DATA_CHANNEL, SOURCE_CHANNEL, SCRIPT_CHANNEL = "training", "source", "script"
#: What lies in the output besides what the training wrote, whatever that calls its own files.
METRICS_FILE, FAILURE_FILE = "metrics.json", "failure.txt"

_T = TypeVar("_T")
_WORDS = TypeAdapter(tuple[str, ...])
_VALUES = TypeAdapter(dict[str, Hyperparameter])
_TEXTS = TypeAdapter(dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerJob:
    """A training as a container knows it.

    `argv` holds `{data}` and `{output}`. Without a `style` the hyperparameters are in it already
    and are only shown; with one they are appended, as a tuning job of the cloud's own needs it.
    `variables` are set for the training besides the container's own.
    """

    argv: tuple[str, ...]
    artifact: str
    metrics: str
    hyperparameters: Mapping[str, Hyperparameter]
    style: HyperparameterStyle | None
    variables: Mapping[str, str]


def variables_of(request: TrainingRequest) -> dict[str, str]:
    """What a request becomes in a container's environment, or among SageMaker's hyperparameters.

    Of SageMaker's two places the second takes 2,500 characters a value, the first 512.
    """
    return {
        COMMAND: json.dumps(request.argv),
        ARTIFACT: request.artifact,
        METRICS: request.metrics,
        HYPERPARAMETERS: json.dumps(dict(request.hyperparameters)),
        **({VARIABLES: json.dumps(dict(request.variables))} if request.variables else {}),
    }


def job_of(variables: Mapping[str, str]) -> ContainerJob:
    """The training these variables ask for; the other way round than `variables_of`.

    Raises:
        ConfigurationError: one is missing or cannot be read; names it.
    """
    for name in (COMMAND, ARTIFACT, METRICS):
        if not variables.get(name):
            raise ConfigurationError(
                f"the container was not told {name}",
                remedy=f"Set {name} in the job's environment; see docs/containers.md.",
            )
    style = variables.get(HYPERPARAMETER_STYLE)
    known = list(HyperparameterStyle)
    if style is not None and style not in known:
        raise ConfigurationError(
            f"{HYPERPARAMETER_STYLE} = {style!r} is none of {', '.join(known)}",
            remedy="Correct it, or leave it out.",
        )
    argv = _read(COMMAND, variables[COMMAND], _WORDS, "a JSON list of words")
    if not argv:
        raise ConfigurationError(f"{COMMAND} is an empty list", remedy="Give a command.")
    shown = variables.get(HYPERPARAMETERS, "{}")
    values = _read(HYPERPARAMETERS, shown, _VALUES, "a flat JSON object")
    given = _read(VARIABLES, variables.get(VARIABLES, "{}"), _TEXTS, "a JSON object of texts")
    return ContainerJob(
        argv=argv,
        artifact=variables[ARTIFACT],
        metrics=variables[METRICS],
        hyperparameters=values,
        style=HyperparameterStyle(style) if style else None,
        variables=given,
    )


def metric_line(name: str, value: float) -> str:
    """The line a container prints for a metric.

    >>> metric_line("mae", 4.5)
    'ml-pipeline metric mae=4.5;'
    """
    return f"ml-pipeline metric {name}={value!r};"


def metric_pattern(name: str) -> str:
    """The regular expression that finds a metric's value in the log, for SageMaker.

    >>> re.search(metric_pattern("mae"), metric_line("mae", 4.5))[1]
    '4.5'
    """
    return f"ml-pipeline metric {re.escape(name)}=([^;]+);"


def _read(name: str, text: str, shape: "TypeAdapter[_T]", what: str) -> _T:
    try:
        return shape.validate_json(text, strict=True)
    except ValidationError as error:
        raise ConfigurationError(
            f"{name} is not {what}: {text[:200]!r}", remedy="Write it as JSON."
        ) from error
