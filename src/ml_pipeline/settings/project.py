"""Finds a project's configuration and reads it."""

import errno
import os
import stat
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ml_pipeline.settings.faults import Fault, error, shown
from ml_pipeline.settings.given import Reading, from_table
from ml_pipeline.settings.toml import OutsizeError, parsed

PYPROJECT = "pyproject.toml"
OWN = "ml-pipeline.toml"
TABLE = "tool.ml-pipeline"
_INIT = "Run `ml-pipeline init` in the project's folder; it writes one."
_ELSEWHERE = "Change to a folder that is there, and try again."
_LONGEST = 200


@dataclass(slots=True)
class Project:
    """Where a project and its configuration stand; `file` is None when there is none to read."""

    source: Path
    file: Path | None = None
    reading: Reading = field(default_factory=Reading)


class _UnreadableError(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def open_project(source: Path | None) -> Project:
    """The project in a folder (the working folder by default), redirected at most once.

    What is wrong with it stands in the reading's faults; nothing is raised.
    """
    folder = source or Path()
    try:
        folder = _resolved(folder)
        file, table = _configuration(folder)
        if "source" in table:
            inner = _redirected(folder, file, table)
            file, table = _configuration(inner)
            _end_of_chain(folder, file, table)
    except _UnreadableError as unreadable:
        return Project(folder, None, Reading(faults=[unreadable.fault]))
    return Project(file.parent, file, from_table(table, displayed(file)))


def displayed(path: Path) -> str:
    """A path as a user would type it: relative where it lies below the working folder."""
    try:
        here = Path.cwd()
    except OSError:  # it was removed
        return str(path)
    if path == here:
        return str(path)
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def configured(folder: Path) -> Path | None:
    """The file that configures a folder, None when there is none.

    Raises:
        ConfigurationError: a file that could hold it cannot be read.
    """
    try:
        return _configuration(_resolved(folder))[0]
    except _UnreadableError as unreadable:
        if unreadable.fault.remedy == _INIT:
            return None
        raise error([unreadable.fault]) from None


def _configuration(folder: Path) -> tuple[Path, Mapping[str, object]]:
    what = no_folder(folder)
    if what:
        raise _UnreadableError(Fault(origin=short(displayed(folder)), message=what))
    found: list[tuple[Path, Mapping[str, object]]] = []
    shared = folder / PYPROJECT
    if _there(shared):
        table = _ours(_toml(shared), displayed(shared))
        found += [(shared, table)] if table is not None else []
    if _there(folder / OWN):
        found.append((folder / OWN, _toml(folder / OWN)))
    if len(found) == 1:
        return found[0]
    if found:
        message = f"both [{TABLE}] in {PYPROJECT} and {OWN} configure it: keep one"
        raise _UnreadableError(Fault(origin=displayed(folder), message=message))
    message = f"no configuration: neither [{TABLE}] in {PYPROJECT} nor {OWN}{_above(folder)}"
    raise _UnreadableError(Fault(origin=displayed(folder), message=message, remedy=_INIT))


def _above(folder: Path) -> str:
    for parent in folder.parents:
        with suppress(OSError):
            if (parent / OWN).is_file():
                return f"; there is one in {parent}"
    return ""


def _toml(file: Path) -> dict[str, object]:
    try:
        _refuse_special(file)
        return parsed(file.read_text(encoding="utf-8-sig"))
    except OutsizeError as outsize:
        message = str(outsize)
    except tomllib.TOMLDecodeError as broken:
        message = f"is no valid TOML: {broken}"
    except UnicodeDecodeError as broken:
        message = f"is not UTF-8: byte {broken.start} is 0x{broken.object[broken.start]:02x}"
    except OSError as broken:
        message = f"cannot be read: {broken.strerror or broken}"
    raise _UnreadableError(Fault(origin=displayed(file), message=message))


def _refuse_special(file: Path) -> None:
    """Reading a pipe would wait for whoever writes to it."""
    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        raise OSError("it is a link to what is not there") from None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # of a folder reading says it itself
        raise OSError("it is no regular file")


def _there(file: Path) -> bool:
    """Whether there is anything of that name, if only a broken link."""
    try:
        file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as broken:
        message = f"cannot be read: {broken.strerror}"
        raise _UnreadableError(Fault(origin=displayed(file), message=message)) from None
    return True


def _resolved(folder: Path) -> Path:
    try:
        here = Path.cwd()
    except OSError:
        if not folder.is_absolute():
            gone = Fault(
                origin="the working folder", message="is not there any more", remedy=_ELSEWHERE
            )
            raise _UnreadableError(gone) from None
        here = folder
    try:
        return (here / folder).resolve()
    except (OSError, RuntimeError, ValueError) as broken:
        message = f"cannot be read: {_why(broken)}"
        raise _UnreadableError(Fault(origin=short(str(folder)), message=message)) from None


def no_folder(path: Path) -> str:
    """Why a path is no folder that can be looked into; empty when it is one."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "there is no such folder"
    except (OSError, ValueError) as broken:
        return f"cannot be read: {_why(broken)}"
    return "" if stat.S_ISDIR(mode) else "is a file, not a project's folder"


def _why(broken: Exception) -> str:
    if isinstance(broken, RuntimeError):  # how Python before 3.13 says it
        return os.strerror(errno.ELOOP)
    return getattr(broken, "strerror", None) or str(broken)


def short(path: str) -> str:
    """A path as far as it fits on a line."""
    return path if len(path) <= _LONGEST else f"{path[: _LONGEST - 1]}…"


def _ours(pyproject: Mapping[str, object], origin: str) -> Mapping[str, object] | None:
    tool = pyproject.get("tool", {})
    table = tool.get("ml-pipeline") if isinstance(tool, Mapping) else None
    if table is not None and not isinstance(table, Mapping):
        message = f"must be a table: [{TABLE}]"
        raise _UnreadableError(Fault(origin=origin, key=TABLE, message=message))
    return table


def _redirected(folder: Path, file: Path, table: Mapping[str, object]) -> Path:
    origin = displayed(file)
    if set(table) != {"source"}:
        others = ", ".join(sorted(set(table) - {"source"}))
        message = f"stands alone: it redirects to another folder, so remove {others}"
        raise _UnreadableError(Fault(origin=origin, key="source", message=message))
    text = table["source"]
    if not isinstance(text, str) or not text:
        message = "must be text: a folder inside this one"
        raise _UnreadableError(
            Fault(origin=origin, key="source", value=repr(text), message=message)
        )
    try:
        inner = _resolved(folder / text)
    except _UnreadableError as unreadable:
        message = unreadable.fault.message
    else:
        inside = inner != folder and inner.is_relative_to(folder)
        message = no_folder(inner) if inside else "must be a folder inside this one"
        if not message:
            return inner
    value = shown(("source",), text)
    raise _UnreadableError(Fault(origin=origin, key="source", value=value, message=message))


def _end_of_chain(folder: Path, file: Path, table: Mapping[str, object]) -> None:
    if "source" in table:
        message = f"redirects a second time; {displayed(folder)} already redirects here"
        raise _UnreadableError(Fault(origin=displayed(file), key="source", message=message))
