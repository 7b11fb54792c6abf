"""Python files read as syntax trees: their command lines, what they write, the names they use."""

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ml_pipeline.settings.survey import fired, functions, parsers
from ml_pipeline.settings.survey.columns_named import dropped, targets
from ml_pipeline.settings.survey.constants import (
    Lists,
    called,
    constants,
    nodes,
    selections,
    text_lists,
)
from ml_pipeline.settings.survey.files import in_tests, walk
from ml_pipeline.settings.survey.flows import Flows, flows
from ml_pipeline.settings.survey.imports import Import, imports, linked, own_files
from ml_pipeline.settings.survey.metric_names import named_metrics
from ml_pipeline.settings.survey.options import CommandLine, Option, positions
from ml_pipeline.settings.survey.writes import MODEL_ENDINGS, Report, Saved, Writings

_READERS: Mapping[str, str] = {
    "read_csv": "CSV", "scan_csv": "CSV", "reader": "CSV", "DictReader": "CSV",
    "genfromtxt": "CSV", "loadtxt": "CSV", "read_csv_auto": "CSV", "read_table": "CSV",
    "read_parquet": "Parquet", "scan_parquet": "Parquet", "ParquetFile": "Parquet",
    "ParquetDataset": "Parquet",
    "read_feather": "Feather", "read_excel": "Excel", "read_pickle": "pickle",
    "read_hdf": "HDF5", "read_json": "JSON", "read_ndjson": "JSON",
}  # fmt: skip
_QUANTITIES = re.compile(r"\w*Regressor|LinearRegression|Ridge(CV)?|Lasso(CV)?|ElasticNet|SVR")
#: Calls at the top of a file by which it does its work; a bare name, as `main()`, is one too.
_BEGINNINGS = frozenset({"parse_args", "fit", "train", "Fire", "run", "dump", "save_model"})
_PARQUET_MODULES = frozenset({"pq", "parquet"})


@dataclass(slots=True, kw_only=True)
class Script:
    """What one Python file shows of itself, and of the files of the project it imports.

    `words` and `options` are those of one of its command lines, see `entries`.
    """

    path: Path
    words: tuple[str, ...] = ()
    options: list[Option] = field(default_factory=list)
    commands: list[CommandLine] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    #: it trains itself, and not only what it imports does
    fits: bool = False
    fits_below: bool = False
    runs: bool = False
    #: it uses an estimator of quantities
    regresses: bool = False
    texts: list[str] = field(default_factory=list)
    saved: list[Saved] = field(default_factory=list)
    written: list[Report] = field(default_factory=list)
    flows: Flows = field(default_factory=Flows)
    #: formats of the tables it reads
    formats: set[str] = field(default_factory=set)
    targets: list[str] = field(default_factory=list)
    #: lists of names, and those among them that a table is subscripted with
    lists: dict[str, Sequence[str]] = field(default_factory=dict)
    selected: dict[str, Sequence[str]] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)

    @property
    def entries(self) -> "Sequence[Script]":
        """The script once for each of its command lines."""
        return [
            replace(self, words=line.words, options=[*line.options]) for line in self.commands
        ] or [self]

    @property
    def name(self) -> str:
        """File and subcommand, in lower case."""
        return "_".join((self.path.stem, *self.words)).lower()

    @property
    def artifacts(self) -> list[str]:
        """Names of model files, those first that are seen to be written."""
        names = [one.name for one in self.saved if one.name]
        texts = (Path(text).name for text in self.texts if text.endswith(MODEL_ENDINGS))
        return list(dict.fromkeys((*names, *texts)))

    @property
    def dump_targets(self) -> set[str]:
        """Options whose value is handed to a dump as the file itself."""
        return {one.variable.replace("_", "-") for one in self.saved if one.variable}

    @property
    def reports(self) -> list[str]:
        """Names of JSON files that are no models; those named like metrics first."""
        models = {one.name for one in self.saved}
        found = [self.report.name] if self.report and self.report.name else []
        named = [Path(text).name for text in self.texts if re.fullmatch(r"[\w./-]+\.json", text)]
        named.sort(key=lambda name: not re.search("metric|score|result|eval", name))
        return [name for name in dict.fromkeys((*found, *named)) if name not in models]

    @property
    def report(self) -> Report | None:
        """The JSON it writes that names metrics."""
        telling = [one for one in self.written if named_metrics(one.keys)]
        return telling[0] if telling else None

    def dumped_key(self, pattern: str) -> str | None:
        """The first key of a dumped mapping that a pattern is found in."""
        keys = (key for one in self.saved for key in one.keys)
        return next((key for key in keys if re.search(pattern, key.lower())), None)

    @property
    def metrics(self) -> Mapping[str, str]:
        """Keys that name a metric, by the metric's name here."""
        if self.report is not None:
            return named_metrics(self.report.keys)
        return named_metrics(text for text in self.texts if re.fullmatch(r"\w{2,40}", text))


def reads_parquet_only(formats: Collection[str]) -> bool:
    """Whether a script that reads these formats cannot read a CSV file."""
    return "Parquet" in formats and "CSV" not in formats


def scripts(source: Path) -> Sequence[Script]:
    """Every Python file of the project that can be parsed, with what it imports of the others."""
    trees = {path: tree for path in walk(source, ".py") if (tree := _tree(source / path))}
    lists: dict[str, Sequence[str]] = {}
    for path, tree in trees.items():
        if not in_tests(path):
            lists |= {name: texts for name, texts in text_lists(tree).items() if name.isupper()}
    alone = {path: _read(path, tree, lists) for path, tree in trees.items()}
    links = linked({path: script.imports for path, script in alone.items()})
    return [
        _with_imported(script, [alone[path] for path in own_files(script.path, links)])
        for script in alone.values()
    ]


def _tree(file: Path) -> ast.Module | None:
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def _read(path: Path, tree: ast.Module, elsewhere: Lists) -> Script:
    writings, known = Writings(tree), constants(tree)
    commands = _command_lines(tree, known)
    lists = dict(text_lists(tree, elsewhere))
    script = Script(
        path=path,
        options=[option for line in commands for option in line.options],
        commands=commands,
        imports=list(imports(tree)),
        runs=_runs(tree),
        saved=list(writings.models),
        written=list(writings.reports),
        lists=lists,
        selected=dict(selections(tree, {**elsewhere, **lists})),
        targets=list(targets(tree, known)),
        dropped=list(dropped(tree, known)),
        flows=flows(tree, _READERS, known),
    )
    for node in nodes(tree):
        if isinstance(node, ast.Call):
            _see_call(script, node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            script.texts.append(node.value)
        elif isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            script.regresses = script.regresses or bool(_QUANTITIES.fullmatch(name))
    return script


def _command_lines(tree: ast.Module, known: Mapping[str, object]) -> list[CommandLine]:
    for find in (functions.command_lines, parsers.command_lines):
        lines = find(tree, known)
        if lines:
            return list(lines)
    lines = fired.command_lines(tree)
    taken = tuple(positions(tree))
    return list(lines) or ([CommandLine(options=taken, whole=False)] if taken else [])


def _see_call(script: Script, call: ast.Call) -> None:
    name = called(call)
    if name in {"fit", "train", "fit_generator"} and isinstance(call.func, ast.Attribute):
        script.fits = True
    if name in _READERS:
        owner = getattr(getattr(call.func, "value", None), "id", "")
        parquet = name == "read_table" and owner in _PARQUET_MODULES
        script.formats.add("Parquet" if parquet else _READERS[name])


def _runs(tree: ast.Module) -> bool:
    """Whether the file does something when it is run: it asks for `__main__`, or just begins."""
    for node in tree.body:
        if isinstance(node, ast.If) and "__main__" in ast.dump(node.test):
            return True
        if isinstance(node, ast.Expr | ast.Assign):
            calls = (one for one in ast.walk(node.value) if isinstance(one, ast.Call))
            if any(isinstance(one.func, ast.Name) or called(one) in _BEGINNINGS for one in calls):
                return True
    return False


def _with_imported(script: Script, below: Sequence[Script]) -> Script:
    """The script, and what the project's files that it imports write, read and list."""
    parsing = [one for one in below if one.commands and not one.runs]
    commands = script.commands or (parsing[0].commands if parsing and script.runs else [])
    return replace(
        script,
        commands=commands,
        options=[option for line in commands for option in line.options],
        regresses=script.regresses or any(one.regresses for one in below),
        fits_below=any(one.fits for one in below),
        texts=[*script.texts, *_each(below, "texts")],
        saved=[*script.saved, *_each(below, "saved")],
        written=[*script.written, *_each(below, "written")],
        flows=script.flows.with_those([one.flows for one in below]),
        formats=script.formats.union(*(one.formats for one in below)),
        targets=[*script.targets, *_each(below, "targets")],
        lists=_all_lists([one.lists for one in (script, *below)]),
        selected=_all_lists([one.selected for one in (script, *below)]),
        dropped=[*script.dropped, *_each(below, "dropped")],
    )


def _each(below: Sequence[Script], name: str) -> Iterator[Any]:
    for one in below:
        yield from getattr(one, name)


def _all_lists(found: Sequence[Mapping[str, Sequence[str]]]) -> dict[str, Sequence[str]]:
    """All of them; the first of two with one name stands."""
    return {name: texts for each in reversed(found) for name, texts in each.items()}
