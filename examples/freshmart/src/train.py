"""Train the delivery-time model: minutes from order to doorbell.

    python src/train.py --data-path table.csv --output-dir out [--max-depth 4 …]

Leaves `model.skops` (the model and its feature columns) and `metrics.json` in the output folder.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
import skops.io
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.metrics import mean_absolute_error

from features import FEATURES, TARGET

VALIDATION_SHARE = 0.1  # the last rows of the table, to watch the fit while training


def load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Features of shape (n, 8) and minutes of shape (n,), in the order of the file."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    features = np.array([[float(row[name]) for name in FEATURES] for row in rows])
    minutes = np.array([float(row[TARGET]) for row in rows])
    return features, minutes


def train(features: np.ndarray, minutes: np.ndarray, **hyperparameters: float):
    """The fitted model, and its metrics on the last tenth of the rows (which it did not see)."""
    last = max(1, round(len(minutes) * VALIDATION_SHARE))
    model = GradientBoostingRegressor(**hyperparameters)
    model.fit(features[:-last], minutes[:-last])
    metrics = {
        "mae_minutes": float(mean_absolute_error(minutes[-last:], model.predict(features[-last:]))),
        "train_mae_minutes": float(
            mean_absolute_error(minutes[:-last], model.predict(features[:-last]))
        ),
        "rows": len(minutes),
    }
    return model, metrics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-path", type=Path, required=True)
    parser.add_argument("--output-dir", type=Path, required=True)
    parser.add_argument("--n-estimators", type=int, default=100)
    parser.add_argument("--max-depth", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    features, minutes = load(args.data_path)
    model, metrics = train(
        features,
        minutes,
        n_estimators=args.n_estimators,
        max_depth=args.max_depth,
        learning_rate=args.learning_rate,
        random_state=args.seed,
    )
    args.output_dir.mkdir(parents=True, exist_ok=True)
    skops.io.dump({"model": model, "feature_cols": list(FEATURES)}, args.output_dir / "model.skops")
    (args.output_dir / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    print(f"{metrics['rows']} rows, validation MAE {metrics['mae_minutes']:.2f} minutes")


if __name__ == "__main__":
    main()
