"""Columns a script names: the one it predicts, and those it drops."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence

from ml_pipeline.settings.survey.constants import called, constant, nodes

_TARGET = re.compile(
    r"target(_(col|column|name))?|label(_?(col|column|name))?|y_col", re.IGNORECASE
)
_Y = re.compile(r"y(_(all|train|full|true|data))?|labels?|targets?", re.IGNORECASE)
Known = Mapping[str, object]


def targets(tree: ast.AST, known: Known) -> Iterator[str]:
    """Names of columns that look like the target, the likeliest first."""
    assigned = [
        pair for node in nodes(tree) if isinstance(node, ast.Assign) for pair in _pairs(node)
    ]
    for name, value in assigned:
        if _TARGET.fullmatch(name):
            yield from _text(value, known)
    for name, value in assigned:
        if _Y.fullmatch(name):
            yield from _subscripted(value, known)
    for call in (node for node in nodes(tree) if isinstance(node, ast.Call)):
        yield from _handed(call, known)


def _handed(call: ast.Call, known: Known) -> Iterator[str]:
    """The column handed to a training as its truth, or taken out of the table by `pop`."""
    if called(call) in {"fit", "train_test_split", "DMatrix", "Dataset"}:
        labelled = (word.value for word in call.keywords if word.arg == "label")
        for given in (*call.args[1:2], *labelled):
            yield from _subscripted(given, known)
    elif called(call) == "pop" and len(call.args) == 1:
        yield from _text(call.args[0], known)


def dropped(tree: ast.AST, known: Known) -> Iterator[str]:
    """Names of columns given to `drop(...)`."""
    for call in nodes(tree):
        if isinstance(call, ast.Call) and called(call) == "drop":
            named = [word.value for word in call.keywords if word.arg in {"columns", "labels"}]
            across = any(
                word.arg == "axis" and constant(word.value, {}) in {1, "columns"}
                for word in call.keywords
            )
            for value in (*named, *(call.args[:1] if across else ())):
                for one in getattr(value, "elts", (value,)):
                    yield from _text(one, known)


def _pairs(node: ast.Assign) -> Iterator[tuple[str, ast.expr]]:
    """Names and values, also of `X, y = a, b`."""
    for target in node.targets:
        names = getattr(target, "elts", [target])
        values: Sequence[ast.expr] = (
            node.value.elts
            if isinstance(node.value, ast.Tuple) and isinstance(target, ast.Tuple | ast.List)
            else [node.value]
        )
        if len(names) == len(values):
            for name, value in zip(names, values, strict=True):
                yield getattr(name, "id", getattr(name, "attr", "")), value


def _subscripted(node: ast.expr, known: Known) -> Iterator[str]:
    """The column of `frame["y"]` and `frame.y`, also with `.to_numpy()` or `.iloc[:5]` after it."""
    inside = list(ast.walk(node))
    for inner in inside:
        if isinstance(inner, ast.Subscript):
            yield from _text(inner.slice, known)
    for inner in inside:
        if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name):
            yield inner.attr


def _text(node: ast.AST, known: Known) -> Iterator[str]:
    value = constant(node, known)
    if isinstance(value, str):
        yield value
