"""ONNX models, run by ONNX Runtime."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
from numpy.typing import DTypeLike, NDArray

from ml_pipeline.domain.errors import DataError
from ml_pipeline.serving.onnx_sealed import refuse_external_data
from ml_pipeline.serving.package import Manifest, Task, ValueType
from ml_pipeline.serving.rows import Batch
from ml_pipeline.serving.servable import Label

#: Element types of an input, as ONNX Runtime names them.
_TYPES: Mapping[str, DTypeLike] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}
_ERRORS_ONLY = 3


class OnnxEngine:
    """Speaks `servable.Engine`.

    The model either takes all columns as one tensor of shape (n, k), or one of shape (n, 1)
    a column, matched by name, and by position where the names differ.
    """

    def __init__(self, manifest: Manifest, content: bytes, threads: int | None) -> None:
        self._session = _session(content, threads)
        self._manifest = manifest
        inputs = self._session.get_inputs()
        self._types = [self._type(one.name, one.type) for one in inputs]
        self._names = [one.name for one in inputs]
        self._outputs = [one.name for one in self._session.get_outputs()][:2]
        self._places = self._columns_of(inputs)

    @property
    def probability_labels(self) -> Sequence[Label]:
        """Not known to the runtime: the manifest says it."""
        return ()

    @property
    def gives_labels(self) -> bool:
        """A second output means that the first one holds the labels."""
        return len(self._outputs) > 1

    def values(self, batch: Batch) -> NDArray[Any]:
        return np.asarray(self._session.run(self._outputs[:1], self._feed(batch))[0])

    def probabilities(self, batch: Batch) -> NDArray[Any] | None:
        if len(self._outputs) == 1 and self._manifest.task is not Task.CLASSIFICATION:
            return None
        found = _table(self._session.run(self._outputs[-1:], self._feed(batch))[0])
        if len(self._outputs) == 1 and found.dtype.kind != "f":
            return None
        return _of_both(found)

    def _feed(self, batch: Batch) -> dict[str, NDArray[Any]]:
        if self._places is None:
            return {self._names[0]: self._matrix(batch)}
        return {
            name: _column(batch, at, kind).reshape(-1, 1)
            for name, at, kind in zip(self._names, self._places, self._types, strict=True)
        }

    def _matrix(self, batch: Batch) -> NDArray[Any]:
        kind = self._types[0]
        if kind is np.object_:
            columns = [_column(batch, at, kind) for at in range(len(batch.columns))]
            return np.stack(columns, axis=1)
        if kind is np.float32 or kind is np.float64:
            return batch.numbers.astype(kind, copy=False)
        return _whole(batch.numbers, kind)

    def _type(self, name: str, given: str) -> DTypeLike:
        try:
            return _TYPES[given]
        except KeyError:
            _refuse(f"takes {given} as {name!r}; known are {', '.join(_TYPES)}")

    def _columns_of(self, inputs: Sequence[Any]) -> list[int] | None:
        """The column each input takes; None when the only input takes them all."""
        columns = [column.name for column in self._manifest.columns]
        texts = [column.type is ValueType.STRING for column in self._manifest.columns]
        if len(inputs) == 1 and (len(columns) != 1 or self._types[0] is not np.object_):
            width = inputs[0].shape[1] if len(inputs[0].shape) == 2 else None
            if isinstance(width, int) and width != len(columns):
                _refuse(f"takes {width} columns, its package lists {len(columns)}")
            if any(texts) and self._types[0] is not np.object_:
                _refuse("takes numbers only, its package lists a text column")
            return None
        if len(inputs) != len(columns):
            _refuse(f"has {len(inputs)} inputs, its package lists {len(columns)} columns")
        if set(self._names) == set(columns):
            return [columns.index(name) for name in self._names]
        return list(range(len(columns)))


def task_of(content: bytes) -> Task:
    """What a model does by its outputs: labels and probabilities, or values alone.

    Raises:
        DataError: it does not load, or its weights lie in another file.
    """
    outputs = _session(content, 1).get_outputs()
    return Task.CLASSIFICATION if len(outputs) > 1 else Task.REGRESSION


def _session(content: bytes, threads: int | None) -> ort.InferenceSession:
    refuse_external_data(content)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    # The runtime knows a form of its own besides, with its own way to point at other files.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - its errors share no base
        _refuse(f"does not load: {_first_line(error)}", error)


def _column(batch: Batch, at: int, kind: DTypeLike) -> NDArray[Any]:
    if kind is np.object_:
        texts = batch.texts.get(at)
        if texts is None:
            _refuse(f"takes text as {batch.columns[at].name!r}, its package lists numbers")
        return np.array([text or "" for text in texts], dtype=np.object_)
    if at in batch.texts:
        _refuse(f"takes numbers as {batch.columns[at].name!r}, its package lists text")
    if kind is np.float32 or kind is np.float64:
        return batch.numbers[:, at].astype(kind, copy=False)
    return _whole(batch.numbers[:, at], kind)


def _whole(numbers: NDArray[np.float64], kind: DTypeLike) -> NDArray[Any]:
    if np.isnan(numbers).any():
        _refuse("takes whole numbers, and a value is missing")
    if (numbers % 1 != 0).any():
        _refuse("takes whole numbers, and a value is none")
    return numbers.astype(kind)


def _table(probabilities: object) -> NDArray[Any]:
    """Probabilities as (n, classes), also from the maps older converters give."""
    if isinstance(probabilities, list):
        return np.array([list(row.values()) for row in probabilities])
    return np.asarray(probabilities)


def _of_both(positive: NDArray[Any]) -> NDArray[Any]:
    """Shape (n, 2) of the positive class's probabilities alone, shape (n,) or (n, 1)."""
    if positive.ndim == 2 and positive.shape[1] != 1:
        return positive
    flat = positive.reshape(len(positive))
    if ((flat < 0) | (flat > 1)).any():
        _refuse("gives one number a row that is no probability: not between 0 and 1")
    return np.stack([1 - flat, flat], axis=1)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def _refuse(what: str, cause: Exception | None = None) -> NoReturn:
    raise DataError(
        f"the ONNX model {what}",
        remedy="Export the model again, or set package.format to 'skops'.",
    ) from cause
