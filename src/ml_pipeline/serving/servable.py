"""A package loaded and ready to predict. Only ONNX and skops are ever loaded here."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from ml_pipeline.domain.errors import DataError
from ml_pipeline.ports.models import PackageInfo
from ml_pipeline.serving.package import Manifest, PackageFormat, Task, read_package
from ml_pipeline.serving.requests import Output
from ml_pipeline.serving.rows import Batch, Schema

Label = str | int | float
_ASK_ALL = "Ask for params.output 'probabilities', which gives that of every class."
_ASK_ELSE = "Ask for params.output 'label' or 'position', or train a classifier with predict_proba."


class UnfitRowsError(DataError):
    """The model cannot predict these rows: a value is missing, or beyond what it computes with."""


class UnanswerableError(DataError):
    """The model has no such answer, whatever the rows: not the model's fault, but the asker's."""


@dataclass(frozen=True, slots=True)
class Likely:
    """Probabilities, `rows` of shape (n, classes), and the label of each column."""

    labels: list[Label]
    rows: list[list[float]]


class Engine(Protocol):
    """One format's way to predict."""

    def values(self, batch: Batch) -> NDArray[Any]:
        """Numbers or labels, shape (n,) or (n, 1); a classifier may give (n, classes) likelihoods.

        Raises:
            DataError: the rows are not what the model takes.
        """

    def probabilities(self, batch: Batch) -> NDArray[Any] | None:
        """Probabilities, shape (n, classes); None when the model gives none."""

    @property
    def gives_labels(self) -> bool:
        """Whether `values` are labels; of a classifier that gives none they are likelihoods."""

    @property
    def probability_labels(self) -> Sequence[Label]:
        """The label of each probability, as the model itself knows it; empty when it does not."""


@contextmanager
def _of_rows(batch: Batch) -> Iterator[None]:
    """A failure is the rows' where a value of theirs is missing or beyond any measure."""
    try:
        yield
    except DataError as error:
        if (unfit := batch.unfit()) is None:
            raise
        remedy = "Send a value the model was trained to expect."
        raise UnfitRowsError(f"{unfit}: {error}", remedy=remedy) from error


class Servable:
    """A loaded package.

    Args:
        manifest: what the package says it is.
        engine: the loaded model.
        info: what its folder holds.
    """

    def __init__(self, manifest: Manifest, engine: Engine, info: PackageInfo) -> None:
        self.manifest = manifest
        self.info = info
        self.schema = Schema(manifest.columns)
        self._engine = engine
        self.positions = {label: float(at) for at, label in enumerate(manifest.classes)}

    def predict(self, batch: Batch, output: Output = Output.LABEL) -> list[Label]:
        """One prediction a row, in order.

        Args:
            batch: rows of `schema`.
            output: the label itself, its position in the project's classes (a label that is a
                number is its own position), or the positive class's probability.

        Raises:
            UnfitRowsError: it cannot, and a row has a value missing or beyond any measure.
            DataError: the model gives something else, or no finite number.
        """
        with _of_rows(batch):
            return self._predicted(batch, output)

    def likelihoods(self, batch: Batch) -> Likely:
        """The probability of every class; of a text target in the order of the project's classes.

        Raises:
            UnanswerableError: the model gives none.
            UnfitRowsError: as `predict`.
            DataError: the model gives something else.
        """
        with _of_rows(batch):
            try:
                found = _given(self._engine.probabilities(batch))
            except DataError:
                raise
            except Exception as error:  # noqa: BLE001 - a vendor's, of whatever type
                _refuse_failed(error)
            if found.shape[0] != len(batch) or not np.isfinite(found).all():
                _refuse(f"gave {found.shape[0]} rows of probabilities, or one that is not finite")
            labels = self._column_labels(found.shape[1])
            places = [self.positions.get(str(label), at) for at, label in enumerate(labels)]
            order = np.argsort(places, kind="stable")
            return Likely([labels[at] for at in order], found[:, order].tolist())

    def _predicted(self, batch: Batch, output: Output) -> list[Label]:
        values = self._values(batch, output)
        if values.shape != (len(batch),):
            _refuse(f"gave values of shape {values.shape} for {len(batch)} rows")
        if values.dtype.kind in "biuf":
            numbers = _finite(values.tolist())
            return [*map(self._label, numbers)] if output is Output.LABEL else numbers
        labels = [str(label) for label in values]
        if output is Output.LABEL:
            return list[Label](labels)
        return [self._position(label) for label in labels]

    def _values(self, batch: Batch, output: Output) -> NDArray[Any]:
        try:
            if output is Output.PROBABILITY:
                return self._positive(self._engine.probabilities(batch))
            values = self._engine.values(batch)
        except DataError:
            raise
        except Exception as error:  # noqa: BLE001 - a vendor's, of whatever type
            _refuse_failed(error)
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if self.manifest.task is Task.REGRESSION or self._engine.gives_labels:
            return values
        return self._likeliest(values, output)

    def _likeliest(self, values: NDArray[Any], output: Output) -> NDArray[Any]:
        """Labels of likelihoods: a column a class, or the positive of two classes alone."""
        if values.ndim == 1:
            if values.dtype.kind != "f" or ((values < 0) | (values > 1)).any():
                return values
            positions = (values >= 0.5).astype(np.int64)
        else:
            positions = values.argmax(axis=1)
        classes = self.manifest.classes
        if output is Output.LABEL and len(classes) > int(positions.max()):
            return np.array(classes, dtype=np.object_)[positions]
        return positions

    def _label(self, number: Label) -> Label:
        """The label a number stands for, where the target is text: the model counts classes."""
        classes = self.manifest.classes
        if not classes or self.manifest.task is Task.REGRESSION:
            return number
        if number not in range(len(classes)):
            _refuse(f"predicted {number}, which is no position among {len(classes)} classes")
        return classes[int(number)]

    def _position(self, label: str) -> float:
        try:
            return self.positions[label]
        except KeyError:
            known = ", ".join(self.manifest.classes) or "none"
            _refuse(f"predicted {label!r}, which is not among its classes ({known})")

    def _positive(self, probabilities: NDArray[Any] | None) -> NDArray[Any]:
        found = _given(probabilities)
        if found.shape[1] != 2:
            what = "the model has not two classes, so there is no probability of a positive one"
            raise UnanswerableError(what, remedy=_ASK_ALL)
        labels, classes = self._column_labels(2), self.manifest.classes
        return found[:, labels.index(classes[1]) if len(classes) == 2 else 1]

    def _column_labels(self, count: int) -> list[Label]:
        """The label of each of so many columns of probabilities."""
        classes = list(self.manifest.classes)
        if not self._engine.gives_labels:  # then columns are as the project names them
            labels: list[Label] = [*classes] or [*range(count)]
        else:
            known = self._engine.probability_labels or self.manifest.probability_labels
            labels = [*known] or [*sorted(classes)] or [*range(count)]
            if classes and set(labels) == set(range(len(classes))):
                labels = [classes[int(label)] for label in labels]
        if len(labels) != count:
            _refuse(f"gives {count} probabilities a row, of {len(labels)} classes")
        return labels


def load_servable(
    package: Path, *, trusted_types: Sequence[str] = (), threads: int | None = None
) -> Servable:
    """Load a package after checking it against its manifest.

    Args:
        package: the folder.
        trusted_types: what skops may load besides its own list; the package has no say in it.
        threads: for one prediction; None leaves the choice to the libraries.

    Raises:
        DataError: the folder is not what it says, or the model does not load.
    """
    manifest, content, info = read_package(package)
    try:
        if manifest.format is PackageFormat.ONNX:
            from ml_pipeline.serving.onnx_engine import OnnxEngine  # noqa: PLC0415 - heavy

            return Servable(manifest, OnnxEngine(manifest, content, threads), info)
        from ml_pipeline.serving.skops_engine import SkopsEngine  # noqa: PLC0415 - heavy

        return Servable(manifest, SkopsEngine(content, trusted_types, threads), info)
    except DataError as error:
        raise DataError(f"the package {package}: {error}", remedy=error.remedy) from error


def _given(probabilities: NDArray[Any] | None) -> NDArray[Any]:
    """Probabilities of shape (n, classes)."""
    if probabilities is None:
        raise UnanswerableError("the model gives no probabilities", remedy=_ASK_ELSE)
    if probabilities.ndim != 2:
        _refuse(f"gave probabilities of shape {probabilities.shape}")
    return probabilities


def _refuse_failed(error: Exception) -> NoReturn:
    reason = str(error).strip().splitlines() or [""]
    _refuse(f"failed: {type(error).__name__}: {reason[0][:300]}", error)


def _finite(numbers: list[Label]) -> list[Label]:
    if not all(map(math.isfinite, numbers)):  # type: ignore[arg-type]
        row, value = next((at, one) for at, one in enumerate(numbers) if not math.isfinite(one))  # type: ignore[arg-type]
        _refuse(f"predicted {value} for row {row}, which is no finite number")
    return numbers


def _refuse(what: str, cause: Exception | None = None) -> NoReturn:
    raise DataError(
        f"the model {what}",
        remedy="Train a model that gives one finite number or one known label a row.",
    ) from cause
