"""What a run needs of the project's commands: files, programs, packages, options."""

import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ml_pipeline.domain.commands import hyperparameter_words
from ml_pipeline.domain.policies.data import DataFormat
from ml_pipeline.domain.policies.training import HyperparameterStyle
from ml_pipeline.settings import commands
from ml_pipeline.settings.faults import did_you_mean, dotted
from ml_pipeline.settings.findings import Finding, fail, ok, warn
from ml_pipeline.settings.page import literal
from ml_pipeline.settings.survey import tools
from ml_pipeline.settings.survey.layout import Layout, is_relative, layout_of
from ml_pipeline.settings.survey.linters import lacking_exclusion
from ml_pipeline.settings.survey.scripts import Script, reads_parquet_only, scripts
from ml_pipeline.settings.survey.started import Started, files_of, started

_PYTHON = re.compile(r"python(\d+(\.\d+)?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Project:
    source: Path
    names: frozenset[str]
    layout: Layout
    found: Sequence[Script]
    environ: Mapping[str, str]


def examine(
    source: Path, sections: Mapping[str, Any], environ: Mapping[str, str]
) -> Iterator[Finding]:
    """Every command of the sections that are there; nothing of the project runs.

    Args:
        source: the project's folder.
        sections: policies by their names.
        environ: environment variables; programs are looked for on PATH.
    """
    own = sections.get("environment")
    path = own.variables.get("PYTHONPATH", "") if own is not None else ""
    project = _Project(
        source=source,
        names=tools.dependencies(source),
        layout=layout_of(source, tools.pyproject(source), path.split(":")),
        found=scripts(source),
        environ=environ,
    )
    for command, path, argv in commands.each(sections):
        key = dotted(path)
        wrong = list(_wrong(project, key, argv))
        script = started(argv, project.found, project.layout)
        if script is not None and not any(one.level == "fail" for one in wrong):
            wrong += _of_script(project, key, argv, script)
            if command.path == ("train", "command"):
                wrong += _hyperparameters(script, sections)
            if command.path in {("train", "command"), ("data", "prepare")} and "data" in sections:
                wrong += _formats(key, script, sections["data"].format)
        yield from wrong or [ok(key, " ".join(argv[:4]) + (" …" if len(argv) > 4 else ""))]


def _wrong(project: _Project, key: str, argv: Sequence[str]) -> Iterator[Finding]:
    """What is wrong whatever the command starts."""
    absent = _absent_file(project.source, argv)
    if absent:
        yield fail(key, f"names {absent}, which is not in {project.source}", f"Correct {key}.")
        return
    if _PYTHON.fullmatch(argv[0]) and argv[1:2] in (["-m"], ("-m",)) and len(argv) > 2:
        yield from _module(project, key, argv[2])
    elif not _found(project, argv[0]):
        yield _undeclared(key, argv[0])
    option = lacking_exclusion(project.source, argv)
    if option:
        tool = argv[2] if argv[1:2] in (["-m"], ("-m",)) else argv[0]
        message = f"{tool} walks into .ml-pipeline, which holds whole environments"
        yield warn(key, message, f"Add {literal(option)} to it.")


def _absent_file(source: Path, argv: Sequence[str]) -> str:
    if "-c" in argv[1:3]:  # a program in a word, and what it makes of the rest is its own
        return ""
    for word in argv:
        named = word.endswith(".py") or ("/" in word and "://" not in word)
        if not named or "{" in word or word.startswith("-"):
            continue
        if not (source / word).exists():
            return word
    return ""


def _found(project: _Project, program: str) -> bool:
    if _PYTHON.fullmatch(program) or "/" in program or program in project.layout.programs:
        return True
    on_path = shutil.which(program, path=project.environ.get("PATH"))
    return bool(on_path) or _is_declared(program, project.names)


def _is_declared(program: str, names: frozenset[str]) -> bool:
    return re.sub(r"[-_.]+", "-", program).lower() in names


def _undeclared(key: str, name: str) -> Finding:
    remedy = f"Add {name} to the project's dependencies for development."
    return warn(key, f"{name} is no dependency of the project", remedy)


def _module(project: _Project, key: str, module: str) -> Iterator[Finding]:
    """A module that Python would not find, of the project or of a package."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or _is_declared(top, project.names):
        return
    if any((project.source / file).is_file() for file in files_of(module, project.layout)):
        return
    own = [_dotted_name(project, script) for script in project.found]
    roots = {root for root, name in own if name == module and root != "."}
    if roots:
        root = min(roots)
        message = f"{module} lies in {root}, where Python does not look for it"
        yield fail(key, message, f'Set environment.variables = {{ PYTHONPATH = "{root}" }}.')
    elif any(name.partition(".")[0] == top for _, name in own):
        hint = did_you_mean(module, [name for _, name in own])
        yield fail(key, f"the project has no module {module!r}{hint}", f"Correct {key}.")
    else:
        yield _undeclared(key, top)


def _dotted_name(project: _Project, script: Script) -> tuple[str, str]:
    return project.layout.module(script)


def _of_script(project: _Project, key: str, argv: Sequence[str], run: Started) -> Iterator[Finding]:
    """What is wrong between a command and the script of the project it starts."""
    yield from _package(project.layout, key, run)
    lines = run.script.commands
    if run.line is None and lines and all(line.words for line in lines):
        listed = ", ".join(" ".join(line.words) for line in lines)
        message = f"names no command of {run.script.path.as_posix()}, which has {listed}"
        yield fail(key, message, f"Put the command's name after {argv[0]} and the script.")
    if run.line is None:
        return
    for word in run.given:
        if word.startswith("--"):
            yield from _option(key, word.partition("=")[0], run, f"Correct {key}.")
    typed = {word.partition("=")[0] for word in run.given}
    for option in run.line.options:
        if option.required and not option.positional and not {option.name, *option.also} & typed:
            message = f"{run.script.path.as_posix()} requires {option.name}, which it does not give"
            yield warn(key, message, f"Add {option.name} and its value to {key}.")


def _package(layout: Layout, key: str, run: Started) -> Iterator[Finding]:
    if run.module or not layout.needs_package(run.script):
        return
    script = run.script
    launch = layout.launch(script)
    words = ", ".join(literal(word) for word in launch.argv)
    path = (
        f', with environment.variables = {{ PYTHONPATH = "{launch.root}" }}' if launch.root else ""
    )
    remedy = f"Begin it with {words}{path}."
    if is_relative(script.imports) or script.path.name == "__main__.py":
        message = f"{script.path.as_posix()} imports from its own package, which a file cannot"
        yield fail(key, message, remedy)
    else:
        package = layout.module(script)[1].partition(".")[0]
        message = f"{script.path.as_posix()} imports {package}, which a file in it does not find"
        yield warn(key, message, remedy)


def _option(key: str, name: str, run: Started, remedy: str) -> Iterator[Finding]:
    """An option the script does not have: surely where another is spelled nearly alike."""
    line, known = run.line, run.known
    if line is None or name in known or name in {"--help", "--"} or not known:
        return
    alike = [one for one in known if _folded(one) == _folded(name)]
    if alike and line.either and any(_hyphened(one) == _hyphened(name) for one in alike):
        return
    script = run.script.path.as_posix()
    if alike:
        yield fail(key, f"{script} has {alike[0]}, and no {name}", remedy)
    elif line.whole and len([one for one in known if one.startswith(name)]) != 1:
        near = get_close_matches(name, known, n=1)
        listed = near[0] if near else ", ".join(sorted(known))
        yield warn(key, f"{script} shows no option {name}; it has {listed}", remedy)


def _folded(option: str) -> str:
    return _hyphened(option).lower()


def _hyphened(option: str) -> str:
    return option.lstrip("-").replace("_", "-")


def _hyperparameters(run: Started, sections: Mapping[str, Any]) -> Iterator[Finding]:
    """Hyperparameters as the command would get them, held against the script's options."""
    train = sections["train"]
    style = train.hyperparameter_style
    if style is HyperparameterStyle.ASSIGNED:
        return
    for key, values in (
        ("hyperparameters", sections.get("hyperparameters", {})),
        ("train.smoke_hyperparameters", train.smoke_hyperparameters),
    ):
        for name, value in values.items():
            words = hyperparameter_words({name: value}, style)
            for word in words[:1]:
                remedy = _named_right(key, name, word, run)
                yield from _option(f"{key}.{name}", word, run, remedy)


def _named_right(key: str, name: str, word: str, run: Started) -> str:
    """How a hyperparameter has to be named, or which style gives its option."""
    alike = next((one for one in run.known if _folded(one) == _folded(word)), "")
    if alike == "--" + name:
        return 'Set train.hyperparameter_style = "underscored".'
    if alike == "--" + name.replace("_", "-"):
        return 'Set train.hyperparameter_style = "dashed".'
    wanted = alike.lstrip("-") or "an option of the script"
    return f"Rename {name} to {wanted} under [{key}]."


def _formats(key: str, run: Started, given: DataFormat) -> Iterator[Finding]:
    """Rows in a format that the script does not read."""
    formats, script = run.script.formats, run.script.path.as_posix()
    parquet = given is DataFormat.PARQUET
    if not parquet and reads_parquet_only(formats):
        message = f"{key} starts {script}, which reads Parquet; the rows are handed over as CSV"
        yield fail("data.format", message, 'Set data.format = "parquet".')
    elif parquet and "CSV" in formats and "Parquet" not in formats:
        message = f"{key} starts {script}, which reads CSV; the rows are handed over as Parquet"
        yield fail("data.format", message, 'Set data.format = "csv".')
    elif formats and not formats & {"CSV", "Parquet"}:
        read = " and ".join(sorted(formats))
        message = f"{key} starts {script}, which reads {read}; the rows are {given}"
        yield warn("data.format", message, "Have it read CSV or Parquet.")
