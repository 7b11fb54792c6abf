"""The project's dependencies and tests."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_pipeline.settings.survey.files import LEFT_OUT
from ml_pipeline.settings.survey.guesses import Guess
from ml_pipeline.settings.survey.scripts import Script

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


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
    lines += _of_poetry(own.get("tool", {}).get("poetry", {}))
    for name in requirement_files(source):
        lines += (source / name).read_text(encoding="utf-8", errors="replace").splitlines()
    matches = (_NAME.match(str(line)) for line in lines)
    return frozenset(re.sub(r"[-_.]+", "-", match[1]).lower() for match in matches if match)


def _of_poetry(table: Mapping[str, Any]) -> Sequence[str]:
    groups = [table, *table.get("group", {}).values()]
    tables = [group.get("dependencies", {}) for group in groups]
    return [name for one in (*tables, table.get("dev-dependencies", {})) for name in one]


def unit_tests(source: Path, names: frozenset[str], found: Sequence[Script]) -> Guess | None:
    """The command that runs the unit tests, without those that need a running service."""
    folder = next((name for name in ("tests", "test") if (source / name).is_dir()), None)
    tests = [script for script in found if _is_test(script.path)]
    if folder is None and not tests:
        return None
    modules = {one.module.partition(".")[0] for script in tests for one in script.imports}
    if "pytest" not in names | modules and "unittest" in modules:
        return Guess(argv=["python", "-m", "unittest", "discover", "-s", folder or "."])
    argv = ["python", "-m", "pytest", *_where(source, folder), "--junitxml={junit}"]
    if "pytest-cov" in names:
        argv += ["--cov", "--cov-report=xml:{coverage}"]
    if folder is not None and f"{folder}/unit" not in argv:
        kept = sorted((source / folder).glob("*integration*"))
        argv += [f"--ignore={path.relative_to(source).as_posix()}" for path in kept]
    undeclared = "pytest is not among the project's dependencies: add it"
    return Guess(argv=argv, doubt="" if "pytest" in names else undeclared)


def _where(source: Path, folder: str | None) -> Sequence[str]:
    """What pytest looks through; all of the project but what the pipeline writes, at worst."""
    if folder is None:
        return [f"--ignore={name}" for name in LEFT_OUT]
    return [f"{folder}/unit" if (source / folder / "unit").is_dir() else folder]


def _is_test(path: Path) -> bool:
    return path.name.startswith("test_") or path.stem.endswith("_test")
