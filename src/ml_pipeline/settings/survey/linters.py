"""The linters a project uses, kept out of what the pipeline writes."""

import configparser
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_pipeline.settings.survey.files import LEFT_OUT
from ml_pipeline.settings.survey.tools import pyproject

_OWN_FILES: Mapping[str, Sequence[str]] = {
    "ruff": ("ruff.toml", ".ruff.toml"),
    "flake8": (".flake8",),
    "pylint": (".pylintrc", "pylintrc", ".pylintrc.toml", "pylintrc.toml"),
    "isort": (".isort.cfg",),
    "mypy": ("mypy.ini", ".mypy.ini"),
    "pyright": ("pyrightconfig.json",),
    "pytest": ("pytest.ini", ".pytest.ini"),
}
_SHARED_FILES = ("setup.cfg", "tox.ini")
#: Where else a project says what it runs.
_RUNNERS = (
    ".pre-commit-config.yaml", "Makefile", "makefile", "justfile", "Taskfile.yml", "noxfile.py",
    "tox.ini", ".gitlab-ci.yml",
)  # fmt: skip
_FOLDERS = f"/({'|'.join(LEFT_OUT)})/".replace(".", r"\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lint:
    """A linter of the project.

    `argv` keeps out of what the pipeline writes; `declared` says whether it would be installed.
    `file` configures it, or `runs` it with arguments of its own; it is empty when none does.
    """

    argv: Sequence[str]
    declared: bool
    file: str = ""
    runs: bool = False


def linters(source: Path, names: frozenset[str]) -> Sequence[Lint]:
    """The linters that are configured, run or declared, in a fixed order."""
    found = []
    for name, command in _COMMANDS.items():
        own = _configuring_file(source, name)
        file = own or _running_file(source, name)
        if name in names or file:
            argv = ("pyright",) if name == "pyright" else (name, *command(_values(source, name)))
            found.append(Lint(argv=argv, declared=name in names, file=file, runs=not own))
    if "format" in pyproject(source).get("tool", {}).get("ruff", {}):
        listed = ",".join(f'"{name}"' for name in LEFT_OUT)
        argv = ("ruff", "format", "--check", f"--config=extend-exclude=[{listed}]", ".")
        found.append(Lint(argv=argv, declared="ruff" in names, file="pyproject.toml"))
    return found


def lacking_exclusion(source: Path, argv: Sequence[str]) -> str:
    """The option a linter's command needs to keep out of the pipeline's folders.

    Empty when it keeps out already, names folders of its own, or is no linter that would walk
    into them. black, mypy, pyright and (in a repository) ruff keep out by themselves, and so does
    pytest as long as the project does not say itself where it may not look.
    """
    words = list(argv[2:]) if argv[1:2] in (["-m"], ("-m",)) else list(argv)
    name = words[0].rpartition("/")[2] if words else ""
    paths = [word for word in words[1:] if not word.startswith("-")]
    if name not in _KEEPING_OUT or not (paths == [] or {".", "./"} & set(paths)):
        return ""
    values = _values(source, name)
    if name == "pytest" and _stays_out(values):
        return ""
    told = " ".join(words) + repr(values)
    return "" if LEFT_OUT[0] in told.replace("\\", "") else _KEEPING_OUT[name]


_Values = Mapping[str, object]


def _stays_out(pytest: _Values) -> bool:
    """By itself pytest passes over folders with a dot, unless the project says otherwise."""
    return "testpaths" in pytest or ".*" in str(pytest.get("norecursedirs", ".*"))


def _flake8(own: _Values) -> Iterator[str]:
    left_out = (*_listed(own.get("extend-exclude", own.get("extend_exclude"))), *LEFT_OUT)
    yield from (f"--extend-exclude={','.join(left_out)}", ".")


def _ruff(_: _Values) -> Iterator[str]:
    yield from ("check", f"--extend-exclude={','.join(LEFT_OUT)}", ".")


def _pylint(own: _Values) -> Iterator[str]:
    left_out = (*_listed(own.get("ignore")), *LEFT_OUT)
    yield from ("--recursive=y", f"--ignore={','.join(left_out)}", ".")


def _mypy(_: _Values) -> Iterator[str]:
    # It never looks into folders whose name begins with a dot.
    yield from (f"--exclude=^{LEFT_OUT[1]}/", ".")


def _black(own: _Values) -> Iterator[str]:
    theirs = own.get("force-exclude", own.get("force_exclude"))
    pattern = f"({theirs})|{_FOLDERS}" if theirs else _FOLDERS
    yield from ("--check", f"--force-exclude={pattern}", ".")


def _isort(own: _Values) -> Iterator[str]:
    left_out = (*_listed(own.get("extend_skip", own.get("extend-skip"))), *LEFT_OUT)
    yield from ("--check-only", *(f"--extend-skip={name}" for name in left_out), ".")


def _pyright(_: _Values) -> Iterator[str]:
    # Its settings say where it looks, and folders with a dot are never among them.
    yield from ()


#: Each tool's arguments. Where its option replaces what the project leaves out, that is kept.
_COMMANDS: Mapping[str, Callable[[_Values], Iterator[str]]] = {
    "ruff": _ruff, "flake8": _flake8, "pylint": _pylint, "black": _black, "isort": _isort,
    "mypy": _mypy, "pyright": _pyright,
}  # fmt: skip
_KEEPING_OUT: Mapping[str, str] = {
    "flake8": f"--extend-exclude={','.join(LEFT_OUT)}",
    "pycodestyle": f"--exclude={','.join(LEFT_OUT)}",
    "pylint": f"--ignore={','.join(LEFT_OUT)}",
    "isort": f"--extend-skip={LEFT_OUT[0]}",
    "pytest": f"--ignore={LEFT_OUT[0]}",
}


def _configuring_file(source: Path, name: str) -> str:
    own = next((file for file in _OWN_FILES.get(name, ()) if (source / file).is_file()), "")
    if own:
        return own
    if name in pyproject(source).get("tool", {}):
        return "pyproject.toml"
    return next((file for file in _SHARED_FILES if _section(source / file, name)), "")


def _running_file(source: Path, name: str) -> str:
    """A file of commands that names a tool."""
    workflows = sorted(source.glob(".github/workflows/*.y*ml"))
    files = [*_RUNNERS, *(path.relative_to(source).as_posix() for path in workflows)]
    word = re.compile(rf"(?<![\w./-]){re.escape(name)}(?![\w.-])")
    return next((file for file in files if word.search(_text(source / file))), "")


def _values(source: Path, name: str) -> _Values:
    """What the project's own settings of a tool say."""
    table = dict(pyproject(source).get("tool", {}).get(name, {}))
    for part in ("main", "master", "MAIN", "MASTER", "ini_options"):  # pylint's, pytest's
        inner = table.get(part)
        table |= inner if isinstance(inner, Mapping) else {}
    for file in (*_OWN_FILES.get(name, ()), *_SHARED_FILES):
        table |= _section(source / file, name)
    return table


def _section(file: Path, name: str) -> _Values:
    """A tool's settings in a file of sections or of TOML; empty when there are none."""
    text = _text(file)
    if file.suffix == ".toml":
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            return {}
    found = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        found.read_string(text)
    except configparser.Error:
        return {}
    own = () if file.name in _SHARED_FILES else ("settings", "MAIN", "MASTER", "main", "master")
    chosen = [one for one in (name, f"tool:{name}", *own) if found.has_section(one)]
    return {key: value for one in chosen for key, value in found.items(one)}


def _listed(value: object) -> Sequence[str]:
    if isinstance(value, str):
        return [part.strip() for part in re.split(r"[,\n]", value) if part.strip()]
    return [str(one) for one in value] if isinstance(value, list) else []


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
