"""Where the project's packages begin, and how a file of it is started."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ml_pipeline.adapters.local.importable import importable
from ml_pipeline.settings.survey.imports import Import
from ml_pipeline.settings.survey.scripts import Script


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Words that start a file; `root` must be put on PYTHONPATH where it is not empty."""

    argv: Sequence[str]
    root: str = ""
    doubt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What Python finds in the project's environment.

    Args:
        source: the project's folder.
        roots: folders that are on the import path there, relative to it; `.` only for an
            installed package, since `python -m` looks in the working folder anyway.
        programs: console scripts, each with the `module:function` it calls.
    """

    source: Path
    roots: tuple[str, ...] = ()
    programs: Mapping[str, str] = field(default_factory=dict)

    def launch(self, script: Script) -> Launch:
        """How a script is started: as a file, unless it needs its package around it."""
        root, module = self.module(script)
        program = self._program(module)
        if program and not script.runs:
            return Launch(argv=(program,))
        doubt = (
            "" if script.runs or not script.commands else "nothing in the file runs its commands"
        )
        if not self.needs_package(script):
            return Launch(argv=("python", script.path.as_posix()), doubt=doubt)
        found = root in {".", *self.roots}
        return Launch(argv=("python", "-m", module), root="" if found else root, doubt=doubt)

    def needs_package(self, script: Script) -> bool:
        """Whether a script cannot be run as a file: its package has to be imported as one."""
        if script.path.name == "__main__.py" or is_relative(script.imports):
            return True
        root, module = self.module(script)
        package = module.partition(".")[0]
        inside = "." in module and root not in self.roots
        return inside and any(
            one.module.partition(".")[0] == package for one in script.imports if not one.level
        )

    def module(self, script: Script) -> tuple[str, str]:
        """The folder a script's package begins in, relative to the project, and its dotted name."""
        folder = script.path.parent
        while folder.parts and (self.source / folder / "__init__.py").is_file():
            folder = folder.parent
        if folder == script.path.parent and is_relative(script.imports):
            folder = self._likely_root(folder)
        inner = script.path.relative_to(folder).with_suffix("")
        parts = inner.parts[:-1] if inner.name == "__main__" else inner.parts
        return folder.as_posix(), ".".join(parts)

    def _likely_root(self, folder: Path) -> Path:
        """Of a package without `__init__.py`: the root it lies in, or what stands above it."""
        above = [Path(root) for root in (*self.roots, "src") if root != "."]
        return next((root for root in above if folder.is_relative_to(root)), folder.parent)

    def _program(self, module: str) -> str:
        return next(
            (name for name, target in self.programs.items() if target.partition(":")[0] == module),
            "",
        )


def is_relative(imports: Sequence[Import]) -> bool:
    """Whether any of them is relative."""
    return any(one.level for one in imports)


def layout_of(source: Path, pyproject: Mapping[str, object], more: Sequence[str] = ()) -> Layout:
    """What the project's environment will hold of its own code.

    Args:
        source: the project's folder.
        pyproject: content of its `pyproject.toml`.
        more: folders on PYTHONPATH, relative to it.
    """
    found = importable(source.resolve(), pyproject)
    added = [PurePosixPath(folder).as_posix() for folder in more if folder]
    if found is None:
        return Layout(source=source, roots=tuple(added))
    roots = [
        PurePosixPath(root.relative_to(source.resolve())).as_posix()
        for root in found.roots
        if root.is_relative_to(source.resolve())
    ]
    return Layout(source=source, roots=(*roots, *added), programs=found.scripts)
