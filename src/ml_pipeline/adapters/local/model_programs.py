"""The programs of `entry/` that load a trained artifact, run by the project's own Python."""

import csv
import json
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from ml_pipeline.domain.errors import ConfigurationError, DataError
from ml_pipeline.domain.likelihoods import Predictions, named, of_classes
from ml_pipeline.domain.policies.data import ColumnType, DataPolicy
from ml_pipeline.domain.policies.training import PackagePolicy, TrainPolicy
from ml_pipeline.ports.runner import CommandResult, ProjectRunner
from ml_pipeline.serving.package import InputColumn, ValueType

#: Laid over the project's environment; the only place these versions are named.
SKOPS = ("skops>=0.12,<1",)
CONVERTERS = (
    "skl2onnx>=1.19,<2",
    "onnxmltools>=1.14,<2",
    "onnx>=1.17,<2",
    # onnxmltools imports it and does not say so
    "packaging>=24",
    # skl2onnx 1.20 hands numpy booleans to protobuf, and 7 takes none
    "protobuf<7",
)
_PROGRAMS = Path(__file__).parents[2] / "entry"
_TIME_LIMIT_S = 1800.0
_REFUSALS = {4: ConfigurationError, 5: DataError}
_TYPES = {
    ColumnType.NUMBER: ValueType.FLOAT,
    ColumnType.INTEGER: ValueType.INT,
    ColumnType.TEXT: ValueType.STRING,
    ColumnType.TIME: ValueType.STRING,
    ColumnType.BOOLEAN: ValueType.BOOL,
}
_MISSING = frozenset({"", "nan", "na", "n/a", "null", "none", "<na>"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedAnswer:
    """What `raw_predict.py` answered.

    Attributes:
        predictions: shape (n,); numbers, or labels.
        task: "regression" or "classification".
        probabilities: shape (n, classes); None when the model gives none.
        probability_labels: the label of each.
        versions: of the libraries that loaded it.
    """

    predictions: Sequence[float | str]
    task: str
    probabilities: Sequence[Sequence[float]] | None = None
    probability_labels: Sequence[str | int | float] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def positions(self, data: DataPolicy) -> list[float]:
        """Numbers as they are, labels as their position in `data.classes`.

        Raises:
            ConfigurationError: labels are text, and `data.classes` does not list them all.
        """
        places = {label: float(at) for at, label in enumerate(data.classes)}
        return [
            _place(label, places) if isinstance(label, str) else float(label)
            for label in self.predictions
        ]

    def likely(self, data: DataPolicy) -> Predictions:
        """The probability of the second of two classes, else that of every class.

        Raises:
            DataError: the model gives no probabilities, or knows a class that is not listed.
        """
        if self.probabilities is None:
            raise DataError(
                "the model gives no probabilities",
                remedy="Train a classifier with predict_proba, or choose a metric.name that needs "
                "no probabilities.",
            )
        places = {label: float(at) for at, label in enumerate(data.classes)}
        labels = named(self.probability_labels, places, whose="the model")
        return of_classes(labels, self.probabilities)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectModel:
    """A trained artifact, how the settings allow it to be loaded, and the columns it takes."""

    artifact: Path
    columns: Sequence[InputColumn]
    data: DataPolicy
    train: TrainPolicy

    def spec(self) -> dict[str, Any]:
        """What `trained_artifact.load` reads."""
        train = self.train
        scripts = {str(Path(word).parent) for word in train.command if word.endswith(".py")}
        return {
            "artifact": str(self.artifact.resolve()),
            "features": list(self.data.features),
            "columns": [column.model_dump(mode="json") for column in self.columns],
            "classes": list(self.data.classes),
            "model_key": train.model_key,
            "features_key": train.features_key,
            "allow_pickle": train.allow_pickle,
            "trusted_types": list(train.trusted_types),
            # Classes of the project in its model are found where the training found them.
            "paths": ["", *sorted(scripts - {"."})],
        }

    def readers(self) -> tuple[str, ...]:
        """Requirement lines needed to load it."""
        return SKOPS if self.artifact.suffix.lower() == ".skops" else ()


class ModelPrograms:
    """Runs the programs and turns what they refuse into our errors.

    Args:
        runner: the project's environment.
    """

    def __init__(self, runner: ProjectRunner) -> None:
        self._runner = runner

    def predict(
        self,
        model: "ProjectModel",
        rows: Path,
        work: Path,
    ) -> TrainedAnswer:
        """Predictions of an artifact, loaded as the settings allow.

        Raises:
            ConfigurationError: a pickle without the opt-in, a format nobody can load, other
                features than the settings list.
            DataError: it does not load or predict.
        """
        with working_folder(work, "predict") as folder:
            spec = model.spec() | {"rows": str(rows.resolve())}
            return TrainedAnswer(**self._ask("raw_predict", spec, folder, work, model.readers()))

    def export(
        self, model: "ProjectModel", package: PackagePolicy, folder: Path, work: Path
    ) -> tuple[list[tuple[str, Path]], dict[str, str]]:
        """Servable forms written to `folder`, best first, by name; and the versions that did it.

        Raises:
            ConfigurationError: the model cannot be converted.
        """
        writers = CONVERTERS if package.format == "onnx" else SKOPS
        lines = dict.fromkeys((*model.readers(), *writers, *package.requirements))
        spec = model.spec() | {"format": package.format, "folder": str(folder.resolve())}
        answer = self._ask("export_model", spec, folder, work, tuple(lines))
        forms = [(one["name"], Path(one["file"])) for one in answer["candidates"]]
        return forms, answer["versions"]

    def _ask(
        self,
        program: str,
        spec: Mapping[str, Any],
        folder: Path,
        logs: Path,
        extra: Sequence[str],
    ) -> dict[str, Any]:
        question, answer = folder / f"{program}.spec.json", folder / f"{program}.json"
        spec = {**spec, "output": str(answer.resolve())}
        question.write_text(json.dumps(spec), encoding="utf-8")
        argv = ("python", str(_PROGRAMS / f"{program}.py"), str(question.resolve()))
        log = logs / f"{program.replace('_', '-')}.log"
        result = self._runner.run(argv, log=log, time_limit_s=_TIME_LIMIT_S, extra=extra)
        given = json.loads(answer.read_bytes()) if answer.exists() else {}
        if result.exit_code != 0 or not given:
            _refuse(result, given.get("error"))
        return dict(given)


@contextmanager
def working_folder(work: Path, name: str) -> Iterator[Path]:
    """A folder inside `work` that is gone afterwards."""
    work.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=work))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def take_rows(rows: Path, target: Path, *, columns: Sequence[str], limit: int) -> None:
    """Write the first rows of a CSV file, those columns only.

    Raises:
        DataError: a column is missing, or there is no row.
    """
    wanted = _read(rows, columns, limit)
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(wanted)


def input_columns(rows: Path, data: DataPolicy) -> list[InputColumn]:
    """The features with their types: as `data.columns` declares them, else as their cells look.

    Raises:
        DataError: the rows cannot be read.
    """
    undeclared = [name for name in data.features if name not in data.columns]
    cells = _read(rows, undeclared) if undeclared else []
    looks = {name: _looks(row[at] for row in cells) for at, name in enumerate(undeclared)}
    return [
        InputColumn(name=name, type=looks[name])
        if name in looks
        else InputColumn(
            name=name, type=_TYPES[data.columns[name].type], fill=data.columns[name].fill
        )
        for name in data.features
    ]


def _read(rows: Path, columns: Sequence[str], limit: int | None = None) -> list[list[str]]:
    try:
        with rows.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            places = [header.index(name) for name in columns]
            read = [[row[at] for at in places] for row in islice(reader, limit) if row]
    except (OSError, ValueError, IndexError, csv.Error) as error:
        remedy = "Give a CSV file whose header names every feature."
        raise DataError(f"{rows} cannot be used: {error}", remedy=remedy) from error
    if not read:
        raise DataError(f"{rows} holds no rows", remedy="Give at least one row to predict.")
    return read


def _looks(cells: Iterator[str]) -> ValueType:
    """Numbers when all are, truth values when all are, else text; missing cells say nothing."""
    words = {cell.strip().lower() for cell in cells} - _MISSING
    if words and words <= {"true", "false"}:
        return ValueType.BOOL
    return ValueType.FLOAT if all(map(_is_number, words)) else ValueType.STRING


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word)) and "_" not in word
    except ValueError:
        return False


def _place(label: str, places: Mapping[str, float]) -> float:
    if label in places:
        return places[label]
    raise ConfigurationError(
        f"the model predicted {label!r}, and data.classes lists {', '.join(places) or 'nothing'}",
        remedy="List every label of the target in data.classes.",
    )


def _refuse(result: CommandResult, error: Mapping[str, Any] | None) -> NoReturn:
    if error is not None:
        raise _REFUSALS[error["code"]](error["message"], remedy=error["remedy"])
    raise DataError(
        f"{Path(result.argv[1]).name} ended with {result.exit_code}: {result.tail(5)}",
        remedy=f"Read {result.log}.",
    )
