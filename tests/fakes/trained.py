"""Trained models and the rows they are asked about."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import skops.io

from ml_pipeline.adapters.local.trained import LocalTrainedModels
from ml_pipeline.domain.policies.data import DataPolicy
from ml_pipeline.domain.policies.training import PackagePolicy, TrainPolicy
from ml_pipeline.ports.models import PackageInfo
from ml_pipeline.serving.models import LocalPackagedModels
from tests.fakes.runner import FakeRunner

TRUSTED = (
    "numpy.dtype",
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss._loss.CyHalfSquaredError",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfSquaredError",
)
NUMBERS = ("distance", "load", "hour")


def table(rows: int = 300) -> dict[str, list[Any]]:
    """Columns of deliveries; minutes follow from distance, load and hour, and `late` from them."""
    random = np.random.default_rng(7)
    distance = np.round(random.uniform(0.1, 15, rows), 3)
    load = np.round(random.normal(0, 1e4, rows), 2)
    hour = random.integers(8, 22, rows)
    shop = random.choice(["north", "south", "007"], rows)
    minutes = 5 + 3 * distance + load / 1e4 + (hour % 5) + 4 * (shop == "north")
    return {
        "distance": distance.tolist(),
        "load": load.tolist(),
        "hour": hour.tolist(),
        "shop": shop.tolist(),
        "minutes": minutes.tolist(),
        "late": np.where(minutes > 30, "late", "in time").tolist(),
    }


def write_table(path: Path, columns: dict[str, list[Any]]) -> Path:
    """The columns as CSV; None as an empty cell."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def numbers(columns: dict[str, list[Any]]) -> np.ndarray:
    """The numeric features, shape (n, 3)."""
    return np.array([columns[name] for name in NUMBERS], dtype=float).T


def in_artifact(path: Path, model: object, **more: object) -> Path:
    """The model stored by the FreshMart convention, in the format its suffix names."""
    content = {"model": model, "feature_cols": list(NUMBERS), **more}
    if path.suffix == ".skops":
        skops.io.dump(content, path)
    else:
        import joblib

        joblib.dump(content, path)
    return path


@dataclass
class Project:
    """A project in a folder, its settings, and both ports over it."""

    folder: Path
    features: Sequence[str] = NUMBERS
    target: str = "minutes"
    classes: Sequence[str] = ()
    columns: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)
    package: dict[str, Any] = field(default_factory=dict)
    classifies: bool = False

    def __post_init__(self) -> None:
        self.table = table()
        self.rows = write_table(self.folder / "rows.csv", self.table)
        self.work = self.folder / "work"
        self.runner = FakeRunner(self.folder)
        self.packaged = LocalPackagedModels(trusted_types=TRUSTED)
        self.trained = LocalTrainedModels(
            runner=self.runner, packaged=self.packaged, classifies=self.classifies
        )

    @property
    def data_policy(self) -> DataPolicy:
        return DataPolicy(
            path="rows.csv", target=self.target, features=tuple(self.features),
            classes=tuple(self.classes), columns=self.columns,
        )  # fmt: skip

    @property
    def train_policy(self) -> TrainPolicy:
        given = {"command": ("python", "src/train.py"), "trusted_types": TRUSTED, **self.train}
        return TrainPolicy.model_validate(given)

    def predict(self, artifact: Path, *, probabilities: bool = False) -> Sequence[float]:
        return self.trained.predict(
            artifact, self.rows, data=self.data_policy, train=self.train_policy, work=self.work,
            probabilities=probabilities,
        )  # fmt: skip

    def make_package(self, artifact: Path, name: str = "package") -> tuple[Path, PackageInfo]:
        target = self.folder / name
        info = self.trained.package(
            artifact, self.rows, target, data=self.data_policy, train=self.train_policy,
            package=PackagePolicy.model_validate(self.package), work=self.work,
        )  # fmt: skip
        return target, info

    def manifest(self, package: Path) -> dict[str, Any]:
        return json.loads((package / "package.json").read_text())
