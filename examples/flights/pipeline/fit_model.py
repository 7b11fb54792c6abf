"""Fit the arrival-delay model.

Usage: python pipeline/fit_model.py --input flights.csv --out DIR [num_leaves=31 ...]

Leaves estimator.joblib and scores.json in DIR.
"""

import argparse
import json
import os

import joblib
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_absolute_error, root_mean_squared_error
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from dataset import COLUMNS, NUMBERS, TARGET, TEXT

DEFAULTS = {"num_leaves": 31, "rounds": 100, "shrinkage": 0.1, "seed": 0}


def estimator(num_leaves, rounds, shrinkage, seed):
    """Carriers and airports as numbers (a new one as -1), then boosted trees."""
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return Pipeline(
        [
            (
                "columns",
                ColumnTransformer(
                    [("text", codes, TEXT), ("numbers", "passthrough", NUMBERS)]
                ),
            ),
            (
                "trees",
                HistGradientBoostingRegressor(
                    max_leaf_nodes=int(num_leaves),
                    max_iter=int(rounds),
                    learning_rate=shrinkage,
                    early_stopping=False,
                    random_state=int(seed),
                ),
            ),
        ]
    )


def fit(table, **options):
    """The fitted estimator, and its scores on the newest twentieth (not fitted on)."""
    newest = max(1, len(table) // 20)
    past, recent = table.iloc[:-newest], table.iloc[-newest:]
    model = estimator(**DEFAULTS | options)
    model.fit(past[COLUMNS], past[TARGET])
    predicted = model.predict(recent[COLUMNS])
    scores = {
        "mae": mean_absolute_error(recent[TARGET], predicted),
        "rmse": root_mean_squared_error(recent[TARGET], predicted),
        "flights": len(past),
    }
    return model, scores


def option(text):
    name, _, value = text.partition("=")
    if name not in DEFAULTS:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(DEFAULTS)}")
    return name, float(value)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--input", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("options", nargs="*", type=option, metavar="name=value")
    args = parser.parse_args()

    model, scores = fit(pd.read_csv(args.input), **dict(args.options))
    os.makedirs(args.out, exist_ok=True)
    joblib.dump(
        {"estimator": model, "columns": COLUMNS},
        os.path.join(args.out, "estimator.joblib"),
    )
    with open(os.path.join(args.out, "scores.json"), "w") as file:
        json.dump(scores, file)
    print(scores)
