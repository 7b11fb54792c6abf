"""The project's own files, without environments, caches and what the pipeline wrote."""

import os
from collections.abc import Iterator
from pathlib import Path

#: Folders the pipeline writes in a project; its own tools have no business in them.
LEFT_OUT = (".ml-pipeline", "runs")
_NOT_OURS = frozenset(
    {
        "__pycache__", "build", "dist", "env", "mlruns", "node_modules", "runs", "site-packages",
        "venv",
    }
)  # fmt: skip
#: More files than this are no longer looked through.
_MOST_FILES = 5000


def walk(source: Path, *endings: str) -> Iterator[Path]:
    """Files with one of these endings, relative to the project, in a stable order."""
    seen = 0
    for folder, folders, names in os.walk(source):
        folders[:] = sorted(name for name in folders if not _is_foreign(Path(folder, name)))
        for name in sorted(names):
            seen += 1
            if seen > _MOST_FILES:
                return
            if name.endswith(endings) and not name.startswith("."):
                yield Path(folder, name).relative_to(source)


def _is_foreign(folder: Path) -> bool:
    marked = (folder / "pyvenv.cfg").is_file()
    return folder.name.startswith(".") or folder.name in _NOT_OURS or marked


def in_tests(path: Path) -> bool:
    """Whether a file belongs to the tests."""
    return path.parts[0] in {"test", "tests"} or path.name.startswith("test_")
