"""Loading what a training left, in the project's own environment.

Shared by `raw_predict.py` and `export_model.py`, which that environment's Python runs as plain
files: nothing of ml_pipeline is there, and nothing newer than Python 3.9 may be used.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

CONFIGURATION, DATA = 4, 5
#: First bytes of a pickle of protocol 2 to 5.
_PICKLE = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
#: What a skops file may unpack to: the limits of `serving.skops_engine`, which is not here.
MOST_UNPACKED_BYTES = 2 << 30
MOST_TIMES_LARGER, ALWAYS_UNPACKED_BYTES = 100, 64 << 20


class Refusal(Exception):  # noqa: N818 - it names what the caller is told
    """Something the user can mend; `code` is the exit code."""

    def __init__(self, code: int, message: str, remedy: str) -> None:
        super().__init__(message)
        self.code = code
        self.remedy = remedy


def run(program: Callable[[dict[str, Any]], dict[str, Any]]) -> NoReturn:
    """Run `program(spec)`, write what it returns or why it refuses to `spec["output"]`, and exit.

    The spec is the JSON file named by the only argument.
    """
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    # Classes of the project may stand in its model; this program's folder must not hide them.
    sys.path[0:1] = spec["paths"]
    try:
        answer, code = program(spec), 0
    except Refusal as refusal:
        code = refusal.code
        answer = {"error": {"message": str(refusal), "remedy": refusal.remedy, "code": code}}
        print(refusal, file=sys.stderr)  # noqa: T201 - for the log
    partial = spec["output"] + ".partial"
    Path(partial).write_text(json.dumps(answer, allow_nan=False), encoding="utf-8")
    os.replace(partial, spec["output"])  # noqa: PTH105 - both are text here
    sys.exit(code)


def load(spec: dict[str, Any]) -> Any:
    """The model of an artifact; of a mapping, what stands under `model_key`.

    Reads `artifact, model_key, features_key, features, allow_pickle, trusted_types, classes`.
    """
    path = Path(spec["artifact"])
    suffix = path.suffix.lower()
    loader = _LOADERS.get(suffix)
    if loader is None:
        known = ".onnx " + " ".join(sorted(_LOADERS))
        message = f"{path} is of a format nobody can load: {path.suffix!r}"
        raise Refusal(CONFIGURATION, message, f"Set train.artifact to one of {known}.")
    _refuse_disguise(path, suffix)
    try:
        loaded = loader(path, spec)
    except Refusal:
        raise
    except ImportError as error:
        message = f"{path} needs a library the project does not have: {error}"
        raise Refusal(CONFIGURATION, message, "Add it to the project's dependencies.") from error
    except Exception as error:
        message = f"{path} does not load: {type(error).__name__}: {one_line(error)}"
        raise Refusal(DATA, message, "Train again with a version that can read it.") from error
    return _unwrapped(path, loaded, spec)


def one_line(error: BaseException) -> str:
    """An error's text, short enough for a message."""
    return " ".join(str(error).split())[:400]


def is_booster(model: Any) -> bool:
    """Whether it is a native XGBoost or LightGBM booster, not a scikit-learn estimator."""
    return type(model).__name__ == "Booster"


def _refuse_disguise(path: Path, suffix: str) -> None:
    with path.open("rb") as file:
        start = file.read(8)
    if suffix not in _PICKLES and start.startswith(_PICKLE):
        message = f"{path} is a pickle under another name, and a pickle can run any code"
        raise Refusal(CONFIGURATION, message, "Store the model with skops or as ONNX.")


def _load_pickle(path: Path, spec: dict[str, Any]) -> Any:
    if not spec["allow_pickle"]:
        message = f"{path} is a pickle, and loading a pickle can run any code"
        remedy = "Store the model with skops or as ONNX, or set train.allow_pickle = true."
        raise Refusal(CONFIGURATION, message, remedy)
    if find_spec("joblib"):  # reads plain pickles too, and its own under any name
        return import_module("joblib").load(path)
    with path.open("rb") as file:
        return pickle.load(file)  # noqa: S301 - the project asked for it


def _load_skops(path: Path, spec: dict[str, Any]) -> Any:
    skops = import_module("skops.io")
    if not zipfile.is_zipfile(path):
        raise Refusal(DATA, f"{path} is no skops file", "Write it with skops.io.dump.")
    _refuse_inflated(path)
    trusted = set(spec["trusted_types"])
    unknown = [name for name in skops.get_untrusted_types(file=path) if name not in trusted]
    if unknown:
        message = f"{path} holds types that are not trusted: {', '.join(unknown)}"
        remedy = "Look at them, and list those you trust in train.trusted_types."
        raise Refusal(CONFIGURATION, message, remedy)
    return skops.load(path, trusted=sorted(trusted))


def _refuse_inflated(path: Path) -> None:
    packed = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(one.file_size for one in archive.infolist())
    limit = min(MOST_UNPACKED_BYTES, MOST_TIMES_LARGER * packed + ALWAYS_UNPACKED_BYTES)
    if unpacked > limit:
        message = f"{path} has {packed} bytes and unpacks to {unpacked} bytes, over {limit}"
        raise Refusal(DATA, message, "Train a smaller model, or store it as ONNX.")


def _load_xgboost(path: Path, spec: dict[str, Any]) -> Any:  # noqa: ARG001 - one signature
    booster = import_module("xgboost").Booster()
    booster.load_model(str(path))
    return booster


def _load_lightgbm(path: Path, spec: dict[str, Any]) -> Any:  # noqa: ARG001 - one signature
    return import_module("lightgbm").Booster(model_file=str(path))


def _load_catboost(path: Path, spec: dict[str, Any]) -> Any:
    catboost = import_module("catboost")
    kind = catboost.CatBoostClassifier if spec["classes"] else catboost.CatBoost
    model = kind()
    model.load_model(str(path))
    return model


_PICKLES = (".joblib", ".pkl", ".pickle")
_LOADERS: dict[str, Callable[[Path, dict[str, Any]], Any]] = {
    ".joblib": _load_pickle,
    ".pkl": _load_pickle,
    ".pickle": _load_pickle,
    ".skops": _load_skops,
    ".json": _load_xgboost,
    ".ubj": _load_xgboost,
    ".txt": _load_lightgbm,
    ".cbm": _load_catboost,
}


def _unwrapped(path: Path, loaded: Any, spec: dict[str, Any]) -> Any:
    if not isinstance(loaded, dict):
        _check_order(path, "the model", getattr(loaded, "feature_names_in_", None), spec)
        return loaded
    key = spec["model_key"]
    if key not in loaded:
        found = ", ".join(repr(name) for name in loaded) or "nothing"
        message = f"{path} holds {found}, and no {key!r}"
        raise Refusal(CONFIGURATION, message, "Set train.model_key to the model's key.")
    _check_order(path, repr(spec["features_key"]), loaded.get(spec["features_key"]), spec)
    _check_order(path, "the model", getattr(loaded[key], "feature_names_in_", None), spec)
    return loaded[key]


def _check_order(path: Path, where: str, names: Any, spec: dict[str, Any]) -> None:
    if names is None:
        return
    listed = [str(name) for name in names]
    if listed == spec["features"]:
        return
    message = (
        f"{path}: {where} has the features {_shown(listed)},"
        f" data.features lists {_shown(spec['features'])}"
    )
    raise Refusal(CONFIGURATION, message, "List the same columns in the same order.")


def _shown(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 30 else ", ".join(names[:30]) + ", …"


def versions() -> dict[str, str]:
    """Of the libraries that matter to a model, those that are loaded now."""
    names: tuple[str, ...] = (
        "sklearn", "skops", "numpy", "xgboost", "lightgbm", "catboost", "skl2onnx", "onnx",
    )  # fmt: skip
    found = {name: getattr(sys.modules.get(name), "__version__", None) for name in names}
    python = ".".join(str(part) for part in sys.version_info[:3])
    return {"python": python, **{name: text for name, text in found.items() if text}}
