"""Requirement files read flat: nested files inlined, folders of the project told apart.

A folder (`-e .`, `./lib`) is never built where it lies, since setuptools would write into it:
it is put on the import path instead, and what it depends on is installed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ml_pipeline.domain.errors import ConfigurationError

_FILE_ENDINGS = (".txt", ".in", ".lock")
_COMMENT = re.compile(r"(^|\s)#.*$")
_OPTION = re.compile(r"^(-r|--requirement|-c|--constraint|-e|--editable)(?:\s+|=)?(.+)$")
_FILE = re.compile(
    r"^(?P<option>(?:-f|--find-links)(?:\s+|=))?(?P<path>\.{0,2}[\w./-]+)(?P<rest>.*)$"
)
_FOLDER = re.compile(r"^(?:file:)?(?P<path>[./][^\[;]*?|\.)\s*(?:\[(?P<extras>[^\]]*)\])?\s*$")


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """A folder named as a requirement, with the extras asked of it."""

    path: Path
    extras: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Requirements:
    """What requirement files come to: lines for an installer, and folders of the project."""

    lines: tuple[str, ...]
    folders: tuple[LocalFolder, ...]


def read_requirements(entries: tuple[str, ...], source: Path) -> Requirements:
    """Requirements from files and single lines.

    Args:
        entries: names of files below `source` (ending in .txt, .in or .lock), or lines.
        source: the project's folder.

    Raises:
        ConfigurationError: a file is absent.
    """
    lines: list[str] = []
    folders: list[LocalFolder] = []
    for entry in entries:
        named = entry.endswith(_FILE_ENDINGS)
        flat = _flat(source / entry, ()) if named else [(source, entry)]
        for base, line in flat:
            folder = _folder(line, base)
            if folder is None:
                lines.append(_absolute(line, base))
            elif folder not in folders:
                folders.append(folder)
    return Requirements(tuple(lines), tuple(folders))


def _flat(path: Path, above: tuple[Path, ...]) -> Iterator[tuple[Path, str]]:
    """Lines with the folder their relative paths start from."""
    path = path.resolve()
    if path in above:
        return
    for line in _logical_lines(path, above):
        option = _OPTION.match(line)
        kind = option[1].lstrip("-")[0] if option else ""
        if option and kind == "r":
            yield from _flat(path.parent / option[2], (*above, path))
        elif option and kind == "c":
            yield path.parent, f"-c {(path.parent / option[2]).resolve()}"
        else:
            yield path.parent, line


def _logical_lines(path: Path, above: tuple[Path, ...]) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        asked = f", which {above[-1].name} names," if above else ""
        raise ConfigurationError(
            f"the requirements file {path}{asked} cannot be read: {error}",
            remedy="Name an existing file in environment.requirements.",
        ) from error
    joined = text.replace("\\\n", " ")
    return [line for raw in joined.splitlines() if (line := _COMMENT.sub("", raw).strip())]


def _absolute(line: str, base: Path) -> str:
    """The line with a path that is relative to its own file made absolute."""
    found = _FILE.match(line)
    if found is None or "/" not in found["path"] or not (base / found["path"]).exists():
        return line
    return f"{found['option'] or ''}{(base / found['path']).resolve()}{found['rest']}"


def _folder(line: str, base: Path) -> LocalFolder | None:
    option = _OPTION.match(line)
    found = _FOLDER.match(option[2] if option else line)
    path = (base / found["path"].removeprefix("//")).resolve() if found else base
    if found is None or not path.is_dir():
        return None
    extras = tuple(name.strip() for name in (found["extras"] or "").split(",") if name.strip())
    return LocalFolder(path, extras)
