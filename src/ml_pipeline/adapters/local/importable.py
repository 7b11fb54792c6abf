"""A project's own code made importable without building it: edits are seen at once.

An editable install of setuptools writes into the user's folder, and a built copy goes stale with
the next edit. So the environment gets a `.pth` file with the folders the code lies in, and the
metadata and console scripts an install would have left. Compiled extensions are not built, and a
version the build computes reads 0.0.0.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PTH = "_ml_pipeline_project.pth"
#: A shell line first: a shebang ends at 127 characters, and at the first space.
_SCRIPT = """\
#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
import sys
from {module} import {first}
if __name__ == "__main__":
    sys.exit({call}())
"""
_OBJECT = re.compile(r"^(?P<module>[\w.]+):(?P<call>[\w.]+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Importable:
    """A folder with code of the project: where imports start, and what an install would tell."""

    path: Path
    roots: tuple[Path, ...]
    name: str = ""
    version: str = "0.0.0"
    scripts: Mapping[str, str] = field(default_factory=dict)
    entry_points: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def importable(
    folder: Path, pyproject: Mapping[str, Any], *, always: bool = False
) -> Importable | None:
    """How the folder's code is imported; None where the project is no package.

    It is one when it says how it is built (`[build-system]`, or `package` in `[tool.uv]`).

    Args:
        folder: where `pyproject.toml` lies.
        pyproject: its content.
        always: it was named as a requirement, so it is a package in any case.
    """
    package = pyproject.get("tool", {}).get("uv", {}).get("package", "build-system" in pyproject)
    if not (package or always):
        return None
    project = pyproject.get("project", {})
    roots = [folder / root for root in _stated_roots(pyproject.get("tool", {}))]
    roots += [folder / "src", folder]
    return Importable(
        path=folder,
        roots=tuple(dict.fromkeys(root.resolve() for root in roots if root.is_dir())),
        name=project.get("name", ""),
        version=project.get("version", "0.0.0"),
        scripts={**project.get("scripts", {}), **project.get("gui-scripts", {})},
        entry_points=project.get("entry-points", {}),
    )


def expose(found: tuple[Importable, ...], environment: Path) -> None:
    """Make folders importable in an environment, as if they were installed.

    Args:
        found: the folders.
        environment: a virtual environment, finished but for this.
    """
    if not found:
        return
    packages = next(environment.glob("lib/python*/site-packages"))
    roots = dict.fromkeys(str(root) for one in found for root in one.roots)
    (packages / PTH).write_text("".join(f"{root}\n" for root in roots), encoding="utf-8")
    for one in found:
        if one.name:
            _write_metadata(one, packages)
        for name, target in one.scripts.items():
            _write_script(name, target, environment / "bin")


def _stated_roots(tool: Mapping[str, Any]) -> list[str]:
    """Folders that build back ends are told to find packages in."""
    setuptools = tool.get("setuptools", {})
    packages = setuptools.get("packages", {})
    find = packages.get("find", {}) if isinstance(packages, Mapping) else {}
    wheel = tool.get("hatch", {}).get("build", {}).get("targets", {}).get("wheel", {})
    stated = [
        *find.get("where", ()),
        setuptools.get("package-dir", {}).get(""),
        *(str(Path(package).parent) for package in wheel.get("packages", ())),
        tool.get("uv", {}).get("build-backend", {}).get("module-root"),
        tool.get("pdm", {}).get("build", {}).get("package-dir"),
    ]
    return [root for root in stated if root]


def _write_metadata(one: Importable, packages: Path) -> None:
    name = re.sub(r"[-_.]+", "_", one.name).lower()
    folder = packages / f"{name}-{one.version}.dist-info"
    folder.mkdir(exist_ok=True)
    metadata = f"Metadata-Version: 2.1\nName: {one.name}\nVersion: {one.version}\n"
    (folder / "METADATA").write_text(metadata, encoding="utf-8")
    (folder / "INSTALLER").write_text("ml-pipeline\n", encoding="utf-8")
    groups = {"console_scripts": one.scripts, **one.entry_points}
    lines = [
        line
        for group, points in groups.items()
        if points
        for line in (f"[{group}]", *(f"{key} = {value}" for key, value in points.items()), "")
    ]
    (folder / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")


def _write_script(name: str, target: str, programs: Path) -> None:
    parts = _OBJECT.match(re.sub(r"\s|\[.*", "", target))
    if parts is None or not re.fullmatch(r"[\w.-]+", name):
        return
    path = programs / name
    first = parts["call"].partition(".")[0]
    path.write_text(
        _SCRIPT.format(
            python=programs / "python", module=parts["module"], first=first, call=parts["call"]
        ),
        encoding="utf-8",
    )
    path.chmod(0o755)
