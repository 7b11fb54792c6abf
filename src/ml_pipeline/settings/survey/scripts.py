"""Python files read as syntax trees: their options, what they dump, the names they use."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ml_pipeline.settings.survey.constants import text_lists
from ml_pipeline.settings.survey.files import walk

MODEL_ENDINGS = (".skops", ".joblib", ".pkl", ".pickle", ".onnx")
_METRIC = re.compile(r"(?<![a-z])(mae|rmse|mape|r2|accuracy|f1|roc_auc|log_loss)(?![a-z0-9])")
_DUMPERS = frozenset({"dump", "save_model", "dump_model"})
_ADDERS = frozenset({"add_argument", "addoption", "option", "argument", "Option"})
_FEATURES = re.compile(r"features?|feature_(cols|columns|names)|columns|x_cols", re.IGNORECASE)
_TARGET = re.compile(r"target(_(col|column|name))?|label(_col|_column)?|y_col", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A command-line option or a positional argument.

    `name` is as it is typed; `default` is a constant of the source, None when there is none.
    """

    name: str
    default: object = None
    metavar: str = ""

    @property
    def words(self) -> str:
        """The name alone, in lower case, with hyphens."""
        return self.name.lstrip("-").replace("_", "-").lower()


@dataclass(slots=True, kw_only=True)
class Script:
    """What one Python file shows of itself."""

    path: Path
    options: list[Option] = field(default_factory=list)
    fits: bool = False
    runs: bool = False
    texts: list[str] = field(default_factory=list)
    #: keys of the mapping given to a dump, in order
    dumped_keys: list[str] = field(default_factory=list)
    #: options whose value is handed to a dump as the file itself
    dump_targets: set[str] = field(default_factory=set)
    targets: list[str] = field(default_factory=list)
    features: list[Sequence[str]] = field(default_factory=list)

    @property
    def artifacts(self) -> list[str]:
        """Names of files that look like models."""
        return [Path(text).name for text in self.texts if text.endswith(MODEL_ENDINGS)]

    @property
    def reports(self) -> list[str]:
        """Names of JSON files; those named like metrics first."""
        names = [Path(text).name for text in self.texts if re.fullmatch(r"[\w./-]+\.json", text)]
        return sorted(names, key=lambda name: not re.search("metric|score|result|eval", name))

    def dumped_key(self, pattern: str) -> str | None:
        """The first key of the dumped mapping that a pattern is found in."""
        return next((key for key in self.dumped_keys if re.search(pattern, key.lower())), None)

    @property
    def metrics(self) -> Mapping[str, str]:
        """Keys that name a metric, by the metric's name here."""
        found: dict[str, str] = {}
        for text in self.texts:
            match = _METRIC.search(text) if re.fullmatch(r"\w{2,40}", text) else None
            if match:
                found.setdefault(match[1], text)
        return found


def scripts(source: Path) -> Sequence[Script]:
    """Every Python file of the project that can be parsed."""
    return [script for path in walk(source, ".py") if (script := _read(source, path))]


def _read(source: Path, path: Path) -> Script | None:
    try:
        tree = ast.parse((source / path).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return None
    script = Script(path=path, features=_feature_lists(tree))
    mappings = _named_mappings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            _see_call(script, node, mappings)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            script.texts.append(node.value)
        elif isinstance(node, ast.Assign):
            _see_assignment(script, node)
        elif isinstance(node, ast.If) and "__main__" in ast.dump(node.test):
            script.runs = True
    return script


def _named_mappings(tree: ast.AST) -> Mapping[str, ast.Dict]:
    return {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _see_call(script: Script, call: ast.Call, mappings: Mapping[str, ast.Dict]) -> None:
    name = _called(call)
    if name in _ADDERS:
        script.options += _options(call)
    elif name in {"fit", "fit_transform", "train"} and isinstance(call.func, ast.Attribute):
        script.fits = script.fits or name != "fit_transform"
    elif name in _DUMPERS and "json" not in ast.dump(call.func):
        _see_dump(script, call, mappings)
    elif name == "pop" and len(call.args) == 1:
        script.targets += _texts(call.args)


def _see_dump(script: Script, call: ast.Call, mappings: Mapping[str, ast.Dict]) -> None:
    what, where = (*call.args[:2], None, None)[:2]
    mapping = mappings.get(what.id) if isinstance(what, ast.Name) else what
    if isinstance(mapping, ast.Dict):
        script.dumped_keys = list(_texts(mapping.keys))
    name = where.attr if isinstance(where, ast.Attribute) else getattr(where, "id", "")
    script.dump_targets.add(name.replace("_", "-"))


def _see_assignment(script: Script, node: ast.Assign) -> None:
    names = [target.id for target in node.targets if isinstance(target, ast.Name)]
    if any(_TARGET.fullmatch(name) for name in names):
        script.targets += _texts([node.value])
    if "y" in names and isinstance(node.value, ast.Subscript):
        script.targets += _texts([node.value.slice])


def _feature_lists(tree: ast.AST) -> list[Sequence[str]]:
    """Lists under a name for features; those that say "feature" first."""
    named = [pair for pair in text_lists(tree).items() if _FEATURES.search(pair[0])]
    named.sort(key=lambda pair: "feature" not in pair[0].lower())
    return [texts for _, texts in named]


def _called(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _options(call: ast.Call) -> Iterator[Option]:
    names = [text for text in _texts(call.args) if re.fullmatch(r"-{0,2}[A-Za-z][\w-]*", text)]
    keywords = {word.arg: word.value for word in call.keywords}
    long = [name for name in names if name.startswith("--")] or names
    if long:
        metavar = "".join(_texts([keywords["metavar"]])) if "metavar" in keywords else ""
        default = keywords.get("default")
        value = default.value if isinstance(default, ast.Constant) else None
        yield Option(name=long[0], default=value, metavar=metavar)


def _texts(nodes: Sequence[ast.AST | None]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
