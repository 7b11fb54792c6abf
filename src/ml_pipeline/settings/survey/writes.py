"""What a script writes: models and JSON reports, with their names and keys where they show."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from ml_pipeline.settings.survey.constants import assignments, called, nodes, texts_of

#: Endings that mean a model wherever they stand; `.json` and `.txt` do in `save_model(...)` only.
MODEL_ENDINGS = (
    ".skops", ".joblib", ".pkl", ".pickle", ".onnx", ".ubj", ".cbm", ".bst",
)  # fmt: skip
_BOOSTER_ENDINGS = (*MODEL_ENDINGS, ".json", ".txt", ".model")
_SAVERS = frozenset({"save_model", "dump_model"})
_DUMPERS = frozenset({"dump", "save", "to_pickle", "write_bytes"})
_LIBRARIES = {
    "skops": "model.skops", "joblib": "model.joblib", "pickle": "model.pkl",
    "cloudpickle": "model.pkl", "dill": "model.pkl", "onnx": "model.onnx",
    "xgboost": "model.ubj", "lightgbm": "model.txt", "catboost": "model.cbm",
}  # fmt: skip
_JSON = frozenset({"json", "orjson", "ujson", "simplejson", "rapidjson"})
_DEPTH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A JSON file a script writes: `name` empty where it does not show, keys dotted."""

    name: str = ""
    variable: str = ""
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A model a script writes.

    `name` is empty where it does not show, `variable` what the script calls its path; `usual` is
    a name with the ending the library writes, `keys` those of a mapping that is dumped.
    """

    name: str = ""
    variable: str = ""
    usual: str = ""
    keys: tuple[str, ...] = ()


class Writings:
    """Everything one source writes."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._modules = _aliases(tree)
        self._values = _values(tree)
        self._returned = _returned(tree)
        self._added = _added_keys(tree)

    @property
    def models(self) -> Iterator[Saved]:
        """Calls that write a model."""
        for call in self._calls():
            name = called(call)
            library = self._library(call)
            if name in _SAVERS or (name in _DUMPERS and library not in _JSON and library):
                yield self._saved(call, library, boosted=name in _SAVERS and library != "onnx")

    @property
    def reports(self) -> Iterator[Report]:
        """Calls that write JSON."""
        written = {
            id(inner): call
            for call in self._calls()
            if called(call) in {"write_text", "write", "write_bytes", "print"}
            for inner in call.args
        }
        for call in self._calls():
            if self._library(call) not in _JSON or called(call) not in {"dump", "dumps"}:
                continue
            outer = written.get(id(call))
            where = [*call.args[1:2], *([outer.func] if outer else [])]
            if where and call.args:
                yield self._report(call.args[0], where)

    def _calls(self) -> Iterator[ast.Call]:
        return (node for node in nodes(self._tree) if isinstance(node, ast.Call))

    def _library(self, call: ast.Call) -> str:
        """The package a call comes from, empty when it is a method of some value."""
        function = call.func
        root = function
        while isinstance(root, ast.Attribute):
            root = root.value
        module = self._modules.get(getattr(root, "id", ""), "")
        if not module and called(call) in _SAVERS:
            imported = set(self._modules.values())
            return next((one for one in ("catboost", "lightgbm", "xgboost") if one in imported), "")
        return module

    def _saved(self, call: ast.Call, library: str, *, boosted: bool) -> Saved:
        places: list[ast.expr] = [*call.args, *(word.value for word in call.keywords)]
        endings = _BOOSTER_ENDINGS if boosted else MODEL_ENDINGS
        names = [name for place in places for name in self._file_names(place, endings)]
        target = call.args[0] if boosted and call.args else (*call.args[1:2], None)[0]
        mapping = self._mapping(call.args[0]) if call.args else None
        return Saved(
            name=names[0] if names else "",
            variable=_last(target),
            usual=_LIBRARIES.get(library, ""),
            keys=tuple(texts_of(mapping.keys)) if mapping is not None else (),
        )

    def _report(self, content: ast.expr, where: Sequence[ast.expr]) -> Report:
        names = [name for place in where for name in self._file_names(place, (".json",))]
        return Report(
            name=names[0] if names else "",
            variable=next((name for place in where for name in self._variables(place)), ""),
            keys=tuple(dict.fromkeys(self._keys(content, "", _DEPTH))),
        )

    def _file_names(self, node: ast.AST, endings: Sequence[str]) -> Iterator[str]:
        """Names of files in an expression, and in what the names in it were assigned."""
        for text in self._texts(node, _DEPTH):
            name = PurePosixPath(text).name
            if name.endswith(tuple(endings)) and not name.startswith("."):
                yield name

    def _texts(self, node: ast.AST, depth: int) -> Iterator[str]:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                yield inner.value
            elif isinstance(inner, ast.Name) and depth > 0:
                for value in self._values.get(inner.id, ()):
                    yield from self._texts(value, depth - 1)

    def _variables(self, node: ast.AST) -> Iterator[str]:
        """Names in an expression, also behind `open(...) as file`."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Attribute):
                yield inner.attr
            elif isinstance(inner, ast.Name):
                yield inner.id
                for value in self._values.get(inner.id, ()):
                    yield from (_last(one) for one in ast.walk(value) if _last(one))

    def _mapping(self, node: ast.expr | None) -> ast.Dict | None:
        candidates = self._values.get(node.id, ()) if isinstance(node, ast.Name) else (node,)
        return next((one for one in candidates if isinstance(one, ast.Dict)), None)

    def _keys(self, node: ast.expr, above: str, depth: int) -> Iterator[str]:
        """Dotted keys of a mapping."""
        if depth == 0:
            return
        for key, value in self._entries(node):
            path = f"{above}.{key}" if above else key
            below = list(self._keys(value, path, depth - 1))
            yield from below or [path]
        for one in self._meant(node):
            yield from self._keys(one, above, depth - 1)

    def _entries(self, node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
        """Keys and values of `{...}` and `dict(...)`, and those a name is given later."""
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                yield from ((text, value) for text in texts_of((key,)))
        elif isinstance(node, ast.Call) and called(node) == "dict":
            yield from ((word.arg, word.value) for word in node.keywords if word.arg)
        elif isinstance(node, ast.Name):
            yield from self._added.get(node.id, ())

    def _meant(self, node: ast.expr) -> Sequence[ast.expr]:
        """What a name was assigned, or a function of this source returns."""
        if isinstance(node, ast.Name):
            return self._values.get(node.id, ())
        return self._returned.get(called(node), ()) if isinstance(node, ast.Call) else ()


def _aliases(tree: ast.AST) -> Mapping[str, str]:
    """Names in the source, each with the package it was imported from."""
    found: dict[str, str] = {}
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                package = one.name.partition(".")[0]
                found[one.asname or package] = package
        elif isinstance(node, ast.ImportFrom) and not node.level:
            package = (node.module or "").partition(".")[0]
            found |= {one.asname or one.name: package for one in node.names}
    return found


def _values(tree: ast.AST) -> Mapping[str, Sequence[ast.expr]]:
    """What each name is assigned, or bound to by `with ... as name`."""
    found: dict[str, list[ast.expr]] = {}
    for names, value in assignments(tree):
        for name in names:
            found.setdefault(name, []).append(value)
    for node in nodes(tree):
        for item in getattr(node, "items", ()) if isinstance(node, ast.With) else ():
            if isinstance(item.optional_vars, ast.Name):
                found.setdefault(item.optional_vars.id, []).append(item.context_expr)
    return found


def _returned(tree: ast.AST) -> Mapping[str, Sequence[ast.expr]]:
    """What each function returns."""
    return {
        function.name: [
            node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Return) and node.value is not None
        ]
        for function in nodes(tree)
        if isinstance(function, ast.FunctionDef)
    }


def _added_keys(tree: ast.AST) -> Mapping[str, Sequence[tuple[str, ast.expr]]]:
    """Keys set later, as `scores["mae"] = ...`, by the mapping's name."""
    found: dict[str, list[tuple[str, ast.expr]]] = {}
    for node in nodes(tree):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
                keys = texts_of((target.slice,))
                found.setdefault(target.value.id, []).extend((key, node.value) for key in keys)
    return found


def _last(node: ast.AST | None) -> str:
    return getattr(node, "attr", getattr(node, "id", ""))
