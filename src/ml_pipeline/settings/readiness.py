"""What a run needs of the project: its environment, the files its commands name, its rows."""

import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence

from ml_pipeline.domain.errors import PipelineError
from ml_pipeline.settings import commands
from ml_pipeline.settings.faults import dotted
from ml_pipeline.settings.findings import Finding, fail, ok, warn
from ml_pipeline.settings.keys import Path as KeyPath
from ml_pipeline.settings.model import Configuration, Settings
from ml_pipeline.settings.survey import tools

_PICKLES = (".pkl", ".pickle", ".joblib")
_PYTHON = re.compile(r"python(\d+(\.\d+)?)?")


def examine(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Environment, commands, rows and model file, as far as can be told without running."""
    yield _environment(settings)
    yield from _commands(settings, environ)
    yield from _rows(settings)
    yield from _model(settings)


def _environment(settings: Settings) -> Finding:
    from ml_pipeline.adapters.local.declared import declared  # noqa: PLC0415  # doctor only

    try:
        found = declared(settings.source, settings.environment)
    except PipelineError as error:
        return fail("environment", str(error), error.remedy)
    running = ".".join(map(str, sys.version_info[:3]))
    if settings.environment.python is None and running not in found.requires_python:
        message = f"the project needs Python {found.requires_python}, this is {running}"
        return warn("environment", message, "Install such a Python, or set environment.python.")
    return ok("environment", f"will be made from {found.kind}")


def _commands(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    sections = {name: getattr(settings, name) for name in Configuration.model_fields}
    names = tools.dependencies(settings.source)
    for _, path, argv in commands.each(sections):
        complaint = _lacking_file(settings, path, argv) or _lacking_program(
            settings, argv, names, environ
        )
        if isinstance(complaint, Finding):
            yield complaint
        elif complaint:
            remedy = f"Add {complaint} to the project's dependencies for development."
            yield warn(dotted(path), f"{complaint} is no dependency of the project", remedy)
        else:
            yield ok(dotted(path), " ".join(argv[:4]) + (" …" if len(argv) > 4 else ""))


def _lacking_file(
    settings: Settings, path: KeyPath | Sequence[str | int], argv: Sequence[str]
) -> Finding | None:
    for word in argv:
        named = word.endswith(".py") or ("/" in word and "://" not in word)
        if not named or "{" in word or word.startswith("-"):
            continue
        if not (settings.source / word).exists():
            message = f"names {word}, which is not in {settings.source}"
            return fail(dotted(path), message, f"Correct {dotted(path)}.")
    return None


def _lacking_program(
    settings: Settings, argv: Sequence[str], names: frozenset[str], environ: Mapping[str, str]
) -> str:
    """The program or module nobody will install; empty when it is there or cannot be told."""
    program = argv[0]
    if _PYTHON.fullmatch(program):
        module = argv[2].partition(".")[0] if argv[1:2] == ["-m"] and len(argv) > 2 else ""
        own = module in sys.stdlib_module_names or (settings.source / module).exists()
        return "" if not module or own or _is_declared(module, names) else module
    if "/" in program or shutil.which(program, path=environ.get("PATH")):
        return ""
    return "" if _is_declared(program, names) else program


def _is_declared(program: str, names: frozenset[str]) -> bool:
    return re.sub(r"[-_.]+", "-", program).lower() in names


def _rows(settings: Settings) -> Iterator[Finding]:
    data = settings.data
    if data.path is None:
        yield ok("data", "will be fetched")
        return
    if data.prepare is not None:
        yield ok("data", f"{data.path} is there; 'prepare' makes its columns")
        return
    from ml_pipeline.adapters.local.tables import PolarsTables  # noqa: PLC0415  # doctor only

    try:
        rows = PolarsTables().check_columns(settings.source / data.path, data)
    except PipelineError as error:
        yield fail("data", str(error), error.remedy)
        return
    if rows < data.min_rows:
        message = f"{data.path} has {rows} rows, fewer than data.min_rows {data.min_rows}"
        yield fail("data", message, "Bring more rows, or lower data.min_rows.")
        return
    yield ok("data", f"{data.path} has {rows} rows and every column that is named")
    held = round(rows * data.holdout_share)
    if data.cutoff is None and held < settings.gate.min_rows:
        message = f"about {held} rows are held out, fewer than gate.min_rows"
        yield warn(
            "gate",
            f"{message} {settings.gate.min_rows}: no verdict will be possible",
            "Bring more rows, hold more out, or lower gate.min_rows.",
        )


def _model(settings: Settings) -> Iterator[Finding]:
    train = settings.train
    if train.artifact.endswith(_PICKLES) and not train.allow_pickle:
        message = f"{train.artifact} is a pickle, which runs code when it is loaded"
        remedy = "Have training write skops, or set train.allow_pickle = true."
        yield fail("train.artifact", message, remedy)
