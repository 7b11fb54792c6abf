"""Which files of the project a script imports, and whether it does so from within a package."""

import ast
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_pipeline.settings.survey.constants import nodes

_MOST_FILES = 40


@dataclass(frozen=True, slots=True)
class Import:
    """One import: `level` dots, then the module; `names` may be modules of it."""

    level: int
    module: str
    names: tuple[str, ...] = ()


def imports(tree: ast.AST) -> Iterator[Import]:
    """Every import of a source."""
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                yield Import(0, one.name)
        elif isinstance(node, ast.ImportFrom):
            names = tuple(one.name for one in node.names)
            yield Import(node.level, node.module or "", names)


def own_files(path: Path, links: Mapping[Path, Sequence[Path]]) -> Sequence[Path]:
    """Files of the project a script imports, and those they import; itself left out."""
    found: list[Path] = []
    waiting = [path]
    while waiting and len(found) < _MOST_FILES:
        for target in links[waiting.pop(0)]:
            if target != path and target not in found:
                found.append(target)
                waiting.append(target)
    return found


def linked(files: Mapping[Path, Sequence[Import]]) -> Mapping[Path, Sequence[Path]]:
    """The project's files that each of them imports itself.

    Args:
        files: imports by file.
    """
    names = frozenset(name for path in files for name in path.with_suffix("").parts)
    return {
        path: list(
            dict.fromkeys(
                target
                for one in found
                if one.level or one.module.partition(".")[0] in names
                for target in _targets(path, one, files)
            )
        )
        for path, found in files.items()
    }


def _targets(here: Path, one: Import, files: Container[Path]) -> Iterator[Path]:
    parts = tuple(one.module.split(".")) if one.module else ()
    modules = [parts, *((*parts, name) for name in one.names)]
    for module in modules:
        if one.level:
            folder = here.parents[one.level - 1] if one.level <= len(here.parents) else here.parent
            yield from (path for path in _files(folder, module) if path in files)
        elif module:
            yield from _anywhere(here, module, files)


def _files(folder: Path, module: Sequence[str]) -> tuple[Path, Path]:
    target = folder.joinpath(*module)
    return target.with_name(f"{target.name}.py") if target.name else target, target / "__init__.py"


def _anywhere(here: Path, module: Sequence[str], files: Container[Path]) -> Iterator[Path]:
    """Beside the script, at the project's root, or below a folder such as `src`."""
    for folder in dict.fromkeys((here.parent, *here.parents, Path("src"), Path("lib"))):
        hits = [path for path in _files(folder, module) if path in files]
        if hits:
            yield from hits
            return
