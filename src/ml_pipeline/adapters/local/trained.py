"""Trained models, used in the project's own environment and made into packages."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_pipeline.adapters.local.model_programs import (
    ModelPrograms,
    ProjectModel,
    TrainedAnswer,
    input_columns,
    take_rows,
    working_folder,
)
from ml_pipeline.domain.commands import fill
from ml_pipeline.domain.errors import ConfigurationError, DataError
from ml_pipeline.domain.likelihoods import Likelihoods, Predictions, points
from ml_pipeline.domain.parity import Parity, parity
from ml_pipeline.domain.policies.data import DataPolicy
from ml_pipeline.domain.policies.training import PackagePolicy, TrainPolicy
from ml_pipeline.ports.models import PackagedModels, PackageInfo
from ml_pipeline.ports.runner import ProjectRunner
from ml_pipeline.serving.onnx_engine import task_of
from ml_pipeline.serving.package import PackageFormat, write_package

if TYPE_CHECKING:
    from ml_pipeline.ports.models import TrainedModels

_ONNX = ".onnx"
#: Artifacts that hold an estimator of scikit-learn's kind.
_SKOPS_ABLE = frozenset({".skops", ".pkl", ".pickle", ".joblib"})
_EXPORT_LIMIT_S = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """One packaging: the rows to compare on, and where its files go."""

    model: ProjectModel
    package: PackagePolicy
    rows: Path
    folder: Path
    work: Path
    target: Path

    def facts(self, answer: TrainedAnswer, versions: Mapping[str, str]) -> dict[str, Any]:
        """What the manifest says besides digests."""
        return {
            **_facts(self.model, answer.task),
            "format": self.package.format,
            "trusted_types": self.model.train.trusted_types,
            "probability_labels": list(answer.probability_labels),
            "versions": {**answer.versions, **versions},
        }


class LocalTrainedModels:
    """Speaks `ports.models.TrainedModels`.

    An artifact that is ONNX already holds no code of the project: it is used as packages are.

    Args:
        runner: the project's environment.
        packaged: packages, to compare with.
        classifies: the project's metric is one of classes; an ONNX file does not say so itself
            when all it gives is a probability.
    """

    def __init__(
        self, *, runner: ProjectRunner, packaged: PackagedModels, classifies: bool = False
    ) -> None:
        self._classifies = classifies
        self._programs = ModelPrograms(runner)
        self._runner = runner
        self._packaged = packaged

    def predict(
        self,
        artifact: Path,
        rows: Path,
        *,
        data: DataPolicy,
        train: TrainPolicy,
        work: Path,
        probabilities: bool = False,
    ) -> Predictions:
        model = _model(artifact, rows, data, train)
        if artifact.suffix.lower() == _ONNX:
            with working_folder(work, "predict") as folder:
                package = folder / "package"
                write_package(package, artifact, self._onnx_facts(model))
                return self._packaged.predict(package, rows, probabilities=probabilities)
        answer = self._programs.predict(model, rows, work)
        return answer.likely(data) if probabilities else answer.positions(data)

    def package(  # noqa: PLR0913 - the port's
        self,
        artifact: Path,
        rows: Path,
        target: Path,
        *,
        data: DataPolicy,
        train: TrainPolicy,
        package: PackagePolicy,
        work: Path,
    ) -> PackageInfo:
        model = _model(artifact, rows, data, train)
        with working_folder(work, "package") as folder:
            few = folder / "parity.csv"
            take_rows(rows, few, columns=data.features, limit=package.parity_rows)
            if artifact.suffix.lower() == _ONNX:
                _refuse_onnx_as(package.format)
                write_package(target, artifact, self._onnx_facts(model))
                self._packaged.predict(target, few)
            else:
                self._convert(
                    _Order(
                        model=model,
                        package=package,
                        rows=few,
                        folder=folder,
                        work=work,
                        target=target,
                    )
                )
        return self._packaged.describe(target)

    def _onnx_facts(self, model: ProjectModel) -> Mapping[str, Any]:
        """Of an artifact that is served as it is: the same file cannot differ from itself."""
        classifies = self._classifies or model.data.classes
        task = "classification" if classifies else task_of(model.artifact.read_bytes())
        return _facts(model, task) | {"format": PackageFormat.ONNX, "worst_difference": 0.0}

    def _convert(self, order: _Order) -> None:
        """Write the first servable form that predicts what the trained model does."""
        answer = self._programs.predict(order.model, order.rows, order.work)
        forms, versions = self._forms(order)
        facts = order.facts(answer, versions)
        faults, remedy = [], ""
        for name, file in forms:
            trial = order.folder / f"package-{name}"
            write_package(trial, file, facts)
            try:
                found = self._compare(order, answer, trial)
            except DataError as error:
                faults.append(f"{name}: {error}")
                remedy = remedy or error.remedy
                continue
            if found.equal:
                write_package(order.target, file, facts | {"worst_difference": found.worst})
                return
            faults.append(f"{name}: {_differs(found, order.package.parity_tolerance)}")
            remedy = _other_form(order)
        raise DataError(
            f"the packaged model does not predict what {order.model.artifact.name} does: "
            + "; ".join(faults),
            remedy=remedy or _other_form(order),
        )

    def _forms(self, order: _Order) -> tuple[list[tuple[str, Path]], dict[str, str]]:
        package = order.package
        if package.export is None or package.format != PackageFormat.ONNX:
            return self._programs.export(order.model, package, order.folder, order.work)
        output = order.folder / "exported.onnx"
        argv = fill(package.export, model=order.model.artifact.resolve(), output=output.resolve())
        log = order.work / "export.log"
        result = self._runner.run(
            argv, log=log, time_limit_s=_EXPORT_LIMIT_S, extra=package.requirements
        )
        if result.exit_code != 0 or not output.is_file():
            raise ConfigurationError(
                f"package.export ended with {result.exit_code} and "
                f"{'wrote' if output.is_file() else 'did not write'} {{output}}: {result.tail(5)}",
                remedy=f"Run it by hand and mend it; its whole output is in {log}.",
            )
        return [("export", output)], {}

    def _compare(self, order: _Order, answer: TrainedAnswer, trial: Path) -> Parity:
        tolerance = order.package.parity_tolerance
        predicted = points(self._packaged.predict(trial, order.rows))
        found = parity(answer.positions(order.model.data), predicted, tolerance=tolerance)
        if not found.equal or not answer.probability_labels:
            return found
        expected = answer.likely(order.model.data)
        likely = self._packaged.predict(trial, order.rows, probabilities=True)
        return _of_each_class(expected, likely, tolerance)


def _of_each_class(expected: Predictions, likely: Predictions, tolerance: float) -> Parity:
    """The worst parity of any class's probabilities."""
    if not isinstance(expected, Likelihoods) or not isinstance(likely, Likelihoods):
        return parity(points(expected), points(likely), tolerance=tolerance)
    found = [
        parity(expected.column(label), likely.column(label), tolerance=tolerance)
        for label in {*expected.labels, *likely.labels}
    ]
    return max(found, key=lambda one: one.worst)


def _model(artifact: Path, rows: Path, data: DataPolicy, train: TrainPolicy) -> ProjectModel:
    if not artifact.is_file():
        raise DataError(
            f"there is no trained model at {artifact}",
            remedy="Set train.artifact to the file the training command writes in {output}.",
        )
    columns = input_columns(rows, data)
    return ProjectModel(artifact=artifact, columns=columns, data=data, train=train)


def _facts(model: ProjectModel, task: str) -> dict[str, Any]:
    return {
        "columns": model.columns,
        "task": task,
        "classes": model.data.classes,
        "artifact_sha256": hashlib.sha256(model.artifact.read_bytes()).hexdigest(),
    }


def _other_form(order: _Order) -> str:
    """What else could be tried: skops knows no boosters, and may be what was just tried."""
    if order.package.format == PackageFormat.ONNX and order.model.artifact.suffix in _SKOPS_ABLE:
        first = "Set 'package.format' to \"skops\""
    else:
        first = "Give 'package.export' a command that writes ONNX"
    return f"{first}, or raise 'package.parity_tolerance' if the difference is harmless."


def _refuse_onnx_as(wanted: str) -> None:
    if wanted != PackageFormat.ONNX:
        raise ConfigurationError(
            f"the trained model is ONNX and cannot be packaged as {wanted}",
            remedy="Set package.format to 'onnx'.",
        )


def _differs(found: Parity, tolerance: float) -> str:
    return (
        f"{found.differing_rows} of {found.rows} rows differ by more than {tolerance:g}, "
        f"the worst by {found.worst:.3g} (row {found.worst_row})"
    )


if TYPE_CHECKING:
    _speaks: type[TrainedModels] = LocalTrainedModels
