"""Servable forms of a trained artifact: `python export_model.py spec.json`.

Run by the project's Python with the converters laid over its environment. `format` "skops" writes
the bare model again; "onnx" writes candidates, best first, of which the caller keeps the first
that predicts what the trained model predicts:

    double   numbers enter as float64, and as float32 only what the trained model itself computes
             with in float32 (trees of scikit-learn, XGBoost): nothing is rounded twice
    float    all in float32, for operators ONNX Runtime has only in float32
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml_pipeline.entry.onnx_doubles import without_imputers
    from ml_pipeline.entry.target_transform import parted, with_inverse
    from ml_pipeline.entry.trained_artifact import (
        CONFIGURATION,
        Refusal,
        is_booster,
        load,
        one_line,
        run,
        versions,
    )
else:
    from onnx_doubles import without_imputers
    from target_transform import parted, with_inverse
    from trained_artifact import (
        CONFIGURATION,
        Refusal,
        is_booster,
        load,
        one_line,
        run,
        versions,
    )

#: Ensembles whose ONNX form compares in float32, by the start of their class's name.
_TREES = (
    "DecisionTree", "ExtraTree", "RandomForest", "GradientBoosting", "HistGradientBoosting",
    "XGB", "LGBM",
)  # fmt: skip
#: The newest versions of the operators that all converters here know.
_OPSET = {"": 18, "ai.onnx.ml": 3}
_DOUBLE, _FLOAT = 11, 1  # onnx.TensorProto's own numbers
#: Lower case is a matter of the locale; slim hosts have these, and some only the last.
_LOCALES = ("C.UTF-8", "C")
#: What scikit-learn calls a word, and the same for ONNX Runtime, whose `\w` knows ASCII only.
_PYTHON_WORDS = r"(?u)\b\w\w+\b"
_ONNX_WORDS = r"[\p{L}\p{N}_][\p{L}\p{N}_]+"
#: Where an estimator keeps the one it wraps.
_WRAPPED = ("regressor_", "estimator_", "best_estimator_")
_REMEDY = "Set package.format to 'skops', or give package.export a command that writes ONNX."
_ALONE_REMEDY = "Encode texts as numbers before, or give package.export a command that writes ONNX."


def export(spec: dict[str, Any]) -> dict[str, Any]:
    """What the program answers: `candidates`, each a `name` and a `file`, and `versions`."""
    model = load(spec)
    folder = spec["folder"]
    if spec["format"] == "skops":
        path = f"{folder}/model.skops"
        import_module("skops.io").dump(model, path)
        return {"candidates": [{"name": "skops", "file": path}], "versions": versions()}
    candidates, faults = [], []
    for name, convert in _conversions(model, spec).items():
        try:
            content = convert()
        except Exception as error:  # noqa: BLE001 - converters raise of every kind
            faults.append(f"{name}: {type(error).__name__}: {one_line(error)}")
            continue
        path = f"{folder}/{name}.onnx"
        with open(path, "wb") as file:  # noqa: PTH123 - a text
            file.write(content)
        candidates.append({"name": name, "file": path})
    if not candidates:
        message = f"{spec['artifact']} cannot be converted to ONNX: {'; '.join(faults)}"
        alone = is_booster(model) or type(model).__module__.startswith("catboost")
        raise Refusal(CONFIGURATION, message, _ALONE_REMEDY if alone else _REMEDY)
    return {"candidates": candidates, "versions": versions()}


def _conversions(model: Any, spec: dict[str, Any]) -> dict[str, Callable[[], bytes]]:
    if found := parted(model):
        inner, wrapper = found
        return {
            name: partial(with_inverse, convert, wrapper)
            for name, convert in _conversions(inner, spec).items()
        }
    if is_booster(model):
        return {"booster": lambda: _booster(model, spec)}
    if type(model).__module__.startswith("catboost"):
        return {"catboost": lambda: _catboost(model, spec)}
    if any(column["type"] == "string" for column in spec["columns"]):
        model = _empty_for_missing(model)
    if _vectorizers(model):
        return {
            f"float, locale {locale}": partial(_words, model, spec, locale) for locale in _LOCALES
        }
    return {
        "double": lambda: _sklearn(_rounded_as_trained(model), model, spec, "DoubleTensorType"),
        "float": lambda: _sklearn(model, model, spec, "FloatTensorType"),
    }


def _words(model: Any, spec: dict[str, Any], locale: str) -> bytes:
    """Of a model that parts text into words: ONNX does that in float32 alone."""
    _register_others()
    options: dict[int, dict[str, Any]] = {}
    for step in _vectorizers(model):
        options[id(step)] = {"locale": locale}
        if step.token_pattern == _PYTHON_WORDS:
            options[id(step)]["tokenexp"] = _ONNX_WORDS
    return _converted(model, model, _by_name(spec, "FloatTensorType"), options)


def _sklearn(model: Any, trained: Any, spec: dict[str, Any], tensor: str) -> bytes:
    """Convert, taking all columns at once where possible, else each by its name."""
    _register_others()
    final = getattr(trained, "steps", [("model", trained)])[-1][1]
    if hasattr(final, "get_booster"):
        _anonymous(final.get_booster())
    if any(column["type"] == "string" for column in spec["columns"]):
        return _converted(model, trained, _by_name(spec, tensor))
    try:
        return _converted(model, trained, _at_once(spec, tensor))
    except RuntimeError as error:
        if "column name" not in str(error):
            raise
        return _converted(model, trained, _by_name(spec, tensor))


def _converted(
    model: Any,
    trained: Any,
    inputs: list[tuple[str, Any]],
    options: dict[int, dict[str, Any]] | None = None,
) -> bytes:
    options = options or {}
    if hasattr(trained, "classes_"):
        options[id(model)] = {"zipmap": False}
    proto = import_module("skl2onnx").convert_sklearn(
        model,
        initial_types=inputs,
        options=options or None,
        target_opset=_OPSET,
    )
    # A tree ensemble of ONNX gives float32, whatever its converter declares for float64 rows.
    trees = {
        name for node in proto.graph.node if node.op_type.startswith("TreeEnsemble")
        for name in node.output
    }  # fmt: skip
    for output in proto.graph.output:
        kind = output.type.tensor_type
        if output.name in trees and kind.elem_type == _DOUBLE:
            kind.elem_type = _FLOAT
    if _DOUBLE in {one.type.tensor_type.elem_type for one in proto.graph.input}:
        without_imputers(proto, _steps(trained))
    content: bytes = proto.SerializeToString()
    return content


def _empty_for_missing(model: Any) -> Any:
    """A copy that knows a missing text as an empty one: ONNX has no text that is missing."""
    model = deepcopy(model)
    for step in _steps(model):
        statistics = getattr(step, "statistics_", ())
        if any(isinstance(one, str) for one in statistics) and _is_missing(step.missing_values):
            step.missing_values = ""
        for known in getattr(step, "categories_", ()):
            if any(isinstance(one, str) for one in known):
                known[[_is_missing(one) for one in known]] = ""
    return model


def _is_missing(value: Any) -> bool:
    """Whether it is None or NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _vectorizers(model: Any) -> list[Any]:
    """Steps that part text into words."""
    return [
        step
        for step in _steps(model)
        if hasattr(step, "vocabulary_") and hasattr(step, "token_pattern")
    ]


def _steps(model: Any) -> list[Any]:
    """The model and all that is fitted within it."""
    inner = [
        one[1]
        for name in ("steps", "transformers_", "transformer_list")
        for one in getattr(model, name, ())
    ]
    inner += [getattr(model, name) for name in _WRAPPED if hasattr(model, name)]
    return [model, *(found for one in inner for found in _steps(one))]


def _at_once(spec: dict[str, Any], tensor: str) -> list[tuple[str, Any]]:
    types = import_module("skl2onnx.common.data_types")
    return [("rows", getattr(types, tensor)([None, len(spec["columns"])]))]


def _by_name(spec: dict[str, Any], tensor: str) -> list[tuple[str, Any]]:
    types = import_module("skl2onnx.common.data_types")
    kinds = {"string": types.StringTensorType}
    number = getattr(types, tensor)
    return [
        (column["name"], kinds.get(column["type"], number)([None, 1])) for column in spec["columns"]
    ]


def _rounded_as_trained(model: Any) -> Any:
    """The model with a cast to float32 right before its trees, where they round too."""
    steps = list(getattr(model, "steps", [("model", model)]))
    if not type(steps[-1][1]).__name__.startswith(_TREES):
        return model
    pipeline = import_module("sklearn.pipeline").Pipeline
    numpy = import_module("numpy")
    cast = import_module("skl2onnx.sklapi").CastTransformer(dtype=numpy.float32)
    return pipeline([*steps[:-1], ("as_float32", cast), steps[-1]])


def _register_others() -> None:
    """Teach skl2onnx the estimators of XGBoost and LightGBM where they are installed."""
    convert = import_module("skl2onnx")
    shapes = import_module("skl2onnx.common.shape_calculator")
    for library, names in _OTHERS.items():
        if not find_spec(library) or not find_spec("onnxmltools"):
            continue
        module = import_module(library)
        for name, (converters, function, kind) in names.items():
            converter = getattr(import_module(f"onnxmltools.convert.{converters}"), function)
            shape = getattr(shapes, f"calculate_linear_{kind}_output_shapes")
            options = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
            convert.update_registered_converter(
                getattr(module, name), library + name, shape, converter,
                options=options if kind == "classifier" else None,
            )  # fmt: skip


_XGB = "xgboost.operator_converters.XGBoost"
_LGB = "lightgbm.operator_converters.LightGbm"
_OTHERS = {
    "xgboost": {
        "XGBRegressor": (_XGB, "convert_xgboost", "regressor"),
        "XGBClassifier": (_XGB, "convert_xgboost", "classifier"),
    },
    "lightgbm": {
        "LGBMRegressor": (_LGB, "convert_lightgbm", "regressor"),
        "LGBMClassifier": (_LGB, "convert_lightgbm", "classifier"),
    },
}


def _booster(model: Any, spec: dict[str, Any]) -> bytes:
    if texts := [column["name"] for column in spec["columns"] if column["type"] == "string"]:
        raise ValueError(
            f"a native booster's ONNX form takes numbers only, and {', '.join(texts)} is text"
        )
    types = import_module("onnxmltools.convert.common.data_types")
    convert = import_module("onnxmltools.convert")
    inputs = [("rows", types.FloatTensorType([None, len(spec["columns"])]))]
    if type(model).__module__.startswith("xgboost"):
        if model.attr("best_iteration") is not None:
            model = model[: int(model.attr("best_iteration")) + 1]
        _anonymous(model)
        proto = convert.convert_xgboost(model, initial_types=inputs)
    else:
        proto = convert.convert_lightgbm(model, initial_types=inputs, zipmap=False)
    content: bytes = proto.SerializeToString()
    return content


def _anonymous(booster: Any) -> None:
    """The converter knows only columns f0, f1, … that hold numbers; truths are 0 and 1."""
    booster.feature_names = None
    booster.feature_types = None


def _catboost(model: Any, spec: dict[str, Any]) -> bytes:
    path = f"{spec['folder']}/catboost.onnx"
    model.save_model(path, format="onnx")
    with open(path, "rb") as file:  # noqa: PTH123 - a text
        return file.read()


if __name__ == "__main__":
    run(export)
