"""What a project says it needs, read from its own files without building anything."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from ml_pipeline.adapters.local.disk import digest_of
from ml_pipeline.adapters.local.importable import Importable, importable
from ml_pipeline.adapters.local.requirements import LocalFolder, read_requirements
from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.domain.policies.training import EnvironmentPolicy

#: Groups and extras taken when none is named, so that a project's own checks can run.
DEV_LIKE = ("dev", "develop", "development", "test", "tests", "testing", "lint")
_FOUND_FILES = (
    "requirements.txt",
    "requirements-dev.txt",
    "requirements_dev.txt",
    "dev-requirements.txt",
    "requirements-test.txt",
)
_NAME_REQUIREMENTS = 'Name what it needs, as environment.requirements = ["requirements.txt"].'


class Kind(StrEnum):
    """Where a project's dependencies stand."""

    LOCK = "uv.lock"
    PYPROJECT = "pyproject.toml"
    REQUIREMENTS = "requirements"


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What is to be installed, and what of the project can be imported.

    `facts` is everything in the project's files that the environment depends on.
    """

    source: Path
    kind: Kind
    lines: tuple[str, ...]
    groups: tuple[str, ...]
    extras: tuple[str, ...]
    requires_python: SpecifierSet
    name: str
    importable: tuple[Importable, ...]
    facts: Mapping[str, Any]


def declared(source: Path, policy: EnvironmentPolicy) -> Declared:
    """What the project needs: `environment.requirements` where set, else what is found.

    Found are `uv.lock`, else the `[project]` table's dependencies, else `requirements.txt` with
    its companions for development.

    Raises:
        ConfigurationError: a file cannot be read, nothing is declared, or it is declared in a
            way only another tool understands.
    """
    pyproject = read_pyproject(source)
    project = pyproject.get("project", {})
    kind = _kind(source, pyproject, policy)
    lines, local = _requirement_lines(source, policy) if kind is Kind.REQUIREMENTS else ((), ())
    own = importable(source, pyproject)
    roots = [own] if own else []
    roots += [
        found
        for folder in local
        if (found := importable(folder.path, read_pyproject(folder.path), always=True))
        and found.path not in {root.path for root in roots}
    ]
    groups = _chosen("group", policy.groups, _groups(pyproject), _default_groups(pyproject))
    extras = _chosen("extra", policy.extras, _extras(project, kind), ())
    return Declared(
        source=source,
        kind=kind,
        lines=lines,
        groups=groups,
        extras=tuple(dict.fromkeys((*extras, *_own_extras(pyproject, groups)))),
        requires_python=_requires_python(source, project),
        name=project.get("name", "") if isinstance(project.get("name", ""), str) else "",
        importable=tuple(roots),
        facts={**_facts(source, pyproject, kind, lines), "importable": repr(roots)},
    )


def read_pyproject(folder: Path) -> dict[str, Any]:
    """The folder's `pyproject.toml`, empty when there is none.

    Raises:
        ConfigurationError: it is no TOML.
    """
    path = folder / "pyproject.toml"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error}", remedy=f"Correct {path}."
        ) from error


def locked_folders(needs: Declared) -> tuple[Importable, ...]:
    """Packages in folders of their own that `uv.lock` names beside the project itself."""
    if needs.kind is not Kind.LOCK:
        return ()
    lock = tomllib.loads((needs.source / "uv.lock").read_text(encoding="utf-8"))
    sources = [package.get("source", {}) for package in lock.get("package", ())]
    named = [each.get("editable") or each.get("directory") for each in sources]
    folders = [(needs.source / name).resolve() for name in named if name]
    own = {needs.source.resolve(), *(one.path.resolve() for one in needs.importable)}
    found = [importable(folder, read_pyproject(folder)) for folder in folders if folder not in own]
    return tuple(one for one in found if one)


def _kind(source: Path, pyproject: Mapping[str, Any], policy: EnvironmentPolicy) -> Kind:
    project = pyproject.get("project")
    if policy.requirements:
        return Kind.REQUIREMENTS
    if project and (source / "uv.lock").is_file():
        return Kind.LOCK
    if project and "dependencies" in project.get("dynamic", ()):
        raise ConfigurationError(
            f"{source / 'pyproject.toml'} leaves its dependencies to a build (project.dynamic)",
            remedy=_NAME_REQUIREMENTS,
        )
    if project and "dependencies" in project:
        return Kind.PYPROJECT
    if "poetry" in pyproject.get("tool", {}):
        raise ConfigurationError(
            f"{source / 'pyproject.toml'} declares its dependencies for Poetry only",
            remedy="Set environment.requirements, or run `poetry export`, which writes a file "
            "it can name.",
        )
    if (source / _FOUND_FILES[0]).is_file():
        return Kind.REQUIREMENTS
    if project:
        return Kind.PYPROJECT
    raise ConfigurationError(
        f"{source} does not say what it needs: there is no uv.lock, no [project] table in a"
        " pyproject.toml and no requirements.txt",
        remedy=_NAME_REQUIREMENTS,
    )


def _requirement_lines(
    source: Path, policy: EnvironmentPolicy
) -> tuple[tuple[str, ...], tuple[LocalFolder, ...]]:
    found = tuple(name for name in _FOUND_FILES if (source / name).is_file())
    read = read_requirements(policy.requirements or found, source)
    below = [line for folder in read.folders for line in _dependencies(folder)]
    return (*read.lines, *below), read.folders


def _dependencies(folder: LocalFolder) -> Iterable[str]:
    """What a folder named as a requirement needs itself, from its `[project]` table."""
    project = read_pyproject(folder.path).get("project", {})
    built = [
        name
        for name in ("setup.py", "setup.cfg")
        if (folder.path / name).is_file()
        and "install_requires" in (folder.path / name).read_text(encoding="utf-8")
    ]
    if "dependencies" not in project and built:
        raise ConfigurationError(
            f"{folder.path / built[0]} names dependencies that only a build can tell",
            remedy="List them in environment.requirements instead of the folder.",
        )
    yield from project.get("dependencies", ())
    for extra in folder.extras:
        yield from project.get("optional-dependencies", {}).get(extra, ())


def _groups(pyproject: Mapping[str, Any]) -> Sequence[str]:
    legacy = ["dev"] if "dev-dependencies" in pyproject.get("tool", {}).get("uv", {}) else []
    return [*pyproject.get("dependency-groups", {}), *legacy]


def _default_groups(pyproject: Mapping[str, Any]) -> Sequence[str]:
    default = pyproject.get("tool", {}).get("uv", {}).get("default-groups", ())
    return _groups(pyproject) if default == "all" else default


def _extras(project: Mapping[str, Any], kind: Kind) -> Sequence[str]:
    return [] if kind is Kind.REQUIREMENTS else [*project.get("optional-dependencies", {})]


def _own_extras(pyproject: Mapping[str, Any], groups: Sequence[str]) -> list[str]:
    """Extras of the project itself that its groups ask for, as `name[extra]`."""
    own = canonicalize_name(str(pyproject.get("project", {}).get("name", "")))
    defined = pyproject.get("dependency-groups", {})
    extras: list[str] = []
    for group in groups:
        for entry in defined.get(group, ()):
            if isinstance(entry, dict):
                extras += _own_extras(pyproject, [entry.get("include-group", "")])
            elif canonicalize_name((asked := _requirement(entry)).name) == own:
                extras += sorted(asked.extras)
    return extras


def _requirement(line: str) -> Requirement:
    try:
        return Requirement(line)
    except InvalidRequirement as error:
        raise ConfigurationError(
            f"pyproject.toml: {line!r} in [dependency-groups] is no requirement: {error}",
            remedy="Write it like 'pytest>=8'.",
        ) from error


def _chosen(
    what: str, named: Sequence[str], existing: Sequence[str], default: Sequence[str]
) -> tuple[str, ...]:
    unknown = [name for name in named if name not in existing]
    if unknown:
        raise ConfigurationError(
            f"environment.{what}s names {unknown[0]!r}, but the project has"
            f" {', '.join(existing) or 'none'}",
            remedy=f"Name only {what}s the project's pyproject.toml has.",
        )
    if named:
        return tuple(named)
    return tuple(name for name in existing if name in {*DEV_LIKE, *default})


def _requires_python(source: Path, project: Mapping[str, Any]) -> SpecifierSet:
    text = project.get("requires-python", "")
    try:
        return SpecifierSet(text)
    except InvalidSpecifier as error:
        raise ConfigurationError(
            f"{source / 'pyproject.toml'}: project.requires-python = {text!r} is no version range",
            remedy="Write it like '>=3.11'.",
        ) from error


def _facts(
    source: Path, pyproject: Mapping[str, Any], kind: Kind, lines: Sequence[str]
) -> Mapping[str, Any]:
    """What of the project's files the environment is made from, files as their digests."""
    tables = {name: pyproject.get(name) for name in ("project", "dependency-groups")}
    files = [source / "uv.lock"] if kind is Kind.LOCK else []
    files += [Path(line.removeprefix("-c ")) for line in lines if line.startswith("-c ")]
    return {
        **tables,
        "build-system": pyproject.get("build-system"),
        "tool": pyproject.get("tool", {}).get("uv"),
        "files": [digest_of(path) for path in files if path.is_file()],
    }
