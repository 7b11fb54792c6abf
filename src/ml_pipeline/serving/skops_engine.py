"""skops models: scikit-learn objects stored without pickle."""

import io
import math
import warnings
import zipfile
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import skops.io
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ml_pipeline.domain.errors import DataError
from ml_pipeline.serving.package import ValueType
from ml_pipeline.serving.rows import Batch
from ml_pipeline.serving.servable import Label

#: What a file may unpack to, in all: this, and at most so many times its own size beyond a few
#: MiB. skops reads every member into memory, and zeros pack a thousandfold.
MOST_UNPACKED_BYTES = 2 << 30
MOST_TIMES_LARGER, ALWAYS_UNPACKED_BYTES = 100, 64 << 20


class SkopsEngine:
    """Speaks `servable.Engine`.

    Args:
        content: the model's file.
        trusted: types that may be loaded besides those skops trusts itself. It comes from the
            caller: a list read from the model's own file would let the file trust itself.
        threads: this process computes with at most so many from now on; None changes nothing.
    """

    def __init__(self, content: bytes, trusted: Sequence[str], threads: int | None) -> None:
        self._model = _loaded(content, trusted)
        if not hasattr(self._model, "predict"):
            _refuse(f"holds a {type(self._model).__name__}, which cannot predict")
        self._named = hasattr(self._model, "feature_names_in_")
        self._takes_texts = _begins_with_words(self._model)
        if threads is not None:
            threadpool_limits(limits=threads)

    @property
    def gives_labels(self) -> bool:
        """What `predict` of an estimator gives."""
        return True

    @property
    def probability_labels(self) -> Sequence[Label]:
        """The model's own classes."""
        classes: list[Label] = np.asarray(getattr(self._model, "classes_", [])).tolist()
        return classes

    def values(self, batch: Batch) -> NDArray[Any]:
        return np.asarray(self._model.predict(self._rows(batch)))

    def probabilities(self, batch: Batch) -> NDArray[Any] | None:
        if not hasattr(self._model, "predict_proba"):
            return None
        return np.asarray(self._model.predict_proba(self._rows(batch)))

    def _rows(self, batch: Batch) -> Any:
        if self._takes_texts and list(batch.texts) == [0]:
            return list(batch.texts[0])
        return self._frame(batch) if self._named else self._array(batch)

    def _frame(self, batch: Batch) -> Any:
        """A table with names, for a model that was fitted with such."""
        import polars as pl  # noqa: PLC0415 - heavy, and only models with names need it

        return pl.DataFrame(
            {
                column.name: _column(batch.texts[at]) if at in batch.texts else _numbers(batch, at)
                for at, column in enumerate(batch.columns)
            }
        )

    def _array(self, batch: Batch) -> NDArray[Any]:
        if not batch.texts:
            return batch.numbers
        rows = batch.numbers.astype(np.object_)
        for at, texts in batch.texts.items():
            rows[:, at] = _cells(texts)
        return rows


def _cells(texts: Sequence[str | None]) -> list[str | float]:
    """Texts of a column; a missing one is NaN as in pandas, which is how imputers know it."""
    return [math.nan if text is None else text for text in texts]


def _column(texts: Sequence[str | None]) -> Any:
    import polars as pl  # noqa: PLC0415 - heavy, and only models with names need it

    return pl.Series(_cells(texts), dtype=pl.Object) if None in texts else texts


def _begins_with_words(model: Any) -> bool:
    """Whether its first step parts texts into words: such a model takes texts, and no table."""
    while hasattr(model, "steps") or hasattr(model, "transformer_list"):
        model = (getattr(model, "steps", None) or model.transformer_list)[0][1]
    return hasattr(model, "build_analyzer")


def _numbers(batch: Batch, at: int) -> NDArray[Any]:
    numbers = batch.numbers[:, at]
    whole = batch.columns[at].type is ValueType.INT and not np.isnan(numbers).any()
    return numbers.astype(np.int64) if whole else numbers


def _loaded(content: bytes, trusted: Sequence[str]) -> Any:
    try:
        _refuse_inflated(content)
        unknown = set(skops.io.get_untrusted_types(data=content)) - set(trusted)
        if unknown:
            _refuse_types(sorted(unknown))
        with warnings.catch_warnings():
            # Another version of scikit-learn wrote it: parity was checked when it was packaged.
            warnings.filterwarnings("ignore", message="Trying to unpickle estimator")
            return skops.io.loads(content, trusted=list(trusted))
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001 - it meets a file of any content
        _refuse(f"does not load: {type(error).__name__}: {str(error)[:300]}", error)


def _refuse_inflated(content: bytes) -> None:
    """By the sizes its directory tells, beyond which no member is unpacked."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        unpacked = sum(one.file_size for one in archive.infolist())
    limit = min(MOST_UNPACKED_BYTES, MOST_TIMES_LARGER * len(content) + ALWAYS_UNPACKED_BYTES)
    if unpacked > limit:
        raise DataError(
            f"the skops model has {len(content)} bytes and unpacks to {unpacked} bytes,"
            f" over {limit}",
            remedy="Train a smaller model, or set package.format to 'onnx'.",
        )


def _refuse_types(types: Sequence[str]) -> NoReturn:
    raise DataError(
        f"the skops model holds types that are not trusted: {', '.join(types)}",
        remedy="Look at them, and list those you trust in train.trusted_types.",
    )


def _refuse(what: str, cause: Exception | None = None) -> NoReturn:
    raise DataError(
        f"the skops model {what}",
        remedy="Package a fitted scikit-learn model, or set package.format to 'onnx'.",
    ) from cause
