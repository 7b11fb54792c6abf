"""What a run needs of the project: its environment, its commands, its rows, its model's file."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_pipeline.domain.errors import PipelineError
from ml_pipeline.domain.policies.data import DataPolicy
from ml_pipeline.domain.policies.gate import GatePolicy
from ml_pipeline.domain.policies.training import EnvironmentPolicy, TrainPolicy
from ml_pipeline.settings import readiness_commands
from ml_pipeline.settings.findings import Finding, fail, ok, warn
from ml_pipeline.settings.page import literal
from ml_pipeline.settings.survey.classes import in_order
from ml_pipeline.settings.survey.tables import labels, measured

_PICKLES = (".pkl", ".pickle", ".joblib")
#: What the programs that load a trained model know.
LOADABLE = (".skops", ".onnx", *_PICKLES, ".ubj", ".json", ".txt", ".cbm")
#: What XGBoost, LightGBM and CatBoost write themselves.
_NATIVE = (".ubj", ".json", ".txt", ".cbm")
_MOST_LABELS = 200
_SHOWN_LABELS = 5


def examine(
    source: Path, sections: Mapping[str, Any], environ: Mapping[str, str]
) -> Iterator[Finding]:
    """Environment, commands, rows and model file, as far as can be told without running.

    Args:
        source: the project's folder.
        sections: policies by their names; what a missing one would say is left out.
        environ: environment variables.
    """
    if "environment" in sections:
        yield _environment(source, sections["environment"])
    yield from readiness_commands.examine(source, sections, environ)
    if "data" in sections:
        yield from _data(source, sections["data"], sections.get("gate"))
    if "train" in sections:
        yield from _model(sections["train"])
        yield from _native(sections)
    yield from _images(sections)


def _environment(source: Path, environment: EnvironmentPolicy) -> Finding:
    from ml_pipeline.adapters.local.declared import declared  # noqa: PLC0415  # doctor only

    try:
        found = declared(source, environment)
    except PipelineError as error:
        return fail("environment", str(error), error.remedy)
    running = ".".join(map(str, sys.version_info[:3]))
    if environment.python is None and running not in found.requires_python:
        message = f"the project needs Python {found.requires_python}, this is {running}"
        return warn("environment", message, "Install such a Python, or set environment.python.")
    return ok("environment", f"will be made from {found.kind}")


def _data(source: Path, data: DataPolicy, gate: GatePolicy | None) -> Iterator[Finding]:
    if data.path is None:
        yield ok("data", "will be fetched")
    elif data.prepare is not None:
        yield ok("data", f"{data.path} is there; 'prepare' makes its columns")
    elif (source / data.path).is_file():  # else it is a fault of the settings
        unlisted = list(_labels(source, Path(data.path), data))
        yield from unlisted or _rows(source / data.path, data, gate)


def _rows(file: Path, data: DataPolicy, gate: GatePolicy | None) -> Iterator[Finding]:
    from ml_pipeline.adapters.local.tables import PolarsTables  # noqa: PLC0415  # doctor only

    try:
        rows = PolarsTables(data.separator).check_columns(file, data)
    except PipelineError as error:
        yield fail("data", str(error), error.remedy)
        return
    if rows < data.min_rows:
        message = f"{data.path} has {rows} rows, fewer than data.min_rows {data.min_rows}"
        yield fail("data", message, "Bring more rows, or lower data.min_rows.")
        return
    yield ok("data", f"{data.path} has {rows} rows and every column that is named")
    held = round(rows * data.holdout_share)
    if gate is not None and data.cutoff is None and held < gate.min_rows:
        message = f"about {held} rows are held out, fewer than gate.min_rows"
        yield warn(
            "gate",
            f"{message} {gate.min_rows}: no verdict will be possible",
            "Bring more rows, hold more out, or lower gate.min_rows.",
        )


def _labels(source: Path, path: Path, data: DataPolicy) -> Iterator[Finding]:
    """A target of text that is not, or not wholly, listed in `data.classes`."""
    column = measured(source, path, only=data.target).column(data.target)
    if column is None or column.kind != "text":
        return
    found = labels(source, path, data.target, most=_MOST_LABELS)
    if not data.classes:
        classes = literal(list(in_order(found))) if found else "its labels"
        message = f"the target {data.target} holds text ({_shown(found) or 'many different ones'})"
        remedy = f"Set data.classes = {classes}; of two the last is the positive one."
        yield fail("data.classes", f"{message}, and no classes are listed", remedy)
        return
    other = [label for label in found if label.strip() not in data.classes]
    if other:
        message = f"the target {data.target} also holds {_shown(other)}"
        yield fail("data.classes", message, "Add every label to data.classes, or mend the rows.")


def _shown(found: Sequence[str]) -> str:
    listed = ", ".join(map(repr, found[:_SHOWN_LABELS]))
    return listed + (", …" if len(found) > _SHOWN_LABELS else "")


def _model(train: TrainPolicy) -> Iterator[Finding]:
    if train.artifact.endswith(_PICKLES) and not train.allow_pickle:
        message = f"{train.artifact} is a pickle, which runs code when it is loaded"
        remedy = "Have training write skops, or set train.allow_pickle = true."
        yield fail("train.artifact", message, remedy)
    if not train.artifact.lower().endswith(LOADABLE):
        message = f"{train.artifact} has an ending that nothing can load"
        remedy = f"Have training write one of {' '.join(LOADABLE)}, and set train.artifact."
        yield fail("train.artifact", message, remedy)


def _native(sections: Mapping[str, Any]) -> Iterator[Finding]:
    """A native model that takes text: the libraries write ONNX of numbers only."""
    train: TrainPolicy = sections["train"]
    data: DataPolicy | None = sections.get("data")
    exported = getattr(sections.get("package"), "export", None)
    if data is None or exported or not train.artifact.endswith(_NATIVE):
        return
    texts = [name for name in data.features if name in data.text_columns]
    if texts:
        message = f"{train.artifact} has no ONNX form where {', '.join(texts)} is text"
        remedy = "Encode texts as numbers before, or set package.export to a command of yours."
        yield fail("train.artifact", message, remedy)


def _images(sections: Mapping[str, Any]) -> Iterator[Finding]:
    """A tag may be another image tomorrow, while the evidence still names it."""
    platform = str(sections.get("platform", ""))
    for key in ("image", "training_image"):
        reference = getattr(sections.get(platform), key, None)
        if reference is not None and "@sha256:" not in reference:
            message = f"{reference} is a tag, which may name another image tomorrow"
            remedy = "Name it by digest, as in REPOSITORY@sha256:…; publish-image prints it."
            yield warn(f"{platform}.{key}", message, remedy)
