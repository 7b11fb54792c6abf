"""Where each cloud puts what a container reads and looks for what it leaves.

sagemaker  the tree below /opt/ml
azureml    mounted folders, given as arguments
vertex     AIP_* variables that hold gs:// URIs
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ml_pipeline.domain.cloud_image import PROJECT
from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.ports import containers as told


class Layout(StrEnum):
    """Whose container contract holds."""

    SAGEMAKER = "sagemaker"
    AZUREML = "azureml"
    VERTEX = "vertex"


_OPT_ML = Path("/opt/ml")
_TRAINING_MARKS = {
    Layout.VERTEX: ("AIP_MODEL_DIR", "CLOUD_ML_JOB_ID"),
    Layout.AZUREML: ("AZUREML_RUN_ID", "AZUREML_ARM_WORKSPACE_NAME"),
    Layout.SAGEMAKER: ("TRAINING_JOB_NAME", "SM_MODEL_DIR", "SM_CHANNELS"),
}
_SERVING_MARKS = {
    Layout.VERTEX: ("AIP_STORAGE_URI", "AIP_HTTP_PORT"),
    Layout.AZUREML: ("AZUREML_MODEL_DIR",),
    Layout.SAGEMAKER: ("SAGEMAKER_BIND_TO_PORT", "SAGEMAKER_CONTAINER_LOG_LEVEL", "SM_MODEL_DIR"),
}
#: Of all marks those that a cloud sets for one kind of container only.
_PROGRAM_MARKS = {
    "serve": ("AZUREML_MODEL_DIR", "AIP_STORAGE_URI", "AIP_HTTP_PORT"),
    "train": ("AZUREML_RUN_ID", "AIP_MODEL_DIR", "CLOUD_ML_JOB_ID"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlaces:
    """Where a training finds and leaves things: paths, or `gs://` URIs.

    `variables` hold what the job was told, wherever the cloud carries that.
    """

    layout: Layout
    data: str
    source: str
    output: str
    failure: str
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingPlaces:
    """Where a model lies, and at which port and routes it is asked for.

    `routes` are the cloud's own paths, each with the model server's path that answers it.
    """

    layout: Layout
    model: str
    port: int
    routes: Mapping[str, str]
    slot: str
    version: str


def program_of(environ: Mapping[str, str]) -> str | None:
    """What a container is for that was given no word, `serve` or `train`; None when nothing says.

    A container with a model to serve serves, whatever else is told of a job.
    """
    found = (one for one, marks in _PROGRAM_MARKS.items() if any(m in environ for m in marks))
    return next(found, None)


def training_places(
    environ: Mapping[str, str],
    *,
    data: str | None = None,
    source: str | None = None,
    output: str | None = None,
) -> TrainingPlaces:
    """Where this training's things are; arguments win over variables, those over the layout.

    Raises:
        ConfigurationError: nothing or too much says which cloud this is, or a place is not told.
    """
    layout = _layout(environ, _TRAINING_MARKS, "input/config/hyperparameters.json")
    variables = dict(environ)
    defaults = {told.SOURCE: PROJECT}
    failure = ""
    if layout is Layout.SAGEMAKER:
        root = _root(environ)
        variables |= _hyperparameters(root / "input" / "config" / "hyperparameters.json")
        shipped = root / "input" / "data" / told.SOURCE_CHANNEL
        defaults |= {
            told.DATA: str(root / "input" / "data" / told.DATA_CHANNEL),
            told.OUTPUT: str(root / "model"),
            **({told.SOURCE: str(shipped)} if shipped.is_dir() else {}),
        }
        failure = str(root / "output" / "failure")
    if layout is Layout.VERTEX and "AIP_MODEL_DIR" in environ:
        defaults[told.OUTPUT] = environ["AIP_MODEL_DIR"]
    places = {**defaults, **{k: v for k, v in variables.items() if v}}
    target = output or _told(places, told.OUTPUT, layout)
    return TrainingPlaces(
        layout=layout,
        data=data or _told(places, told.DATA, layout),
        source=source or places[told.SOURCE],
        output=target,
        failure=failure or f"{target.rstrip('/')}/{told.FAILURE_FILE}",
        variables=variables,
    )


def serving_places(environ: Mapping[str, str]) -> ServingPlaces:
    """Where this container's model is, and how it is asked.

    Raises:
        ConfigurationError: nothing or too much says which cloud this is, or a variable the cloud
            always sets is not there.
    """
    layout = _layout(environ, _SERVING_MARKS, "model")
    ping, invoke = "/ping", "/invocations"
    match layout:
        case Layout.SAGEMAKER:
            model, port = str(_root(environ) / "model"), environ.get("SAGEMAKER_BIND_TO_PORT")
            port, routes = port or "8080", {}
        case Layout.AZUREML:
            model, port = environ.get("AZUREML_MODEL_DIR", ""), "5001"
            routes = {"/": ping, "/score": invoke}
        case Layout.VERTEX:
            model, port = environ.get("AIP_STORAGE_URI", ""), environ.get("AIP_HTTP_PORT", "8080")
            routes = {
                _told(environ, "AIP_HEALTH_ROUTE", layout): ping,
                _told(environ, "AIP_PREDICT_ROUTE", layout): invoke,
            }
    model = environ.get(told.MODEL) or model
    if not model:
        named = {Layout.AZUREML: "AZUREML_MODEL_DIR", Layout.VERTEX: "AIP_STORAGE_URI"}
        raise _missing(named[layout], layout)
    return ServingPlaces(
        layout=layout,
        model=model,
        port=_port(port),
        routes=routes,
        slot=environ.get(told.SLOT) or environ.get("AIP_DEPLOYED_MODEL_ID") or "model",
        version=environ.get(told.VERSION) or "unknown",
    )


def _layout(
    environ: Mapping[str, str], marks: Mapping[Layout, tuple[str, ...]], tree: str
) -> Layout:
    """The layout that is named, else the one cloud whose own marks are here."""
    named = environ.get(told.LAYOUT)
    if named:
        if named not in list(Layout):
            raise ConfigurationError(
                f"{told.LAYOUT} = {named!r} is none of {', '.join(Layout)}", remedy="Correct it."
            )
        return Layout(named)
    found = [one for one, names in marks.items() if any(name in environ for name in names)]
    if not found and (_root(environ) / tree).exists():
        return Layout.SAGEMAKER
    if len(found) != 1:
        what = " and ".join(found) if found else "no cloud this program knows"
        raise ConfigurationError(
            f"the container's variables are those of {what}",
            remedy=f"Set {told.LAYOUT} to one of {', '.join(Layout)}.",
        )
    return found[0]


def _root(environ: Mapping[str, str]) -> Path:
    return Path(environ.get(told.ROOT) or _OPT_ML)


def _hyperparameters(file: Path) -> dict[str, str]:
    """SageMaker's hyperparameters: ours by name, the others as one JSON object."""
    if not file.exists():
        return {}
    try:
        given = {str(key): str(value) for key, value in json.loads(file.read_text()).items()}
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigurationError(
            f"{file} cannot be read: {error}", remedy="Give the job a flat JSON object."
        ) from error
    ours = {key: value for key, value in given.items() if key.startswith(told.PREFIX)}
    others = {key: value for key, value in given.items() if key not in ours}
    flags = {"true": True, "false": False}
    values = {key: flags.get(value.lower(), value) for key, value in others.items()}
    return ({told.HYPERPARAMETERS: json.dumps(values)} if values else {}) | ours


def _told(variables: Mapping[str, str], name: str, layout: Layout) -> str:
    if not variables.get(name):
        raise _missing(name, layout)
    return variables[name]


def _missing(name: str, layout: Layout) -> ConfigurationError:
    return ConfigurationError(
        f"{name} is not set, which a container on {layout} needs",
        remedy=f"Set {name}; see docs/containers.md.",
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise ConfigurationError(f"{text!r} is no port", remedy="Give a number up to 65535.")
    return int(text)
