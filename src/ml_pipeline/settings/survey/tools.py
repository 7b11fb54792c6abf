"""The project's dependencies, linters, tests."""

import configparser
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_pipeline.settings.survey.roles import Guess, with_role
from ml_pipeline.settings.survey.scripts import Script

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_LINTERS: Mapping[str, Sequence[str]] = {
    "ruff": ("ruff", "check", "."),
    "flake8": ("flake8", "."),
    "mypy": ("mypy", "."),
    "black": ("black", "--check", "."),
}
_OWN_FILES = {
    "ruff": ("ruff.toml", ".ruff.toml"), "flake8": (".flake8",), "mypy": ("mypy.ini", ".mypy.ini"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Lint:
    """A linter the project uses; `declared` says whether it would be installed."""

    argv: Sequence[str]
    declared: bool


def pyproject(source: Path) -> Mapping[str, Any]:
    """The project's `pyproject.toml`; empty when there is none or it is broken (doctor says so)."""
    try:
        return tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def requirement_files(source: Path) -> Sequence[str]:
    """Requirement files, also below `requirements/`."""
    found = [*source.glob("*requirements*.txt"), *source.glob("requirements/*.txt")]
    return sorted(path.relative_to(source).as_posix() for path in found)


def dependencies(source: Path) -> frozenset[str]:
    """Normalised names of every package the project names anywhere, as it stands in its files."""
    own = pyproject(source)
    project = own.get("project", {})
    lines = [*project.get("dependencies", ())]
    for extra in project.get("optional-dependencies", {}).values():
        lines += extra
    for group in own.get("dependency-groups", {}).values():
        lines += [line for line in group if isinstance(line, str)]
    for name in requirement_files(source):
        lines += (source / name).read_text(encoding="utf-8", errors="replace").splitlines()
    matches = (_NAME.match(str(line)) for line in lines)
    return frozenset(re.sub(r"[-_.]+", "-", match[1]).lower() for match in matches if match)


def linters(source: Path, names: frozenset[str]) -> Sequence[Lint]:
    """The linters that are configured or declared, in a fixed order."""
    tables = pyproject(source).get("tool", {})
    found = [
        Lint(argv=argv, declared=name in names)
        for name, argv in _LINTERS.items()
        if name in names or name in tables or _has_own_file(source, name)
    ]
    if "ruff" in names and "format" in tables.get("ruff", {}):
        found.append(Lint(argv=("ruff", "format", "--check", "."), declared=True))
    return found


def _has_own_file(source: Path, name: str) -> bool:
    if any((source / file).is_file() for file in _OWN_FILES.get(name, ())):
        return True
    shared = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        shared.read([source / "setup.cfg", source / "tox.ini"], encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return False
    return shared.has_section(name)


def unit_tests(source: Path, names: frozenset[str]) -> Guess | None:
    """The command that runs the unit tests, without those that need a running service."""
    folder = next((name for name in ("tests", "test") if (source / name).is_dir()), None)
    if folder is None:
        return None
    if "pytest" not in names:
        argv = ["python", "-m", "unittest", "discover", "-s", folder]
        return Guess(argv=argv, doubt="pytest is not among the project's dependencies")
    unit = f"{folder}/unit" if (source / folder / "unit").is_dir() else folder
    argv = ["python", "-m", "pytest", unit, "--junitxml={junit}"]
    if "pytest-cov" in names:
        argv += ["--cov", "--cov-report=xml:{coverage}"]
    if unit == folder:
        kept = sorted((source / folder).glob("*integration*"))
        argv += [f"--ignore={path.relative_to(source).as_posix()}" for path in kept]
    return Guess(argv=argv)


def integration_test(found: Sequence[Script]) -> Guess | None:
    """The command that tests a running service: a test that takes its address."""
    for script in found:
        endpoint, samples = with_role(script, "endpoint"), with_role(script, "rows")
        if endpoint is None or not endpoint.name.startswith("--"):
            continue
        if script.path.name == "conftest.py":
            argv = ["python", "-m", "pytest", script.path.parent.as_posix()]
        elif "test" in script.path.as_posix():
            argv = ["python", script.path.as_posix()]
        else:
            continue
        argv += [endpoint.name, "{endpoint}"]
        return Guess(argv=argv + ([samples.name, "{samples}"] if samples else []))
    return None
