"""Which of a report's keys names which metric."""

import re
from collections.abc import Iterable, Mapping

_WORDS: Mapping[str, str] = {
    "mae": r"mae|mean_absolute_error",
    "rmse": r"rmse|root_mean_squared_error",
    "mape": r"mape|mean_absolute_percentage_error",
    "r2": r"r2|r_squared",
    "accuracy": r"accuracy|acc",
    "f1": r"f1",
    "roc_auc": r"roc_auc|auroc|auc",
    "log_loss": r"log_loss|m?logloss|cross_?entropy",
}
#: Another metric, whatever follows.
_OTHER = re.compile(r"(?<![a-z])(balanced|adj(usted)?|weighted|top_\d|neg(ative)?|log|pr)_(?!loss)")
_METRICS = {
    name: re.compile(rf"(?<![a-z])({words})(_score)?(?![a-z0-9])") for name, words in _WORDS.items()
}
#: Which rows a figure is of, the most telling first; what says nothing stands in the middle.
_ROWS = ("test", "holdout", "hold_out", "val", "valid", "validation", "eval", "dev")
_LESS = ("cv", "train", "training", "fit")
_UNTOLD = len(_ROWS)


def metric_of(key: str) -> str:
    """The metric that a key names, empty when it names none.

    >>> metric_of("test.mae"), metric_of("val_f1-score"), metric_of("maelstrom")
    ('mae', 'f1', '')
    >>> metric_of("balanced_accuracy"), metric_of("test.neg_rmse"), metric_of("val_log_loss")
    ('', '', 'log_loss')
    """
    text = _plain(key.rpartition(".")[2]) or _plain(key)
    if _OTHER.search(text):
        return ""
    return next((name for name, words in _METRICS.items() if words.search(text)), "")


def named_metrics(keys: Iterable[str]) -> Mapping[str, str]:
    """The key that says most about each metric, by the metric's name.

    >>> named_metrics(["train.mae", "test.mae", "r2"])
    {'mae': 'test.mae', 'r2': 'r2'}
    """
    found: dict[str, list[str]] = {}
    for key in keys:
        if metric_of(key):
            found.setdefault(metric_of(key), []).append(key)
    return {name: min(named, key=_rank) for name, named in found.items()}


def _rank(key: str) -> int:
    words = set(_plain(key.replace(".", "_")).split("_"))
    told = [place for place, word in enumerate(_ROWS) if word in words]
    if told:
        return told[0]
    return _UNTOLD + 1 if words & set(_LESS) else _UNTOLD


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
