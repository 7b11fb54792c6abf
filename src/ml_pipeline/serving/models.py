"""Packages used in the pipeline's own environment."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ml_pipeline.domain.likelihoods import Predictions, named, of_classes
from ml_pipeline.ports.models import PackageInfo
from ml_pipeline.serving.package import read_package
from ml_pipeline.serving.requests import Output
from ml_pipeline.serving.rows import Batch, read_rows
from ml_pipeline.serving.servable import Servable, load_servable

if TYPE_CHECKING:
    from ml_pipeline.ports.models import PackagedModels

#: So many rows at a time keep memory flat; more gained nothing.
_BATCH_ROWS = 4096


class LocalPackagedModels:
    """Speaks `ports.models.PackagedModels`.

    Args:
        trusted_types: what skops may load besides its own list.
    """

    def __init__(self, *, trusted_types: Sequence[str] = ()) -> None:
        self._trusted = tuple(trusted_types)

    def predict(self, package: Path, rows: Path, *, probabilities: bool = False) -> Predictions:
        servable = load_servable(package, trusted_types=self._trusted)
        batch = read_rows(rows, servable.schema)
        parts = [
            batch.part(start, start + _BATCH_ROWS) for start in range(0, len(batch), _BATCH_ROWS)
        ]
        if probabilities:
            return _likely(servable, parts)
        return [float(value) for part in parts for value in servable.predict(part, Output.POSITION)]

    def describe(self, package: Path) -> PackageInfo:
        return read_package(package)[2]


def _likely(servable: Servable, parts: Sequence[Batch]) -> Predictions:
    rows: list[list[float]] = []
    labels: Sequence[float] = ()
    for part in parts:
        given = servable.likelihoods(part)
        labels = named(given.labels, servable.positions, whose="the model")
        rows += given.rows
    return of_classes(labels, rows)


if TYPE_CHECKING:
    _speaks: type[PackagedModels] = LocalPackagedModels
