"""Predictions of a trained artifact: `python raw_predict.py spec.json`, by the project's Python.

The spec names `rows` (CSV) and, of each feature, `name`, `type` and `fill`; for the rest see
`trained_artifact.load`. The answer holds `predictions` (numbers or labels), of a binary classifier
also the `probabilities` of every row and class, their `probability_labels`, the `task` and
`versions`.
"""

from __future__ import annotations

import csv
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml_pipeline.entry.trained_artifact import DATA, Refusal, is_booster, load, one_line, run
    from ml_pipeline.entry.trained_artifact import versions as loaded_versions
else:
    from trained_artifact import DATA, Refusal, is_booster, load, one_line, run
    from trained_artifact import versions as loaded_versions

#: What a text cell says when a number is missing, besides nothing at all.
MISSING = ("", "nan", "NaN", "NA", "N/A", "null", "None", "<NA>")
_TRUTHS = {"true": True, "false": False}


def predict(spec: dict[str, Any]) -> dict[str, Any]:
    """What the program answers."""
    model = load(spec)
    rows = _texts(spec) if _takes_texts(model) else table(spec, framed=_wants_names(model))
    try:
        answer = _booster(model, rows) if is_booster(model) else _estimator(model, rows)
    except Exception as error:
        message = f"{spec['artifact']} does not predict: {type(error).__name__}: {one_line(error)}"
        raise Refusal(DATA, message, _remedy(spec)) from error
    return {**answer, "versions": loaded_versions()}


def _remedy(spec: dict[str, Any]) -> str:
    """What to do about a model that does not predict: often, a value is missing."""
    with open(spec["rows"], newline="", encoding="utf-8-sig") as file:  # noqa: PTH123 - a text
        rows = list(csv.DictReader(file))
    for column in spec["columns"]:
        name = column["name"]
        if column["fill"] is None and any(row[name].strip() in MISSING for row in rows):
            return f"If the training fills empty cells, say how: data.columns.{name}.fill."
    return "Train on the columns of data.features."


def _wants_names(model: Any) -> bool:
    """Whether the model was fitted with names, or may ask for columns by name."""
    if is_booster(model):
        return True
    fitted_without = hasattr(model, "n_features_in_") and not hasattr(model, "feature_names_in_")
    return not fitted_without


def _takes_texts(model: Any) -> bool:
    """Whether it begins with a step that parts texts into words, and so takes them, no table."""
    while hasattr(model, "steps") or hasattr(model, "transformer_list"):
        model = (getattr(model, "steps", None) or model.transformer_list)[0][1]
    return hasattr(model, "build_analyzer")


def _texts(spec: dict[str, Any]) -> list[Any]:
    if len(spec["columns"]) != 1:
        names = ", ".join(spec["features"])
        message = f"{spec['artifact']} takes one column of text, and data.features lists {names}"
        raise Refusal(DATA, message, "List the one text column in data.features.")
    (texts,) = _columns(spec).values()
    return texts


def _estimator(model: Any, rows: Any) -> dict[str, Any]:
    numpy = import_module("numpy")
    predictions = numpy.asarray(model.predict(rows))
    classes = getattr(model, "classes_", None)
    answer: dict[str, Any] = {"predictions": _flat(predictions), "task": "regression"}
    if classes is None or len(classes) == 0:  # CatBoost's regressors have none, and the list
        return answer
    answer["task"] = "classification"
    if hasattr(model, "predict_proba"):
        answer["probabilities"] = numpy.asarray(model.predict_proba(rows)).tolist()
        answer["probability_labels"] = numpy.asarray(classes).tolist()
    return answer


def _booster(model: Any, rows: Any) -> dict[str, Any]:
    """Of a native booster: its numbers, or the likelier class's position."""
    numpy = import_module("numpy")
    if type(model).__module__.startswith("xgboost"):
        matrix = import_module("xgboost").DMatrix(rows)
        best = model.attr("best_iteration")
        window = (0, int(best) + 1) if best is not None else (0, 0)
        given = numpy.asarray(
            model.predict(matrix, iteration_range=window, validate_features=False)
        )
        settings = import_module("json").loads(model.save_config())
        objective = settings["learner"]["objective"]["name"]
    else:
        given = numpy.asarray(model.predict(_categorized(model, rows)))
        head = model.model_to_string(num_iteration=1).split("\nobjective=", 1)
        objective = head[1].split("\n", 1)[0] if len(head) == 2 else ""
    if not objective.startswith(("binary", "multi")):
        return {"predictions": _flat(given), "task": "regression"}
    if objective.startswith("binary"):
        given = numpy.stack([1 - given, given], axis=1)
    labels = given.argmax(axis=1) if given.ndim == 2 else given
    answer = {"predictions": labels.tolist(), "task": "classification"}
    if given.ndim == 2:
        answer["probabilities"] = given.tolist()
        answer["probability_labels"] = list(range(given.shape[1]))
    return answer


def _categorized(model: Any, rows: Any) -> Any:
    """Rows with texts as the categories of pandas that a LightGBM booster was trained on."""
    known = getattr(model, "pandas_categorical", None) or []
    texts = [name for name in getattr(rows, "columns", ()) if rows[name].dtype.kind == "O"]
    if known and len(known) == len(texts):
        pandas = import_module("pandas")
        for at, name in enumerate(texts):
            told = rows[name].where(rows[name].isin(known[at]))  # others are missing to LightGBM
            rows[name] = pandas.Categorical(told, categories=known[at])
    return rows


def _flat(predictions: Any) -> list[Any]:
    if predictions.ndim == 2 and predictions.shape[1] == 1:
        predictions = predictions[:, 0]
    if predictions.ndim != 1:
        raise ValueError(f"predictions have the shape {predictions.shape}, not one a row")
    numpy = import_module("numpy")
    if predictions.dtype.kind == "f" and not numpy.isfinite(predictions).all():
        row = int(numpy.argmin(numpy.isfinite(predictions)))
        raise ValueError(f"the prediction for row {row} is {predictions[row]}")
    values: list[Any] = predictions.tolist()
    return [value if isinstance(value, (int, float)) else str(value) for value in values]


def table(spec: dict[str, Any], *, framed: bool) -> Any:
    """The features of `rows`: a pandas or polars table when names are wanted, else an array."""
    if framed and find_spec("pandas"):
        return _pandas(spec)
    if framed and find_spec("polars"):
        return import_module("polars").DataFrame(_columns(spec))
    numpy = import_module("numpy")
    columns = _columns(spec)
    numeric = all(column["type"] != "string" for column in spec["columns"])
    arrays = [
        numpy.array(values, dtype=float if numeric else object) for values in columns.values()
    ]
    return numpy.stack(arrays, axis=1)


def _pandas(spec: dict[str, Any]) -> Any:
    pandas = import_module("pandas")
    texts = [column["name"] for column in spec["columns"] if column["type"] == "string"]
    frame = pandas.read_csv(
        spec["rows"],
        usecols=spec["features"],
        dtype=dict.fromkeys(texts, str),
        keep_default_na=False,
        na_values={name: [""] if name in texts else list(MISSING) for name in spec["features"]},
    )
    fills = {one["name"]: one["fill"] for one in spec["columns"] if one["fill"] is not None}
    return frame[spec["features"]].fillna(fills) if fills else frame[spec["features"]]


def _columns(spec: dict[str, Any]) -> dict[str, list[Any]]:
    with open(spec["rows"], newline="", encoding="utf-8-sig") as file:  # noqa: PTH123 - a text
        rows = list(csv.DictReader(file))
    return {
        column["name"]: [_value(row[column["name"]], column) for row in rows]
        for column in spec["columns"]
    }


def _value(cell: str, column: dict[str, Any]) -> Any:
    kind, fill = column["type"], column["fill"]
    if kind == "string":
        return cell or fill
    if cell.strip() in MISSING:
        return float("nan") if fill is None else fill
    if kind == "bool" and cell.strip().lower() in _TRUTHS:
        return _TRUTHS[cell.strip().lower()]
    return float(cell)


if __name__ == "__main__":
    run(predict)
