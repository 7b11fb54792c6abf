"""Trained models made servable, and predictions from either form."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ml_pipeline.domain.likelihoods import Predictions
from ml_pipeline.domain.policies.data import DataPolicy
from ml_pipeline.domain.policies.training import PackagePolicy, TrainPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageInfo:
    """What a package folder holds; `digest` covers every file in it."""

    format: str
    digest: str
    bytes: int
    #: largest difference to the trained model, relative to 1 + |prediction|; None: not measured
    worst_difference: float | None = None


class TrainedModels(Protocol):
    """Models as training left them, used in the project's own environment."""

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
        """Predictions for the rows of a CSV file, in order; a text label as its class position.

        Args:
            artifact: the file training wrote.
            rows: CSV with the feature columns.
            data: names the features.
            train: says how the artifact may be loaded.
            work: folder for logs and intermediate files.
            probabilities: the positive class's probability instead of the class; where there
                are not two, the probability of each.

        Raises:
            ConfigurationError: a pickle without the opt-in, or a format nobody can load.
            DataError: it does not load or predict; says why.
        """

    def package(
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
        """Write a package folder: the servable model and `package.json`.

        Raises:
            ConfigurationError: the model cannot be converted; says what can be set instead.
        """


class PackagedModels(Protocol):
    """Package folders, used in the pipeline's own environment."""

    def predict(self, package: Path, rows: Path, *, probabilities: bool = False) -> Predictions:
        """Predictions for the rows of a CSV file, in order; as `TrainedModels.predict` gives them.

        Raises:
            DataError: the package cannot be loaded, or a column it needs is absent.
        """

    def describe(self, package: Path) -> PackageInfo:
        """What the folder holds, its digest computed anew.

        Raises:
            DataError: it is no package, or a file is not what the manifest says.
        """
